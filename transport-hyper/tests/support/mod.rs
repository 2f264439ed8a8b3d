//! A loopback server whose connections are handled by a function, and what the tests share.
#![allow(dead_code, reason = "each test uses a part")]

#[cfg(feature = "http2")]
pub(crate) mod http2;
pub(crate) mod proxy;

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use dropbox_sign_oauth_hyper::{
    App, AuthorizationCode, CallError, CertificateDer, Endpoints, PlainHttp, Replay, State, Token,
    TransportBuilder,
};
use dropbox_sign_oauth_testkit::tls::{Authority, Leaf};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

pub(crate) const TOKENS: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer"}"#;
pub(crate) const ACCOUNT: &str = r#"{"account":{"account_id":"5008b25c","email_address":"a@b.c"}}"#;

/// A deadline that the tests wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Returns a response with a JSON body and its length.
pub(crate) fn json(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A connection that the server accepted.
pub(crate) struct Accepted {
    pub(crate) stream: Box<dyn Stream>,
    socket: TcpStream,
    /// Counted from 0.
    pub(crate) number: usize,
    requests: Arc<Mutex<Vec<String>>>,
}

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

impl Accepted {
    /// Reads a request; `None` if the client has closed.
    pub(crate) fn read_request(&mut self) -> Option<String> {
        let request = read_message(&mut self.stream).ok()?;
        self.record(&request);
        Some(request)
    }

    pub(crate) fn record(&self, request: &str) {
        self.requests.lock().unwrap().push(request.to_owned());
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        let _ = sent.and_then(|()| self.stream.flush());
    }

    /// Closes without a `close_notify`.
    pub(crate) fn fin(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    pub(crate) fn socket(&self) -> TcpStream {
        self.socket.try_clone().unwrap()
    }

    /// Makes closing a reset.
    pub(crate) fn reset(&mut self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Waits until the client closes.
    pub(crate) fn wait(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }
}

/// Reads a message with `Content-Length`, or without a body.
pub(crate) fn read_message(stream: &mut impl Read) -> io::Result<String> {
    let mut message = Vec::new();
    let mut byte = [0];
    while !message.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        message.extend(byte);
    }
    let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
    let length = head.lines().find_map(|line| {
        let value = line.strip_prefix("content-length:")?;
        value.trim().parse::<usize>().ok()
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body)?;
    message.extend(body);
    Ok(String::from_utf8_lossy(&message).into_owned())
}

/// A server on loopback; a thread a connection.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    authority: Option<Authority>,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(crate) fn start(handle: impl Fn(&mut Accepted) + Send + Sync + 'static) -> Self {
        Self::start_with(None, &[], handle)
    }

    pub(crate) fn start_tls(
        alpn: &[&str],
        handle: impl Fn(&mut Accepted) + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(Authority::new()), alpn, handle)
    }

    fn start_with(
        authority: Option<Authority>,
        alpn: &[&str],
        handle: impl Fn(&mut Accepted) + Send + Sync + 'static,
    ) -> Self {
        let tls = authority.as_ref().map(|authority| {
            let mut config = ServerConfig::clone(&authority.server_config(Leaf::Valid));
            config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
            Arc::new(config)
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            authority,
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let connections = Arc::clone(&peer.connections);
        let requests = Arc::clone(&peer.requests);
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let socket = socket.unwrap();
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (tls, handle) = (tls.clone(), Arc::clone(&handle));
                let requests = Arc::clone(&requests);
                thread::spawn(move || {
                    let stream = socket.try_clone().unwrap();
                    let stream: Box<dyn Stream> = match tls {
                        Some(tls) => {
                            let tls = ServerConnection::new(tls).unwrap();
                            Box::new(StreamOwned::new(tls, stream))
                        }
                        None => Box::new(stream),
                    };
                    handle(&mut Accepted {
                        stream,
                        socket,
                        number,
                        requests,
                    });
                });
            }
        });
        peer
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn base_url(&self) -> String {
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.authority.as_ref().unwrap().root()
    }

    pub(crate) fn app(&self) -> App {
        app_at(&self.base_url())
    }

    /// Trusts the server's certificate.
    pub(crate) fn trusted(&self, builder: TransportBuilder) -> TransportBuilder {
        match &self.authority {
            Some(authority) => builder.extra_root(authority.root()),
            None => builder,
        }
    }
}

pub(crate) fn app_at(base: &str) -> App {
    let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere).unwrap();
    App::builder(
        "cc91c61d00f8bb2ece1428035716b",
        "1d14434088507ffa390e6f5528465",
    )
    .endpoints(endpoints)
    .build()
    .unwrap()
}

pub(crate) fn code() -> AuthorizationCode {
    AuthorizationCode::new("1b0d28d90c86c141", State::random()).unwrap()
}

pub(crate) fn token() -> Token {
    Token::new("hNTI2MTFm").unwrap()
}

/// The messages of an error and its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Whether an error is *unknown* for a request of this kind.
pub(crate) fn is_unknown(error: &CallError, expected: Replay) -> bool {
    matches!(error, CallError::Unknown { replay, .. } if *replay == expected)
}
