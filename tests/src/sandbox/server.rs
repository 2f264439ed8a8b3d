//! The listener of the sandbox.

use std::{future::IntoFuture as _, io, net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener as AxumListener},
};
use rustls::ServerConfig;
use socket2::{SockRef, Socket};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::background::Background;

/// Starts a server on `port`, or on a free port if it is 0. Returns its port as well.
pub(super) fn start(
    port: u16,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
) -> io::Result<(Background, u16)> {
    let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    tcp.set_nonblocking(true)?;
    let port = tcp.local_addr()?.port();
    let server = Background::start("sandbox", move || {
        let tcp = TcpListener::from_std(tcp).expect("the runtime has an IO driver");
        let listener =
            Listener { tcp, tls: tls.map(TlsAcceptor::from), handshakes: JoinSet::new() };
        let service = router.into_make_service_with_connect_info::<Connection>();
        axum::serve(listener, service).into_future()
    })?;
    Ok((server, port))
}

/// Accepts connections. TLS handshakes run concurrently, so that a client that never finishes its
/// handshake does not block others.
struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, Connection)>>,
}

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl AxumListener for Listener {
    type Io = Box<dyn Stream>;
    type Addr = Connection;

    async fn accept(&mut self) -> (Box<dyn Stream>, Connection) {
        loop {
            tokio::select! {
                (stream, _) = AxumListener::accept(&mut self.tcp) => {
                    // Otherwise Nagle's algorithm could delay small responses.
                    let _ = stream.set_nodelay(true);
                    let Ok(socket) = SockRef::from(&stream).try_clone() else {
                        continue;
                    };
                    let connection = Connection(Arc::new(socket));
                    let Some(tls) = &self.tls else {
                        return (Box::new(stream), connection);
                    };
                    let handshake = tls.accept(stream);
                    self.handshakes.spawn(async move { Ok((handshake.await?, connection)) });
                }
                Some(handshake) = self.handshakes.join_next() => {
                    // A handshake fails if the client does not trust the certificate.
                    if let Ok(Ok((stream, connection))) = handshake {
                        return (Box::new(stream), connection);
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Connection> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A handle to the connection of a request.
#[derive(Clone, Debug)]
pub(super) struct Connection(Arc<Socket>);

impl Connection {
    /// Makes the end of the connection a reset. With a linger time of zero, closing the socket
    /// sends RST.
    pub(super) fn reset_when_closed(&self) {
        let _ = self.0.set_linger(Some(Duration::ZERO));
    }
}

impl Connected<IncomingStream<'_, Listener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}
