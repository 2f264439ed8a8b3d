//! Plays scripts to whoever connects, and counts what happens.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream as StdTcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustls::ServerConfig;
use socket2::{SockRef, Socket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime, select,
    sync::oneshot,
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    address::{address, bound},
    request::Requests,
    script::{Script, Step},
};

/// A server on a loopback port of the system's choice, until it is dropped.
///
/// It plays one script per connection: the first to the first, and so on, and the last one to
/// every further connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a server has seen and done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// Connections accepted.
    pub connections: usize,
    /// Requests of which at least the method was read.
    pub requests: usize,
    /// Those of them that are POSTs.
    pub posts: usize,
    /// Requests read to their end.
    pub complete: usize,
    /// Bytes that the system took from this server, on all connections, before encryption. How
    /// many the client read is less: see [`unread_capacity`].
    pub written: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicUsize,
    requests: AtomicUsize,
    posts: AtomicUsize,
    complete: AtomicUsize,
    written: AtomicU64,
}

impl Server {
    /// Starts a server that plays `connections`, over TLS if there is a configuration for it.
    ///
    /// # Errors
    /// If the system gives no port or no thread.
    ///
    /// # Panics
    /// If there is no script.
    pub fn start(connections: Vec<Script>, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        assert!(!connections.is_empty(), "a server needs a script");
        let listener = listener()?;
        let address = address(&listener)?;
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = oneshot::channel();
        let accept = accept(
            listener.into(),
            connections.into(),
            tls.map(TlsAcceptor::from),
            Arc::clone(&counters),
        );
        let thread = thread::Builder::new()
            .name("fault server".into())
            .spawn(move || {
                runtime.block_on(async {
                    select! {
                        _ = stopped => {}
                        // No more connections: the client sees what a client of a full machine sees.
                        _ = accept => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            counters,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the server has seen and done so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            connections: self.counters.connections.load(Relaxed),
            requests: self.counters.requests.load(Relaxed),
            posts: self.counters.posts.load(Relaxed),
            complete: self.counters.complete.load(Relaxed),
            written: self.counters.written.load(Relaxed),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread has been printed, and must not become an abort here.
            let _ = thread.join();
        }
    }
}

/// Fixed, so that the system does not grow it with a fast reader: what is written and not read
/// stays countable.
const SEND_BUFFER: usize = 64 * 1024;

fn listener() -> io::Result<Socket> {
    let socket = bound()?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.listen(128)?;
    Ok(socket)
}

/// How many bytes a server here can write to a client on this machine that reads none of them:
/// what the buffers of both sockets hold.
///
/// Measured once, with a client whose buffers are the system's default. So a client that read at
/// most `n` bytes lets a server write `n` bytes and this many more.
///
/// # Panics
/// If the system gives no sockets.
#[must_use]
pub fn unread_capacity() -> u64 {
    static CAPACITY: OnceLock<u64> = OnceLock::new();
    *CAPACITY.get_or_init(|| measure_unread_capacity().expect("two loopback sockets"))
}

fn measure_unread_capacity() -> io::Result<u64> {
    use std::io::Write;

    /// A loopback write that does not get on for so long never does.
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
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

async fn accept(
    listener: TcpListener,
    connections: Arc<[Script]>,
    tls: Option<TlsAcceptor>,
    counters: Arc<Counters>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        let index = counters.connections.fetch_add(1, Relaxed);
        let connections = Arc::clone(&connections);
        let tls = tls.clone();
        let counters = Arc::clone(&counters);
        tokio::spawn(async move {
            let script = &connections[index.min(connections.len() - 1)];
            // Each write is to leave at once. It can only fail if the client has left already.
            let _ = tcp.set_nodelay(true);
            let wire = match tls {
                None => Wire::Plain(tcp),
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => Wire::Tls(Box::new(stream)),
                    Err(_) => return,
                },
            };
            let requests = Requests::new(script.protocol);
            let connection = Connection {
                wire,
                requests,
                counters,
            };
            // It ends in an error whenever the client leaves first, which is the client's right.
            let _ = connection.play(&script.steps).await;
        });
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> SockRef<'_> {
        SockRef::from(match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        })
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer).await,
            Self::Tls(tls) => tls.read(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes).await,
            Self::Tls(tls) => {
                let written = tls.write(bytes).await?;
                tls.flush().await?;
                Ok(written)
            }
        }
    }
}

struct Connection {
    wire: Wire,
    requests: Requests,
    counters: Arc<Counters>,
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
                Step::Send {
                    bytes,
                    chunk,
                    pause,
                } => {
                    for chunk in bytes.chunks(*chunk) {
                        self.write_all(chunk).await?;
                        rest(*pause).await;
                    }
                }
                Step::Repeat { bytes, pause } => loop {
                    self.write_all(bytes).await?;
                    rest(*pause).await;
                },
                Step::Close => match &mut self.wire {
                    Wire::Plain(tcp) => tcp.shutdown().await?,
                    Wire::Tls(tls) => tls.shutdown().await?,
                },
                Step::Fin => self.wire.tcp().shutdown(Shutdown::Write)?,
                Step::Reset => return self.wire.tcp().set_linger(Some(Duration::ZERO)),
            }
        }
        // To close a socket with unread bytes would reset the connection.
        loop {
            self.read(READ_BUFFER).await?;
        }
    }

    /// Reads at most `limit` bytes, and at least one.
    async fn read(&mut self, limit: usize) -> io::Result<usize> {
        let mut buffer = [0; READ_BUFFER];
        let count = self.wire.read(&mut buffer[..limit]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Requests {
            begun,
            posts,
            complete,
            ..
        } = self.requests;
        self.requests.feed(&buffer[..count]);
        let counters = &self.counters;
        counters
            .requests
            .fetch_add(self.requests.begun - begun, Relaxed);
        counters
            .posts
            .fetch_add(self.requests.posts - posts, Relaxed);
        counters
            .complete
            .fetch_add(self.requests.complete - complete, Relaxed);
        Ok(count)
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.wire.write(bytes).await?;
            self.counters.written.fetch_add(written as u64, Relaxed);
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
