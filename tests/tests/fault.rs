//! The fault server does what its scripts say.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_testkit::{
    fault::{BlackHole, ClosedPort, Script, Server, Tally, Values, unread_capacity},
    tls::{Authority, Leaf, client_config},
};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345";

/// Long enough for whatever is to happen, on any machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn start(script: Script) -> Server {
    Server::start(vec![script], None).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// What a client gets that sends one request and reads to the end.
fn exchange(server: &Server) -> io::Result<String> {
    let mut client = connect(server);
    client.write_all(REQUEST)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until the server has seen what it is to see.
#[track_caller]
fn wait_for(server: &Server, seen: impl Fn(Tally) -> bool) {
    let begin = Instant::now();
    while !seen(server.tally()) {
        assert!(begin.elapsed() < PATIENCE, "{:?}", server.tally());
        std::thread::yield_now();
    }
}

#[test]
fn an_answer_is_rendered_and_ends_in_a_fin() {
    let values = Values::new().with("name", "you");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello {name}";
    let script = Script::new().read_request().send(answer).close();
    let server = start(script.render(&values));
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello you";
    assert_eq!(exchange(&server).unwrap(), expected);
    let tally = server.tally();
    assert_eq!((tally.connections, tally.requests, tally.posts), (1, 1, 1));
    assert_eq!((tally.complete, tally.written), (1, expected.len() as u64));
}

#[test]
fn an_answer_in_chunks_arrives_whole() {
    let server = start(
        Script::new()
            .send_in_chunks("chunked", 3, Duration::ZERO)
            .fin(),
    );
    assert_eq!(exchange(&server).unwrap(), "chunked");
}

#[test]
fn a_reset_is_a_reset() {
    let server = start(Script::new().read_request().send("half").reset());
    let error = exchange(&server).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_request_can_be_read_in_part() {
    let server = start(Script::new().read(5).send("early").fin());
    let mut client = connect(&server);
    client.write_all(b"POST ").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "early");
    assert_eq!((server.tally().posts, server.tally().complete), (1, 0));
    // What comes after the last step is read, and counted.
    client.write_all(&REQUEST[5..]).unwrap();
    wait_for(&server, |tally| tally.complete == 1);
}

#[test]
fn each_connection_has_its_script_and_the_last_one_repeats() {
    let answers = ["first", "other"];
    let scripts = answers.map(|answer| Script::new().read_request().send(answer).close());
    let server = Server::start(scripts.to_vec(), None).unwrap();
    for expected in ["first", "other", "other"] {
        assert_eq!(exchange(&server).unwrap(), expected);
    }
    assert_eq!((server.tally().connections, server.tally().posts), (3, 3));
}

#[test]
fn requests_on_a_kept_connection_are_counted() {
    let script = Script::new()
        .read_request()
        .send("1")
        .read_request()
        .send("2");
    let server = start(script);
    let mut client = connect(&server);
    for expected in [b"1", b"2"] {
        client.write_all(REQUEST).unwrap();
        let mut answer = [0];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *expected);
    }
    // Nobody answers the third, which is not a POST.
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    wait_for(&server, |tally| tally.complete == 3);
    assert_eq!((server.tally().requests, server.tally().posts), (3, 2));
}

#[test]
fn an_endless_answer_ends_with_its_client_or_its_server() {
    let server = start(Script::new().repeat(vec![b' '; 4096], Duration::ZERO));
    let mut client = connect(&server);
    client.read_exact(&mut vec![0; 1024 * 1024]).unwrap();
    wait_for(&server, |tally| tally.written >= 1024 * 1024);
    // Dropped, it stops although its client goes on reading.
    drop(server);
    let _ = client.read_to_end(&mut Vec::new());
}

#[test]
fn what_nobody_reads_is_bounded() {
    let server = start(Script::new().repeat(vec![b' '; 4096], Duration::ZERO));
    let _client = connect(&server);
    let capacity = unread_capacity();
    wait_for(&server, |tally| tally.written >= capacity / 2);
    // It stays so: the bound is that of the conformance run, less what a client may read.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(100) {
        assert!(
            server.tally().written <= 2 * capacity,
            "{:?}",
            server.tally()
        );
        std::thread::yield_now();
    }
}

#[test]
fn tls_is_ended_with_and_without_close_notify() {
    let authority = Authority::new();
    let config = Arc::new(client_config([authority.root()]));
    for (script, error) in [
        (Script::new().read_request().send("hello").close(), None),
        (
            Script::new().read_request().send("hello").fin(),
            Some(io::ErrorKind::UnexpectedEof),
        ),
    ] {
        let tls = authority.server_config(Leaf::Valid);
        let server = Server::start(vec![script], Some(tls)).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut client = StreamOwned::new(connection, connect(&server));
        client.write_all(REQUEST).unwrap();
        let mut answer = Vec::new();
        let ended = client.read_to_end(&mut answer);
        assert_eq!(answer, b"hello");
        assert_eq!(ended.err().map(|error| error.kind()), error);
        assert_eq!(server.tally().posts, 1);
    }
}

#[test]
fn a_closed_port_refuses_and_a_black_hole_swallows() {
    let connect = |address: SocketAddr| {
        let timeout = Duration::from_millis(200);
        TcpStream::connect_timeout(&address, timeout)
            .unwrap_err()
            .kind()
    };
    let closed = ClosedPort::bind().unwrap();
    assert_eq!(connect(closed.address()), io::ErrorKind::ConnectionRefused);
    let hole = BlackHole::bind().unwrap();
    assert_eq!(connect(hole.address()), io::ErrorKind::TimedOut);
}
