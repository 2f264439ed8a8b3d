//! Plays scripts to clients, and counts what happens.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream as StdTcpStream},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use socket2::Socket;
use tokio::{net::TcpStream, time::sleep};
use tokio_rustls::TlsAcceptor;

use super::{
    address::{address, bound},
    requests::Requests,
    script::{Script, Step, find},
    wire::Wire,
};
use crate::background::Background;

/// A server on a free loopback port, until it is dropped.
///
/// It plays one script per connection: the first to the first, and so on, and the last one to
/// every further connection.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    log: Log,
    _server: Background,
}

/// What a peer has received and sent so far.
#[derive(Clone, Copy, Default, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// Accepted connections.
    pub connections: usize,
    /// Those of them that have ended.
    pub ended: usize,
    /// Requests of which at least the method arrived.
    pub requests: usize,
    /// Those of them that are POSTs.
    pub posts: usize,
    /// Complete requests.
    pub complete: usize,
    /// Bytes that the system accepted from this peer, on all connections, before encryption. The
    /// client has read fewer: see [`unread_capacity`].
    pub written: u64,
}

/// A complete request that a peer has received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The number of the connection, from 0.
    pub connection: usize,
    /// The request line and the headers of an HTTP/1 request.
    pub head: Vec<u8>,
    /// The body of an HTTP/1 request that declares its length.
    pub body: Vec<u8>,
}

impl Peer {
    /// Starts a peer that plays `scripts`, over TLS if there is a configuration for it.
    pub fn start(
        scripts: impl IntoIterator<Item = Script>,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let scripts: Arc<[Script]> = scripts.into_iter().collect();
        assert!(!scripts.is_empty(), "a peer needs a script");
        let listener = listener()?;
        let address = address(&listener);
        listener.set_nonblocking(true)?;
        let log = Log::default();
        let accept = accept(listener.into(), scripts, tls.map(TlsAcceptor::from), log.clone());
        let server = Background::start("peer", || accept)?;
        Ok(Self { address, log, _server: server })
    }

    /// The address that the peer listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin of the peer over plain HTTP, `http://127.0.0.1:PORT`.
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The origin of the peer over TLS, `https://127.0.0.1:PORT`.
    pub fn https(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns what the peer has received and sent so far.
    pub fn tally(&self) -> Tally {
        self.log.lock().tally
    }

    /// Returns the complete requests, in the order in which they arrived.
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().received.clone()
    }

    /// Waits until the tally is as `seen` wants it, and panics if that takes ten seconds.
    #[track_caller]
    pub fn wait_for(&self, seen: impl Fn(Tally) -> bool) {
        let begin = Instant::now();
        while !seen(self.tally()) {
            assert!(begin.elapsed() < PATIENCE, "{:?}", self.tally());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Longer than a loopback client needs on any machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct State {
    tally: Tally,
    received: Vec<Received>,
}

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<State>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fixed, so that the system does not grow it for a fast reader and the bytes that are written but
/// not read stay countable.
const SEND_BUFFER: usize = 64 * 1024;

fn listener() -> io::Result<Socket> {
    let socket = bound()?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.listen(128)?;
    Ok(socket)
}

/// Returns how many bytes a peer can write to a client that reads none of them: the capacity of
/// both sockets' buffers.
///
/// Measured once, with a client whose buffers have the system's default size. A client that reads
/// `n` bytes lets a peer write at most `n` bytes and this many more.
pub fn unread_capacity() -> u64 {
    static CAPACITY: OnceLock<u64> = OnceLock::new();
    *CAPACITY.get_or_init(|| measure_unread_capacity().expect("two loopback sockets"))
}

fn measure_unread_capacity() -> io::Result<u64> {
    use io::ErrorKind::{TimedOut, WouldBlock};
    /// A loopback write that blocks for this long never completes.
    const STUCK: Duration = Duration::from_millis(100);

    let listener = TcpListener::from(listener()?);
    let _client = StdTcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    server.set_write_timeout(Some(STUCK))?;
    let mut written = 0;
    loop {
        match server.write(&[b' '; 16 * 1024]) {
            Ok(count) => written += count as u64,
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => return Ok(written),
            Err(error) => return Err(error),
        }
    }
}

async fn accept(
    listener: TcpListener,
    scripts: Arc<[Script]>,
    tls: Option<TlsAcceptor>,
    log: Log,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    for index in 0.. {
        let (tcp, _) = listener.accept().await?;
        log.lock().tally.connections += 1;
        let (scripts, tls, log) = (Arc::clone(&scripts), tls.clone(), log.clone());
        tokio::spawn(async move {
            let script = &scripts[index.min(scripts.len() - 1)];
            // An error means that the client closed first.
            let _ = play(tcp, index, script, tls, log.clone()).await;
            log.lock().tally.ended += 1;
        });
    }
    Ok(())
}

async fn play(
    tcp: TcpStream,
    index: usize,
    script: &Script,
    tls: Option<TlsAcceptor>,
    log: Log,
) -> io::Result<()> {
    // Each write must leave at once. This fails only if the client has closed.
    let _ = tcp.set_nodelay(true);
    let mut wire = Wire::new(tcp, script.lifetime)?;
    if let Some(tls) = tls.as_ref().filter(|_| !script.without_tls) {
        wire.start_tls(tls).await?;
    }
    let requests = Requests::new(script.http2);
    Connection { wire, index, tls, requests, log }.play(&script.steps).await
}

struct Connection {
    wire: Wire,
    index: usize,
    tls: Option<TlsAcceptor>,
    requests: Requests,
    log: Log,
}

impl Connection {
    async fn play(mut self, steps: &[Step]) -> io::Result<()> {
        let (mut heads, mut complete) = (0, 0);
        for step in steps {
            match step {
                Step::ReadRequest => {
                    (heads, complete) = (heads + 1, complete + 1);
                    while self.requests.complete < complete {
                        self.read(READ_BUFFER).await?;
                    }
                }
                Step::ReadHead => {
                    heads += 1;
                    while self.requests.heads < heads {
                        self.read(READ_BUFFER).await?;
                    }
                }
                Step::Read(bytes) => {
                    let mut left = *bytes;
                    while left > 0 {
                        left -= self.read(left.min(READ_BUFFER)).await?;
                    }
                }
                Step::ReadSome => {
                    let mut buffer = vec![0; READ_BUFFER];
                    let count = self.wire.read(&mut buffer).await?;
                    buffer.truncate(count);
                    self.requests.head = buffer;
                }
                Step::Expect(text) => {
                    find(&self.requests.head, text).ok_or(io::ErrorKind::InvalidData)?;
                }
                Step::StartTls => {
                    let tls = self.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
                    self.wire.start_tls(tls).await?;
                }
                Step::SendBelowTls(bytes) => self.wire.write_below_tls(bytes)?,
                Step::Send { bytes, chunk, pause, repeat } => loop {
                    for chunk in bytes.chunks(*chunk) {
                        self.write_all(chunk).await?;
                        rest(*pause).await;
                    }
                    if !repeat {
                        break;
                    }
                },
                Step::Respond(response) => {
                    let bytes = response(&self.requests.body);
                    self.write_all(&bytes).await?;
                }
                Step::Pause(pause) => rest(*pause).await,
                Step::Close => self.wire.close().await?,
                Step::Fin => self.wire.fin()?,
                Step::Reset => return self.wire.reset(),
            }
        }
        // Closing a socket with unread bytes would reset the connection.
        loop {
            self.read(READ_BUFFER).await?;
        }
    }

    /// Reads at least one byte and at most `limit`.
    async fn read(&mut self, limit: usize) -> io::Result<usize> {
        let mut buffer = [0; READ_BUFFER];
        let count = self.wire.read(&mut buffer[..limit]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Requests { begun, posts, complete, .. } = self.requests;
        self.requests.feed(&buffer[..count]);
        let State { tally, received } = &mut *self.log.lock();
        tally.requests += self.requests.begun - begun;
        tally.posts += self.requests.posts - posts;
        tally.complete += self.requests.complete - complete;
        if self.requests.complete > complete {
            let (head, body) = (self.requests.head.clone(), self.requests.body.clone());
            received.push(Received { connection: self.index, head, body });
        }
        Ok(count)
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.wire.write(bytes).await?;
            self.log.lock().tally.written += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

const READ_BUFFER: usize = 4 * 1024;

async fn rest(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}
