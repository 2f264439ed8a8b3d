//! The listener and the thread of the sandbox.

use std::{
    future::IntoFuture as _,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener as AxumListener},
};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    runtime::{self, Runtime},
    sync::oneshot,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The protocols that the server accepts in the TLS handshake.
const ALPN: &[&[u8]] = if cfg!(feature = "http2") { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };

/// A server on its own thread. Dropping it stops the thread.
pub(super) struct Server {
    port: u16,
    // Dropping the sender stops the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        router: Router,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let tcp = {
            let _guard = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let listener = Listener::new(tcp, tls);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || run(&runtime, listener, router, stopped))?;
        Ok(Self { port, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, it has printed the message. A panic here could abort.
            let _ = thread.join();
        }
    }
}

/// Serves until `stopped`. Requests in progress are dropped with the runtime.
fn run(runtime: &Runtime, listener: Listener, router: Router, stopped: oneshot::Receiver<()>) {
    let service = router.into_make_service_with_connect_info::<Connection>();
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            // axum's accept loop never ends.
            _ = axum::serve(listener, service).into_future() => {}
        }
    });
}

/// Accepts connections. TLS handshakes run concurrently, so that a client that never finishes its
/// handshake does not block others.
struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Listener {
    fn new(tcp: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let tls = tls.map(|config| {
            let mut config = Arc::unwrap_or_clone(config);
            config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
            TlsAcceptor::from(Arc::new(config))
        });
        Self { tcp, tls, handshakes: JoinSet::new() }
    }
}

impl AxumListener for Listener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            tokio::select! {
                (stream, address) = AxumListener::accept(&mut self.tcp) => {
                    // Otherwise Nagle's algorithm could delay small responses.
                    let _ = stream.set_nodelay(true);
                    let Some(tls) = &self.tls else {
                        return (Stream::new(Io::Plain(stream)), address);
                    };
                    let handshake = tls.accept(stream);
                    self.handshakes.spawn(async move { Ok((handshake.await?, address)) });
                }
                Some(handshake) = self.handshakes.join_next() => {
                    // A handshake fails if the client does not trust the certificate.
                    if let Ok(Ok((stream, address))) = handshake {
                        return (Stream::new(Io::Tls(Box::new(stream))), address);
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A handle to the connection of a request.
#[derive(Clone)]
pub(super) struct Connection(Arc<AtomicBool>);

impl Connection {
    /// Makes the next write reset the connection.
    pub(super) fn reset(&self) {
        self.0.store(true, Relaxed);
    }
}

impl Connected<IncomingStream<'_, Listener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A connection that can be reset.
struct Stream {
    io: Io,
    connection: Connection,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn new(io: Io) -> Self {
        let connection = Connection(Arc::default());
        Self { io, connection }
    }

    fn check(&self) -> io::Result<()> {
        if !self.connection.0.load(Relaxed) {
            return Ok(());
        }
        let tcp = SockRef::from(match &self.io {
            Io::Plain(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
        });
        // With a linger time of zero, closing the socket sends RST.
        tcp.set_linger(Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// Calls the method of the inner stream.
macro_rules! delegate {
    ($self:ident.$method:ident($($argument:ident),*)) => {
        match &mut $self.get_mut().io {
            Io::Plain(io) => Pin::new(io).$method($($argument),*),
            Io::Tls(io) => Pin::new(io).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        delegate!(self.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        delegate!(self.poll_shutdown(context))
    }
}
