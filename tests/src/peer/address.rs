//! Loopback addresses at which connecting fails.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// A loopback address that refuses connections until this is dropped.
///
/// The port is bound but not listened on, so that no other server can get it.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _socket: Socket,
}

impl ClosedPort {
    /// Binds a free port.
    ///
    /// # Errors
    /// If there is none.
    pub fn bind() -> io::Result<Self> {
        let socket = bound()?;
        Ok(Self { address: address(&socket)?, _socket: socket })
    }

    /// The address that refuses connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A loopback address at which every SYN is lost: the listener's queue is full.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

/// A loopback connection that takes longer than this never succeeds.
const LOST: Duration = Duration::from_millis(100);

/// The most connections that fit into the queue; systems add a few to the backlog of 0.
const MAX_QUEUED: usize = 64;

impl BlackHole {
    /// Listens on a free port and fills the queue.
    ///
    /// # Errors
    /// If there is no free port or the queue cannot be filled.
    pub fn bind() -> io::Result<Self> {
        let listener = bound()?;
        listener.listen(0)?;
        let address = address(&listener)?;
        let mut queued = Vec::new();
        while queued.len() < MAX_QUEUED {
            match TcpStream::connect_timeout(&address, LOST) {
                Ok(stream) => queued.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self { address, _listener: listener, _queued: queued });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the listener's queue has no end"))
    }

    /// The address at which SYNs are lost.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Binds a socket to a free loopback port.
pub(super) fn bound() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket)
}

pub(super) fn address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::other("the socket is not an IP socket"))
}
