//! Loopback addresses at which connecting fails.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// A loopback address that refuses connections until this is dropped: the port is bound, so that no
/// other server can get it, and not listened on.
#[derive(Debug)]
pub struct ClosedPort(Socket);

impl ClosedPort {
    /// Binds a free port.
    pub fn bind() -> io::Result<Self> {
        bound().map(Self)
    }

    /// The address that refuses connections.
    pub fn address(&self) -> SocketAddr {
        address(&self.0)
    }
}

/// A loopback address at which every SYN is lost: the listener's queue is full.
#[derive(Debug)]
pub struct BlackHole {
    listener: Socket,
    _queued: Vec<TcpStream>,
}

/// A loopback connection that takes longer than this never succeeds.
const LOST: Duration = Duration::from_millis(100);

/// The most connections that fit into the queue; systems add a few to the backlog of 0.
const MAX_QUEUED: usize = 64;

impl BlackHole {
    /// Listens on a free port and fills the queue.
    pub fn bind() -> io::Result<Self> {
        let listener = bound()?;
        listener.listen(0)?;
        let mut queued = Vec::new();
        while queued.len() < MAX_QUEUED {
            match TcpStream::connect_timeout(&address(&listener), LOST) {
                Ok(stream) => queued.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self { listener, _queued: queued });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the listener's queue has no end"))
    }

    /// The address at which SYNs are lost.
    pub fn address(&self) -> SocketAddr {
        address(&self.listener)
    }
}

/// Binds a socket to a free loopback port.
pub(super) fn bound() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket)
}

pub(super) fn address(socket: &Socket) -> SocketAddr {
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    address.expect("a bound IP socket")
}
