//! Connections that are opened ahead of a code.

use std::collections::BTreeSet;

use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{TOKENS, app_at, code, ok},
    tls::{Authority, Leaf},
};
use dropbox_sign_oauth_ureq::Transport;

/// A transport, a peer that plays these scripts over TLS, and its base.
fn start(scripts: impl IntoIterator<Item = Script>) -> (Transport, Peer, String) {
    let authority = Authority::new();
    let peer = Peer::start(scripts, Some(authority.server_config(Leaf::Valid))).unwrap();
    let transport = Transport::builder().extra_root(authority.root()).build().unwrap();
    let base = peer.https();
    (transport, peer, base)
}

fn server() -> Script {
    Script::new().read_request().send(ok(TOKENS))
}

fn generate(transport: &Transport, base: &str) {
    transport.send(app_at(base).generate(code())).unwrap();
}

#[test]
fn codes_in_a_row_use_connections_that_are_already_open() {
    let (transport, peer, base) = start([server()]);
    generate(&transport, &base);
    generate(&transport, &base);
    peer.wait_for(|tally| tally.connections == 4);
    generate(&transport, &base);
    let used: Vec<_> = peer.received().iter().map(|request| request.connection).collect();
    assert!(used[2] < 4, "{used:?}");
    assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), 3, "{used:?}");
}

#[test]
fn uses_the_connection_that_was_asked_for() {
    let (transport, peer, base) = start([server()]);
    transport.connect_ahead(&app_at(&base));
    generate(&transport, &base);
    assert_eq!(peer.tally().connections, 1);
    // A refresh does not use it, since pooled connections do.
    transport.connect_ahead(&app_at(&base));
    peer.wait_for(|tally| tally.connections == 2);
    transport.send(app_at(&base).account(&"NWNi".parse().unwrap())).unwrap_err();
    assert_eq!(peer.tally().connections, 3);
}

#[test]
fn replaces_a_connection_that_the_server_has_closed() {
    let timeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    // A write after the end fails, which ends the connection at the peer.
    let ended = Script::new().fin().send(timeout);
    for dead in [Script::new().reset(), Script::new().send(timeout), ended] {
        let (transport, peer, base) = start([dead, server()]);
        transport.connect_ahead(&app_at(&base));
        peer.wait_for(|tally| tally.ended == 1 || tally.written > 0);
        generate(&transport, &base);
        assert_eq!(peer.received()[0].connection, 1);
    }
}

#[test]
fn closes_the_connections_of_a_transport_that_is_dropped() {
    let (transport, peer, base) = start([server()]);
    transport.connect_ahead(&app_at(&base));
    peer.wait_for(|tally| tally.connections == 1);
    drop(transport);
    peer.wait_for(|tally| tally.ended == 1);
    assert_eq!(peer.tally().connections, 1);
}
