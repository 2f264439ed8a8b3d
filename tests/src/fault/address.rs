//! Addresses on this machine at which no connection comes about.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// A loopback address that refuses connections for as long as this value lives.
///
/// The port is held but not listened on: no other server can get it meanwhile.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _socket: Socket,
}

impl ClosedPort {
    /// Takes a port of the system's choice.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn bind() -> io::Result<Self> {
        let socket = bound()?;
        Ok(Self {
            address: address(&socket)?,
            _socket: socket,
        })
    }

    /// The address that refuses.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A loopback address at which every SYN is lost: its server never accepts, and its queue is full.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

/// A loopback connection that takes longer than this never comes about.
const LOST: Duration = Duration::from_millis(100);

/// How many connections may fit into the queue; systems add a few to the backlog of 0.
const MAX_QUEUED: usize = 64;

impl BlackHole {
    /// Listens on a port of the system's choice, and fills its queue.
    ///
    /// # Errors
    /// If the system gives no port, or its queue cannot be filled.
    pub fn bind() -> io::Result<Self> {
        let listener = bound()?;
        listener.listen(0)?;
        let address = address(&listener)?;
        let mut queued = Vec::new();
        while queued.len() < MAX_QUEUED {
            match TcpStream::connect_timeout(&address, LOST) {
                Ok(stream) => queued.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self {
                        address,
                        _listener: listener,
                        _queued: queued,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the listener's queue has no end"))
    }

    /// The address that swallows.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A socket at a loopback port of the system's choice.
pub(super) fn bound() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket)
}

pub(super) fn address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::other("the socket is not an IP socket"))
}
