//! The other end: as little HTTP as will do, so that the clients are what is measured.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use dropbox_sign_oauth_benches::{BoxError, fixture};
use dropbox_sign_oauth_testkit::tls::{Authority, Leaf};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::TlsAcceptor;

use crate::peers::Target;

/// Starts this program as the server.
pub(crate) const ARGUMENT: &str = "--serve";

/// More than come at once.
const BACKLOG: u32 = 4096;

/// A server in a process of its own, which ends with this value, or with this process.
pub(crate) struct Server {
    pub(crate) http: Target,
    pub(crate) https: Target,
    /// Its answers are slow back.
    pub(crate) slow: Target,
    process: Child,
}

impl Server {
    pub(crate) fn start(hold: Duration) -> Result<Self, BoxError> {
        let mut process = Command::new(env::current_exe()?)
            .args([ARGUMENT, &hold.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        let mut address = || -> Result<SocketAddr, BoxError> {
            Ok(lines.next().ok_or("the server did not start")??.parse()?)
        };
        let [plain, tls, slow] = [address()?, address()?, address()?];
        let mut pem = String::new();
        for line in lines {
            let line = line?;
            pem.push_str(&line);
            pem.push('\n');
            if line.starts_with("-----END") {
                break;
            }
        }
        let root = CertificateDer::from_pem_slice(pem.as_bytes())?;
        Ok(Self {
            http: Target::http(plain),
            https: Target::https(tls, root),
            slow: Target::http(slow),
            process,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when its input does; there is nobody left to be told of a failure.
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Serves until the input ends.
pub(crate) fn serve(hold: Duration) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let authority = Authority::new();
    let tls = TlsAcceptor::from(authority.server_config(Leaf::Valid));
    runtime.block_on(async {
        let [plain, secure, slow] = [listen()?, listen()?, listen()?];
        let mut out = io::stdout();
        for listener in [&plain, &secure, &slow] {
            writeln!(out, "{}", listener.local_addr()?)?;
        }
        write!(out, "{}", authority.root_pem())?;
        out.flush()?;
        let (ended, end) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            let read = io::stdin().read_to_end(&mut Vec::new());
            drop(ended.send(read));
        });
        tokio::select! {
            result = accept(plain, None, Duration::ZERO) => result,
            result = accept(secure, Some(tls), Duration::ZERO) => result,
            result = accept(slow, None, hold) => result,
            _ = end => Ok(()),
        }
    })
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    hold: Duration,
) -> Result<(), BoxError> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tls = tls.clone();
        tokio::spawn(async move {
            // A client that goes away is no failure.
            match tls {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer_all(stream, hold).await,
                    Err(error) => Err(error),
                },
                None => answer_all(stream, hold).await,
            }
        });
    }
}

/// Answers the requests of one connection.
async fn answer_all(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    hold: Duration,
) -> io::Result<()> {
    let mut received = Vec::with_capacity(2048);
    while stream.read_buf(&mut received).await? > 0 {
        while let Some(request) = Request::find(&received) {
            let answer = answer(request.state);
            let len = request.len;
            if !hold.is_zero() {
                tokio::time::sleep(hold).await;
            }
            stream.write_all(&answer).await?;
            received.drain(..len);
        }
    }
    Ok(())
}

/// A whole request at the start of what was received.
struct Request<'r> {
    len: usize,
    state: &'r [u8],
}

impl<'r> Request<'r> {
    fn find(received: &'r [u8]) -> Option<Self> {
        let head = find(received, b"\r\n\r\n")? + 4;
        let length = received[..head]
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split_at_checked("content-length:".len()))
            .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length:"))
            .and_then(|(_, value)| {
                std::str::from_utf8(value)
                    .ok()?
                    .trim()
                    .parse::<usize>()
                    .ok()
            })?;
        let body = received.get(head..head + length)?;
        Some(Self {
            len: head + length,
            state: state(body),
        })
    }
}

/// The state in a body of JSON; the usual one if there is none.
fn state(body: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"\"state\":\"";
    find(body, NAME)
        .map(|start| &body[start + NAME.len()..])
        .and_then(|rest| rest.split(|byte| *byte == b'"').next())
        .unwrap_or(fixture::STATE.as_bytes())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The vendor's example with this state.
fn answer(state: &[u8]) -> Vec<u8> {
    let (before, after) = fixture::TOKENS
        .rsplit_once(fixture::STATE)
        .expect("the example has the state");
    let length = before.len() + state.len() + after.len();
    let mut answer = Vec::with_capacity(256 + length);
    answer.extend_from_slice(HEAD);
    answer.extend_from_slice(length.to_string().as_bytes());
    answer.extend_from_slice(b"\r\n\r\n");
    answer.extend_from_slice(before.as_bytes());
    answer.extend_from_slice(state);
    answer.extend_from_slice(after.as_bytes());
    answer
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-type: application/json\r\n\
    x-ratelimit-limit: 100\r\n\
    x-ratelimit-limit-remaining: 99\r\n\
    x-ratelimit-reset: 1700000000\r\n\
    content-length: ";
