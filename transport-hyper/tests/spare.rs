//! Connections that are opened ahead of a code.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use dropbox_sign_oauth_hyper::{CallError, Transport};
use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{TOKENS, app_at, code, ok, token},
};
use tokio::{runtime::Handle, task::yield_now};

/// A connection that could serve two requests.
fn script() -> Script {
    Script::new().read_request().send(ok(TOKENS)).read_request().send(ok(TOKENS))
}

/// The number of the connection of each request.
fn connections(peer: &Peer) -> Vec<usize> {
    peer.received().iter().map(|request| request.connection).collect()
}

#[tokio::test]
async fn only_a_code_uses_the_connection_that_was_opened_ahead() {
    let peer = Peer::start([script()], None).unwrap();
    let app = app_at(&peer.http());
    let transport = Transport::new().unwrap();
    transport.connect_ahead(&app);
    transport.send(app.refresh(&token())).await.unwrap();
    transport.send(app.generate(code())).await.unwrap();
    transport.connect_ahead(&app);
    // The connection is still being opened.
    transport.send(app.generate(code())).await.unwrap();
    let mut used = connections(&peer);
    used.sort_unstable();
    assert_eq!(used, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_in_a_row_use_new_connections_that_were_opened_ahead() {
    let peer = Peer::start([script()], None).unwrap();
    let app = app_at(&peer.http());
    let transport = Transport::new().unwrap();
    for login in 1..6 {
        transport.send(app.generate(code())).await.unwrap();
        // The second opens two connections ahead, and each of the others one.
        let expected = if login == 1 { 1 } else { login + 2 };
        peer.wait_for(|tally| tally.connections == expected);
    }
    let mut used = connections(&peer);
    used.sort_unstable();
    used.dedup();
    assert_eq!((used.len(), peer.tally().posts), (5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_that_was_closed_is_replaced() {
    let peer = Peer::start([Script::new().reset(), script()], None).unwrap();
    let app = app_at(&peer.http());
    let transport = Transport::new().unwrap();
    transport.connect_ahead(&app);
    peer.wait_for(|tally| tally.ended == 1);
    transport.send(app.generate(code())).await.unwrap();
    assert_eq!(connections(&peer), [1]);
}

#[tokio::test]
async fn a_code_that_was_received_is_not_sent_again() {
    let close = Script::new().read_request().reset();
    let peer = Peer::start([close, script()], None).unwrap();
    let app = app_at(&peer.http());
    let transport = Transport::new().unwrap();
    transport.connect_ahead(&app);
    let error = transport.send(app.generate(code())).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert_eq!((peer.tally().posts, peer.tally().connections), (1, 1));
}

#[test]
fn a_spare_that_was_closed_while_the_runtime_was_not_polled_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = app_at(&format!("http://{}", listener.local_addr().unwrap()));
    let transport = Transport::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        transport.connect_ahead(&app);
        // The task that opens the connection, and the task of the connection.
        while Handle::current().metrics().num_alive_tasks() < 2 {
            yield_now().await;
        }
        yield_now().await;
    });
    drop(listener.accept().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        while !request.contains(&b'}') {
            assert_ne!(stream.read(&mut request).unwrap(), 0);
        }
        stream.write_all(ok(TOKENS).as_bytes()).unwrap();
    });
    runtime.block_on(transport.send(app.generate(code()))).unwrap();
    server.join().unwrap();
}

#[tokio::test]
async fn nothing_is_opened_ahead_where_plain_http_is_not_allowed() {
    // This address leads nowhere.
    let app = app_at("http://192.0.2.1:1");
    Transport::new().unwrap().connect_ahead(&app);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}
