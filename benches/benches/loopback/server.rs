//! The server. It supports only the HTTP that the clients need, so that the clients dominate the
//! time.

use std::{io, net::Ipv4Addr, net::SocketAddr, sync::mpsc, thread, time::Duration};

use dropbox_sign_oauth_benches::{BoxError, fixture};
use dropbox_sign_oauth_testkit::tls::{Authority, Leaf};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::TlsAcceptor;

use crate::{clients::Target, load};

/// More connections than are opened at once.
const BACKLOG: u32 = 4096;

/// A server in its own thread, which ends with the program.
pub(crate) struct Server {
    http: SocketAddr,
    https: SocketAddr,
    /// Its responses are delayed.
    slow: SocketAddr,
    root: CertificateDer<'static>,
}

impl Server {
    pub(crate) fn start(delay: Duration) -> Result<Self, BoxError> {
        let authority = Authority::new();
        let tls = TlsAcceptor::from(authority.server_config(Leaf::Valid));
        let (started, start) = mpsc::channel();
        thread::spawn(move || -> Result<(), BoxError> {
            load::runtime()?.block_on(async {
                let [http, https, slow] = [listen()?, listen()?, listen()?];
                let [a, b, c] = [&http, &https, &slow].map(TcpListener::local_addr);
                started.send([a?, b?, c?])?;
                tokio::try_join!(
                    accept(http, None, Duration::ZERO),
                    accept(https, Some(tls), Duration::ZERO),
                    accept(slow, None, delay),
                )?;
                Ok(())
            })
        });
        let [http, https, slow] = start.recv()?;
        Ok(Self { http, https, slow, root: authority.root() })
    }

    /// Returns http and https, each with pooled and with new connections.
    pub(crate) fn targets(&self) -> [Target; 4] {
        let root = Some(self.root.clone());
        [
            (format!("http://{}", self.http), None, true),
            (format!("http://{}", self.http), None, false),
            (format!("https://{}", self.https), root.clone(), true),
            (format!("https://{}", self.https), root, false),
        ]
        .map(|(base, root, pooled)| Target { base, root, pooled })
    }

    /// Returns the server with delayed responses.
    pub(crate) fn slow(&self) -> Target {
        Target { base: format!("http://{}", self.slow), root: None, pooled: false }
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    delay: Duration,
) -> Result<(), BoxError> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                Some(tls) => respond(tls.accept(stream).await?, delay).await,
                None => respond(stream, delay).await,
            }
        });
    }
}

/// Responds to the requests of a connection.
async fn respond(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let length = fixture::TOKENS.len();
    let response = format!("{HEAD}content-length: {length}\r\n\r\n{}", fixture::TOKENS);
    let mut received = Vec::with_capacity(2048);
    while stream.read_buf(&mut received).await? > 0 {
        while let Some(length) = request_length(&received) {
            received.drain(..length);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            stream.write_all(response.as_bytes()).await?;
        }
    }
    Ok(())
}

/// Returns the length of the first request, if all of it has been received.
fn request_length(received: &[u8]) -> Option<usize> {
    const NAME: &str = "content-length:";
    let head = received.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let length = received[..head]
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_at_checked(NAME.len()))
        .find(|(name, _)| name.eq_ignore_ascii_case(NAME.as_bytes()))?
        .1;
    let body: usize = str::from_utf8(length).ok()?.trim().parse().ok()?;
    (received.len() >= head + body).then_some(head + body)
}

const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    content-type: application/json\r\n\
    x-ratelimit-limit: 100\r\n\
    x-ratelimit-limit-remaining: 99\r\n\
    x-ratelimit-reset: 1700000000\r\n";
