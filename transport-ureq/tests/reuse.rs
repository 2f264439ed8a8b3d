//! Pooled connections: when they are used, and what happens when they are stale.

mod support;

use std::{
    io,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use dropbox_sign_oauth_ureq::CallError;
use support::{Peer, Server, TOKENS, account, builder, generate, ok, refresh, token_server};

/// A server that responds to the first request of its first connection and does `play` with the
/// second one. Further connections get `rest`.
fn server(
    tls: bool,
    play: fn(&mut Peer) -> io::Result<()>,
    rest: fn(&mut Peer) -> io::Result<()>,
) -> Server {
    Server::with_tls(tls, move |number, peer| {
        if number > 0 {
            return rest(peer);
        }
        respond(peer)?;
        play(peer)
    })
}

fn respond(peer: &mut Peer) -> io::Result<()> {
    peer.read_request()?;
    peer.send(ok(TOKENS))
}

fn read_and_close(peer: &mut Peer) -> io::Result<()> {
    peer.read_request().map(drop)
}

fn read_and_reset(peer: &mut Peer) -> io::Result<()> {
    peer.read_request()?;
    peer.reset()
}

#[test]
fn stale_connection_is_replaced_for_safe_request() {
    for play in [read_and_close, read_and_reset] {
        for tls in [false, true] {
            let server = server(tls, play, respond);
            let transport = builder().build().unwrap();
            refresh(&transport, &server.base()).unwrap();
            refresh(&transport, &server.base()).unwrap();
            assert_eq!((server.connections(), server.requests().len()), (2, 3));
        }
    }
}

#[test]
fn connection_that_was_closed_while_idle_is_not_reused() {
    for tls in [false, true] {
        let server = server(tls, |_| Ok(()), respond);
        let transport = builder().build().unwrap();
        refresh(&transport, &server.base()).unwrap();
        thread::sleep(Duration::from_millis(50));
        refresh(&transport, &server.base()).unwrap();
        assert_eq!((server.connections(), server.requests().len()), (2, 2));
    }
}

#[test]
fn request_is_resent_once() {
    let server = server(false, read_and_close, read_and_close);
    let transport = builder().build().unwrap();
    refresh(&transport, &server.base()).unwrap();
    let error = refresh(&transport, &server.base()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert_eq!((server.connections(), server.requests().len()), (2, 3));
}

#[test]
fn resend_uses_a_new_connection() {
    // Two stale connections in the pool: the first requests wait for each other.
    let both = Arc::new(Barrier::new(2));
    let server = Server::start(move |number, peer| {
        if number >= 2 {
            return respond(peer);
        }
        peer.read_request()?;
        both.wait();
        peer.send(ok(TOKENS))?;
        read_and_close(peer)
    });
    let transport = builder().build().unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| refresh(&transport, &server.base()).unwrap());
        }
    });
    refresh(&transport, &server.base()).unwrap();
    assert_eq!((server.connections(), server.requests().len()), (3, 4));
}

#[test]
fn refused_resend_is_unknown() {
    // The listener of the second server is closed with the first connection.
    let (closed, closing) = std::sync::mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        closed.send(()).unwrap();
        let mut request = [0; 4096];
        while !request.contains(&b'}') {
            let _ = stream.read(&mut request).unwrap();
        }
        stream.write_all(ok(TOKENS).as_bytes()).unwrap();
        let _ = stream.read(&mut request).unwrap();
    });
    let transport = builder().build().unwrap();
    refresh(&transport, &base).unwrap();
    closing.recv().unwrap();
    let error = refresh(&transport, &base).unwrap_err();
    // The first attempt may have reached the server.
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn started_response_is_not_requested_again() {
    let server = server(
        false,
        |peer| {
            peer.read_request()?;
            peer.send("H")
        },
        respond,
    );
    let transport = builder().build().unwrap();
    refresh(&transport, &server.base()).unwrap();
    let error = refresh(&transport, &server.base()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[test]
fn late_response_is_not_requested_again() {
    let server = server(
        false,
        |peer| {
            peer.read_request()?;
            peer.wait_for_close()
        },
        respond,
    );
    let transport = builder().deadline(Duration::from_millis(500)).build();
    let transport = transport.unwrap();
    refresh(&transport, &server.base()).unwrap();
    let error = refresh(&transport, &server.base()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[test]
fn request_on_new_connection_is_not_resent() {
    for tls in [false, true] {
        let server = Server::with_tls(tls, |_, peer| read_and_close(peer));
        let transport = builder().build().unwrap();
        let error = account(&transport, &server.base()).unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        assert_eq!((server.connections(), server.requests().len()), (1, 1));
    }
}

#[test]
fn code_is_sent_on_new_connection() {
    let server = token_server(false);
    let transport = builder().build().unwrap();
    refresh(&transport, &server.base()).unwrap();
    refresh(&transport, &server.base()).unwrap();
    assert_eq!(server.connections(), 1);
    generate(&transport, &server.base()).unwrap();
    assert_eq!(server.connections(), 2);
    generate(&transport, &server.base()).unwrap();
    assert_eq!(server.connections(), 3);
}
