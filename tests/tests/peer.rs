//! The peer ends connections as its scripts say. The rest of it is seen by `conformance_broken.rs`.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    tls::{Authority, Leaf, client_config},
};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345";

fn connect(peer: &Peer) -> TcpStream {
    let client = TcpStream::connect(peer.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

/// Sends one request and reads to the end.
fn exchange(mut client: impl Read + Write) -> Result<String, io::ErrorKind> {
    client.write_all(REQUEST).map_err(|error| error.kind())?;
    let mut response = String::new();
    client.read_to_string(&mut response).map_err(|error| error.kind())?;
    Ok(response)
}

#[test]
fn ends_connections_as_told() {
    let authority = Authority::new();
    let config = Arc::new(client_config([authority.root()]));
    let hello = || Script::new().read_request().send("hello");
    for (script, over_tcp, over_tls) in [
        (hello().close(), Ok("hello"), Ok("hello")),
        (hello().fin(), Ok("hello"), Err(io::ErrorKind::UnexpectedEof)),
        (hello().reset(), Err(io::ErrorKind::ConnectionReset), Err(io::ErrorKind::ConnectionReset)),
    ] {
        let peer = Peer::start([script.clone()], None).unwrap();
        assert_eq!(exchange(connect(&peer)), over_tcp.map(String::from));
        let tally = peer.tally();
        assert_eq!((tally.connections, tally.posts, tally.written), (1, 1, 5));
        let peer = Peer::start([script], Some(authority.server_config(Leaf::Valid))).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let client = StreamOwned::new(connection, connect(&peer));
        assert_eq!(exchange(client), over_tls.map(String::from));
    }
}
