//! Small proxies on loopback.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{Accepted, Peer};

/// What the proxies ask for: `user:p@ss`.
pub(crate) const CREDENTIALS: &str = "Basic dXNlcjpwQHNz";

/// A proxy with the `CONNECT` method. It asks for [`CREDENTIALS`] if `authenticates`.
pub(crate) fn connect(authenticates: bool) -> Peer {
    dying(authenticates, Arc::new(AtomicUsize::new(usize::MAX)))
}

/// As [`connect`], and dies when it has relayed `left` bytes in either direction.
pub(crate) fn dying(authenticates: bool, left: Arc<AtomicUsize>) -> Peer {
    Peer::start(move |accepted| {
        let Some(request) = accepted.read_request() else {
            return;
        };
        let authorization = format!("proxy-authorization: {CREDENTIALS}").to_lowercase();
        if authenticates && !request.to_lowercase().contains(&authorization) {
            return accepted.send("HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n");
        }
        let target = request.split(' ').nth(1).unwrap();
        let server = TcpStream::connect(target).unwrap();
        accepted.send("HTTP/1.1 200 Connected\r\n\r\n");
        relay(accepted, server, &left);
    })
}

fn relay(accepted: &mut Accepted, server: TcpStream, left: &Arc<AtomicUsize>) {
    accepted.reset();
    let client = accepted.socket();
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
    }
    let (from_server, to_client) = (server.try_clone(), client.try_clone());
    let down = Arc::clone(left);
    let down = thread::spawn(move || copy(from_server.unwrap(), to_client.unwrap(), &down));
    copy(client, server, left);
    down.join().unwrap();
}

/// Copies until either end closes or no byte is `left`.
fn copy(mut from: TcpStream, mut to: TcpStream, left: &AtomicUsize) {
    let mut byte = [0];
    while let Ok(1) = from.read(&mut byte) {
        let take = |left: usize| left.checked_sub(1);
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        if taken.is_err() || to.write_all(&byte).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A SOCKS 5 proxy (RFC 1928). It asks for user name and password if `authenticates`.
pub(crate) fn socks5(authenticates: bool) -> Peer {
    Peer::start(move |accepted| {
        let _ = socks5_session(accepted, authenticates);
    })
}

fn socks5_session(accepted: &mut Accepted, authenticates: bool) -> io::Result<()> {
    let [_version, methods] = read(accepted)?;
    let mut offered = vec![0; methods.into()];
    accepted.stream.read_exact(&mut offered)?;
    let method = if authenticates { 2 } else { 0 };
    if !offered.contains(&method) {
        accepted.send([5, 0xff]);
        return Ok(());
    }
    accepted.send([5, method]);
    if authenticates {
        let [_version, length] = read(accepted)?;
        let mut user = vec![0; length.into()];
        accepted.stream.read_exact(&mut user)?;
        let [length] = read(accepted)?;
        let mut password = vec![0; length.into()];
        accepted.stream.read_exact(&mut password)?;
        let rejected = user != b"user" || password != b"p@ss";
        accepted.send([1, rejected.into()]);
    }
    let [_version, _connect, _reserved, kind] = read(accepted)?;
    let host = if kind == 1 {
        read::<4>(accepted)?.map(|byte| byte.to_string()).join(".")
    } else {
        let [length] = read(accepted)?;
        let mut name = vec![0; length.into()];
        accepted.stream.read_exact(&mut name)?;
        String::from_utf8_lossy(&name).into_owned()
    };
    let port = u16::from_be_bytes(read(accepted)?);
    accepted.record(&format!("{host}:{port}"));
    let server = TcpStream::connect((host, port))?;
    accepted.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    relay(accepted, server, &Arc::new(AtomicUsize::new(usize::MAX)));
    Ok(())
}

fn read<const N: usize>(accepted: &mut Accepted) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    accepted.stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
