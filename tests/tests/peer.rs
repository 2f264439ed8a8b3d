//! The peer does what its scripts say.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_testkit::{
    peer::{BlackHole, ClosedPort, Peer, Script, Values, unread_capacity},
    tls::{Authority, Leaf, client_config},
};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345";

fn start(script: Script) -> Peer {
    Peer::start([script], None).unwrap()
}

fn connect(peer: &Peer) -> TcpStream {
    let client = TcpStream::connect(peer.address()).unwrap();
    let patience = Some(Duration::from_secs(10));
    client.set_read_timeout(patience).unwrap();
    client
}

/// Sends one request and reads to the end.
fn exchange(peer: &Peer) -> io::Result<String> {
    let mut client = connect(peer);
    client.write_all(REQUEST)?;
    let mut response = String::new();
    client.read_to_string(&mut response)?;
    Ok(response)
}

#[test]
fn sends_rendered_response_and_fin() {
    let values = Values::new().with("name", "you");
    let response = "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello {name}";
    let script = Script::new().read_request().send(response).close();
    let peer = start(script.render(&values));
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello you";
    assert_eq!(exchange(&peer).unwrap(), expected);
    let tally = peer.tally();
    assert_eq!((tally.connections, tally.requests, tally.posts), (1, 1, 1));
    assert_eq!((tally.complete, tally.written), (1, expected.len() as u64));
}

#[test]
fn sends_in_chunks() {
    let script = Script::new().send_in_chunks("chunked", 3, Duration::ZERO);
    assert_eq!(exchange(&start(script.fin())).unwrap(), "chunked");
}

#[test]
fn resets_connection() {
    let peer = start(Script::new().read_request().send("half").reset());
    let error = exchange(&peer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn reads_part_of_a_request() {
    let peer = start(Script::new().read(5).send("early").fin());
    let mut client = connect(&peer);
    client.write_all(b"POST ").unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert_eq!(response, "early");
    assert_eq!((peer.tally().posts, peer.tally().complete), (1, 0));
    // Bytes after the last step are read and counted.
    client.write_all(&REQUEST[5..]).unwrap();
    peer.wait_for(|tally| tally.complete == 1);
}

#[test]
fn plays_a_script_per_connection_and_repeats_the_last() {
    let scripts = ["first", "other"].map(|text| Script::new().read_request().send(text).close());
    let peer = Peer::start(scripts, None).unwrap();
    for expected in ["first", "other", "other"] {
        assert_eq!(exchange(&peer).unwrap(), expected);
    }
    assert_eq!((peer.tally().connections, peer.tally().posts), (3, 3));
}

#[test]
fn counts_keeps_and_responds_to_requests_on_one_connection() {
    let respond = |script: Script| script.read_request().respond(|body| body[..2].to_vec());
    let peer = start(respond(respond(Script::new())));
    let mut client = connect(&peer);
    for body in ["12345", "67890"] {
        let request = format!("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n{body}");
        client.write_all(request.as_bytes()).unwrap();
        let mut response = [0; 2];
        client.read_exact(&mut response).unwrap();
        assert_eq!(response, body.as_bytes()[..2]);
    }
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    peer.wait_for(|tally| tally.complete == 3);
    assert_eq!((peer.tally().requests, peer.tally().posts), (3, 2));
    let received = peer.received();
    assert!(received.iter().all(|request| request.connection == 0));
    let bodies = received.iter().map(|request| request.body.as_slice());
    assert!(bodies.eq([&b"12345"[..], b"67890", b""]));
}

#[test]
fn stops_an_endless_response_when_dropped() {
    let peer = start(Script::new().repeat(vec![b' '; 4096], Duration::ZERO));
    let mut client = connect(&peer);
    client.read_exact(&mut vec![0; 1024 * 1024]).unwrap();
    peer.wait_for(|tally| tally.written >= 1024 * 1024);
    drop(peer);
    // The client reads on, and reaches the end.
    let _ = client.read_to_end(&mut Vec::new());
}

#[test]
fn writes_a_bounded_number_of_unread_bytes() {
    let peer = start(Script::new().repeat(vec![b' '; 4096], Duration::ZERO));
    let _client = connect(&peer);
    let capacity = unread_capacity();
    peer.wait_for(|tally| tally.written >= capacity / 2);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(100) {
        let tally = peer.tally();
        assert!(tally.written <= 2 * capacity, "{tally:?}");
        thread::yield_now();
    }
}

#[test]
fn ends_tls_with_and_without_close_notify() {
    let authority = Authority::new();
    let config = Arc::new(client_config([authority.root()]));
    let hello = || Script::new().read_request().send("hello");
    for (script, error) in
        [(hello().close(), None), (hello().fin(), Some(io::ErrorKind::UnexpectedEof))]
    {
        let tls = authority.server_config(Leaf::Valid);
        let peer = Peer::start([script], Some(tls)).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut client = StreamOwned::new(connection, connect(&peer));
        client.write_all(REQUEST).unwrap();
        let mut response = Vec::new();
        let ended = client.read_to_end(&mut response);
        assert_eq!(response, b"hello");
        assert_eq!(ended.err().map(|error| error.kind()), error);
        assert_eq!(peer.tally().posts, 1);
    }
}

#[test]
fn closed_port_refuses_and_black_hole_loses_syns() {
    let connect = |address: SocketAddr| {
        let timeout = Duration::from_millis(200);
        let error = TcpStream::connect_timeout(&address, timeout).unwrap_err();
        error.kind()
    };
    let closed = ClosedPort::bind().unwrap();
    assert_eq!(connect(closed.address()), io::ErrorKind::ConnectionRefused);
    let hole = BlackHole::bind().unwrap();
    assert_eq!(connect(hole.address()), io::ErrorKind::TimedOut);
}
