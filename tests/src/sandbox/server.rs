//! The listener and the thread that the sandbox runs on.

use std::{
    future::IntoFuture as _,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::{self, JoinHandle},
};

use axum::{
    Router,
    serve::{Listener, ListenerExt as _},
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{self, Runtime},
    sync::oneshot,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What the server offers in the TLS handshake.
const ALPN: &[&[u8]] = if cfg!(feature = "http2") {
    &[b"h2", b"http/1.1"]
} else {
    &[b"http/1.1"]
};

/// A server on a thread of its own, which ends when this is dropped.
pub(super) struct Server {
    port: u16,
    // Dropping the sender is what tells the thread to stop.
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
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || run(&runtime, listener, tls, router, stopped))?;
        Ok(Self {
            port,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed there; a second one in a drop would abort.
            let _ = thread.join();
        }
    }
}

/// Serves until `stopped`; what is still under way then ends with the runtime.
fn run(
    runtime: &Runtime,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    stopped: oneshot::Receiver<()>,
) {
    let listener = listener.tap_io(|stream| {
        // Answers are small: without this they may wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    runtime.block_on(async {
        let served = async {
            match tls {
                Some(config) => {
                    let listener = TlsListener::new(listener, config);
                    axum::serve(listener, router).into_future().await
                }
                None => axum::serve(listener, router).into_future().await,
            }
        };
        tokio::select! {
            _ = stopped => {}
            // Never: axum's accept loop goes on after an error.
            _ = served => {}
        }
    });
}

/// Accepts connections, and lets their handshakes run beside each other, so that a client that
/// never finishes its own keeps nobody waiting.
struct TlsListener<L> {
    tcp: L,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl<L> TlsListener<L> {
    fn new(tcp: L, config: Arc<ServerConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        Self {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            handshakes: JoinSet::new(),
        }
    }
}

impl<L: Listener<Io = TcpStream, Addr = SocketAddr>> Listener for TlsListener<L> {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, address) = self.tcp.accept() => {
                    let handshake = self.acceptor.accept(stream);
                    self.handshakes.spawn(async move { Ok((handshake.await?, address)) });
                }
                Some(handshake) = self.handshakes.join_next() => {
                    // A handshake that failed is the client's affair: it may not trust us.
                    if let Ok(Ok(connection)) = handshake {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
