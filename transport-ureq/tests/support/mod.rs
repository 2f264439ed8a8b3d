//! Loopback servers and proxies whose behaviour each test writes down.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use dropbox_sign_oauth_testkit::tls::{Authority, Leaf};
use dropbox_sign_oauth_ureq::{
    Account, App, CallError, Endpoints, PlainHttp, RetryPolicy, State, Token, TokenResponse,
    Transport, TransportBuilder,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

pub(crate) const TOKENS: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer"}"#;

/// The authority of every TLS server here.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// A builder with short timeouts that trusts [`AUTHORITY`].
pub(crate) fn builder() -> TransportBuilder {
    Transport::builder()
        .deadline(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(10))
        .extra_root(AUTHORITY.root())
}

/// A 200 with `body` and its length.
pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn app(base: &str) -> App {
    let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere).unwrap();
    let app = App::builder("cc91c61d00f8bb2ece1428035716b", "s3cret");
    app.endpoints(endpoints).build().unwrap()
}

/// Exchanges a code.
pub(crate) fn generate(transport: &Transport, base: &str) -> Result<TokenResponse, CallError> {
    let (app, state) = (app(base), State::from_stored("900e06e2").unwrap());
    let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state);
    transport.send(app.generate(code.unwrap()))
}

/// Exchanges a code, with as many attempts as are safe.
pub(crate) fn generate_with_retry(
    transport: &Transport,
    base: &str,
) -> Result<TokenResponse, CallError> {
    let (app, state) = (app(base), State::from_stored("900e06e2").unwrap());
    let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state);
    let policy = RetryPolicy::default()
        .attempts(5)
        .base_delay(Duration::ZERO);
    transport.send_with_retry(app.generate(code.unwrap()), policy)
}

pub(crate) fn refresh(transport: &Transport, base: &str) -> Result<TokenResponse, CallError> {
    transport.send(app(base).refresh(&Token::new("hNTI2MTFm").unwrap()))
}

pub(crate) fn account(transport: &Transport, base: &str) -> Result<Account, CallError> {
    transport.send(app(base).account(&Token::new("NWNiOTMx").unwrap()))
}

/// The messages of an error and of its sources, one a line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain = format!("{chain}\n{error}");
        source = error.source();
    }
    chain
}

/// A server on 127.0.0.1 that serves each connection on a thread of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Server {
    /// Serves plain http. `serve` gets the number of the connection, from 0.
    pub(crate) fn start<F>(serve: F) -> Self
    where
        F: Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    {
        Self::with_tls(false, serve)
    }

    pub(crate) fn with_tls<F>(tls: bool, serve: F) -> Self
    where
        F: Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    {
        Self::with_config(tls.then(|| AUTHORITY.server_config(Leaf::Valid)), serve)
    }

    pub(crate) fn with_config<F>(config: Option<Arc<ServerConfig>>, serve: F) -> Self
    where
        F: Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    {
        let scheme = if config.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (serve, served) = (Arc::new(serve), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = served.connections.fetch_add(1, Ordering::SeqCst);
                let (serve, shared) = (Arc::clone(&serve), Arc::clone(&served));
                let config = config.clone();
                thread::spawn(move || {
                    let tcp = stream.try_clone()?;
                    let stream: Box<dyn Stream> = match config {
                        Some(config) => {
                            let session = ServerConnection::new(config).unwrap();
                            Box::new(StreamOwned::new(session, stream))
                        }
                        None => Box::new(stream),
                    };
                    serve(
                        number,
                        &mut Peer {
                            stream,
                            tcp,
                            shared,
                        },
                    )
                });
            }
        });
        Self {
            address,
            scheme,
            shared,
        }
    }

    /// `http://127.0.0.1:PORT`, or `https`.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests that were read completely.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The server's end of a connection.
pub(crate) struct Peer {
    stream: Box<dyn Stream>,
    tcp: TcpStream,
    shared: Arc<Shared>,
}

impl Peer {
    /// Reads up to the end of a head.
    pub(crate) fn read_head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        Ok(String::from_utf8(head).unwrap())
    }

    /// Reads a request to its end and records its head.
    pub(crate) fn read_request(&mut self) -> io::Result<String> {
        let head = self.read_head()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body)?;
        self.shared.requests.lock().unwrap().push(head.clone());
        Ok(head)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Sends bytes below TLS.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.write_all(bytes)
    }

    /// Lets the connection end in a reset when it is dropped.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO))
    }

    /// Reads until the client closes the connection.
    pub(crate) fn wait_for_close(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink())?;
        Ok(())
    }

    /// Passes bytes between the client and `server`, and ends after `limit` bytes of the server.
    pub(crate) fn relay(&mut self, server: SocketAddr, mut limit: usize) -> io::Result<()> {
        let mut server = TcpStream::connect(server)?;
        for stream in [&self.tcp, &server] {
            stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        }
        let mut buffer = [0; 16 * 1024];
        while limit > 0 {
            match read(&mut self.stream, &mut buffer)? {
                Some(0) => break,
                Some(read) => server.write_all(&buffer[..read])?,
                None => {}
            }
            let most = buffer.len().min(limit);
            match read(&mut server, &mut buffer[..most])? {
                Some(0) => break,
                Some(read) => {
                    self.send(&buffer[..read])?;
                    limit -= read;
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(crate) fn read_exact<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads what is there; `None` if there is nothing yet.
fn read(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// An HTTP proxy whose tunnels lead to `server` and end after `limit` bytes of it.
pub(crate) fn http_proxy(tls: bool, server: SocketAddr, limit: usize) -> Server {
    Server::with_tls(tls, move |_, peer| {
        peer.read_request()?;
        peer.send("HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")?;
        peer.relay(server, limit)
    })
}

/// A server that responds to every request with tokens.
pub(crate) fn token_server(tls: bool) -> Server {
    Server::with_tls(tls, |_, peer| {
        loop {
            peer.read_request()?;
            peer.send(ok(TOKENS))?;
        }
    })
}
