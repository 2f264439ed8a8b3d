//! The server.

use std::{io, net::Ipv4Addr, net::SocketAddr, thread, time::Duration};

use dropbox_sign_oauth_benches::{BoxError, fixture};
use dropbox_sign_oauth_testkit::tls::{Authority, Leaf};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::TlsAcceptor;

use crate::{clients::Target, runtime};

/// More connections than are opened at once.
const BACKLOG: u32 = 4096;

/// A server in its own thread, which ends with the program.
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    root: CertificateDer<'static>,
}

impl Server {
    /// Starts a server that delays its responses.
    pub(crate) fn start(delay: Duration) -> Result<Self, BoxError> {
        let authority = Authority::new();
        let tls = TlsAcceptor::from(authority.server_config(Leaf::Valid));
        let runtime = runtime()?;
        let [a, b] = runtime.block_on(async { Ok::<_, BoxError>([listen()?, listen()?]) })?;
        let (http, https) = (a.local_addr()?, b.local_addr()?);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::try_join!(accept(a, None, delay), accept(b, Some(tls), delay))
            })
        });
        Ok(Self { http, https, root: authority.root() })
    }

    /// Returns http and https, each with refreshes on pooled connections and codes on new ones.
    pub(crate) fn targets(&self) -> [Target; 4] {
        let root = Some(self.root.clone());
        let [http, https] = [format!("http://{}", self.http), format!("https://{}", self.https)];
        [(&http, &None, true), (&http, &None, false), (&https, &root, true), (&https, &root, false)]
            .map(|(base, root, pooled)| Target {
                base: base.clone(),
                root: root.clone(),
                refreshes: pooled,
                pooled,
            })
    }

    /// Returns the https server behind `relay`, for codes.
    pub(crate) fn behind(&self, relay: SocketAddr) -> Target {
        let (base, root) = (format!("https://{relay}"), Some(self.root.clone()));
        Target { base, root, refreshes: false, pooled: true }
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
    stream: impl AsyncRead + AsyncWrite + Unpin,
    delay: Duration,
) -> Result<(), BoxError> {
    let respond = service_fn(|request: Request<Incoming>| async move {
        request.into_body().collect().await?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok::<_, hyper::Error>(fixture::success().map(|body| Full::new(Bytes::from(body))))
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await?)
}
