//! Plays scripts to clients, and counts what happens.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream as StdTcpStream},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::ServerConfig;
use socket2::Socket;
use tokio::{net::TcpStream, runtime, select, sync::oneshot, time::sleep};
use tokio_rustls::TlsAcceptor;

use super::{
    address::{address, bound},
    requests::Requests,
    script::{Script, Step, find},
    wire::Wire,
};

/// A server on a free loopback port, until it is dropped.
///
/// It plays one script per connection: the first to the first, and so on, and the last one to
/// every further connection.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a peer has received and sent so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
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
#[derive(Clone, PartialEq, Eq, Debug)]
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
    ///
    /// # Errors
    /// If the system provides no port or no thread.
    ///
    /// # Panics
    /// If there is no script.
    pub fn start(
        scripts: impl IntoIterator<Item = Script>,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let scripts: Arc<[Script]> = scripts.into_iter().collect();
        assert!(!scripts.is_empty(), "a peer needs a script");
        let listener = listener()?;
        let address = address(&listener)?;
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let log = Log::default();
        let (stop, stopped) = oneshot::channel();
        let accept = accept(listener.into(), scripts, tls.map(TlsAcceptor::from), log.clone());
        let thread = thread::Builder::new().name("peer".into()).spawn(move || {
            runtime.block_on(async {
                select! {
                    _ = stopped => {}
                    // The system provides no more connections.
                    _ = accept => {}
                }
            });
        })?;
        Ok(Self { address, log, stop: Some(stop), thread: Some(thread) })
    }

    /// The address that the peer listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what the peer has received and sent so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.log.lock().tally
    }

    /// The origin of the peer over plain HTTP, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The origin of the peer over TLS, `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn https(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the complete requests, in the order in which they arrived.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().received.clone()
    }

    /// Waits until the tally is as `seen` wants it.
    ///
    /// # Panics
    /// If that takes longer than ten seconds.
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

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic; a second one in a drop would abort.
            let _ = thread.join();
        }
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
///
/// # Panics
/// If the system provides no sockets.
#[must_use]
pub fn unread_capacity() -> u64 {
    static CAPACITY: OnceLock<u64> = OnceLock::new();
    *CAPACITY.get_or_init(|| measure_unread_capacity().expect("two loopback sockets"))
}

fn measure_unread_capacity() -> io::Result<u64> {
    use std::io::Write;

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
            Err(error) if is_timeout(&error) => return Ok(written),
            Err(error) => return Err(error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

async fn accept(
    listener: TcpListener,
    scripts: Arc<[Script]>,
    tls: Option<TlsAcceptor>,
    log: Log,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        let index = {
            let tally = &mut log.lock().tally;
            tally.connections += 1;
            tally.connections - 1
        };
        let scripts = Arc::clone(&scripts);
        let tls = tls.clone();
        let log = log.clone();
        tokio::spawn(async move {
            let script = &scripts[index.min(scripts.len() - 1)];
            // Each write must leave at once. This fails only if the client has closed.
            let _ = tcp.set_nodelay(true);
            // An error means that the client closed first.
            let _ = play(tcp, index, script, tls, log.clone()).await;
            log.lock().tally.ended += 1;
        });
    }
}

async fn play(
    tcp: TcpStream,
    index: usize,
    script: &Script,
    tls: Option<TlsAcceptor>,
    log: Log,
) -> io::Result<()> {
    let mut wire = Wire::new(tcp, script.lifetime)?;
    if let Some(tls) = tls.as_ref().filter(|_| !script.without_tls) {
        wire.start_tls(tls).await?;
    }
    let requests = Requests::new(script.protocol);
    let connection = Connection { wire, index, tls, requests, log };
    connection.play(&script.steps).await
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
                    if find(&self.requests.head, text).is_none() {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                }
                Step::StartTls => {
                    let tls = self.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
                    self.wire.start_tls(tls).await?;
                }
                Step::SendBelowTls(bytes) => self.wire.write_below_tls(bytes)?,
                Step::Send { bytes, chunk, pause } => {
                    for chunk in bytes.chunks(*chunk) {
                        self.write_all(chunk).await?;
                        rest(*pause).await;
                    }
                }
                Step::Respond(response) => {
                    let bytes = response(&self.requests.body);
                    self.write_all(&bytes).await?;
                }
                Step::Pause(pause) => rest(*pause).await,
                Step::Repeat { bytes, pause } => loop {
                    self.write_all(bytes).await?;
                    rest(*pause).await;
                },
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
        let mut log = self.log.lock();
        log.tally.requests += self.requests.begun - begun;
        log.tally.posts += self.requests.posts - posts;
        log.tally.complete += self.requests.complete - complete;
        if self.requests.complete > complete {
            log.received.push(Received {
                connection: self.index,
                head: self.requests.head.clone(),
                body: self.requests.body.clone(),
            });
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
