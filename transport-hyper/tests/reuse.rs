//! Which requests reuse a connection, and what happens if the server has closed it.

mod support;

use std::{thread, time::Duration};

use dropbox_sign_oauth_hyper::{CallError, Replay, Transport};
use support::{ACCOUNT, Accepted, Peer, TOKENS, chain, code, is_unknown, json, token};

/// How long the server waits for another request.
const KEEP_ALIVE: Duration = Duration::from_millis(30);

fn transport(peer: &Peer) -> Transport {
    peer.trusted(Transport::builder()).build().unwrap()
}

/// Responds to every request of a connection.
fn respond(accepted: &mut Accepted) {
    while let Some(request) = accepted.read_request() {
        let body = if request.starts_with("GET") {
            ACCOUNT
        } else {
            TOKENS
        };
        accepted.send(json(200, body));
    }
}

#[tokio::test]
async fn safe_requests_share_a_connection_and_codes_do_not() {
    let peer = Peer::start(respond);
    let transport = transport(&peer);
    let app = peer.app();
    for _ in 0..3 {
        transport.send(app.account(&token())).await.unwrap();
        transport.send(app.refresh(&token())).await.unwrap();
    }
    assert_eq!(peer.connections(), 1);
    for codes in 1..3 {
        transport.send(app.generate(code())).await.unwrap();
        assert_eq!(peer.connections(), 1 + codes);
    }
    transport.send(app.account(&token())).await.unwrap();
    assert_eq!(peer.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_the_pool() {
    const TASKS: usize = 8;
    let peer = Peer::start(respond);
    let transport = transport(&peer);
    let app = peer.app();
    let tasks = [(); TASKS].map(|()| {
        let (transport, app) = (transport.clone(), app.clone());
        tokio::spawn(async move {
            for _ in 0..20 {
                transport.send(app.account(&token())).await.unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert!(peer.connections() <= TASKS, "{}", peer.connections());
}

#[tokio::test]
async fn a_connection_that_the_server_closed_unseen_is_replaced() {
    let peer = Peer::start(|accepted| {
        let request = accepted.read_request();
        let body = if request.is_some_and(|request| request.starts_with("GET")) {
            ACCOUNT
        } else {
            TOKENS
        };
        accepted.send(json(200, body));
        thread::sleep(KEEP_ALIVE);
    });
    let transport = transport(&peer);
    let app = peer.app();
    for calls in 1..=4 {
        if calls % 2 == 1 {
            transport.send(app.account(&token())).await.unwrap();
        } else {
            transport.send(app.refresh(&token())).await.unwrap();
        }
        assert_eq!(peer.connections(), calls);
        // The runtime is not polled and does not see the end of the connection.
        thread::sleep(KEEP_ALIVE * 2);
    }
    transport.send(app.generate(code())).await.unwrap();
    assert_eq!(peer.requests().len(), 5);
}

#[test]
fn a_connection_ends_with_its_runtime() {
    let peer = Peer::start(respond);
    let transport = transport(&peer);
    let app = peer.app();
    for runtimes in 1..4 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        for _ in 0..2 {
            let call = transport.send(app.account(&token()));
            runtime.block_on(call).unwrap();
        }
        assert_eq!(peer.connections(), runtimes);
    }
}

/// Responds on the first connection, then closes it after reading a request and sending `part`.
fn close_after_request(part: &'static str) -> Peer {
    Peer::start(move |accepted| {
        if accepted.number == 0 {
            accepted.read_request();
            accepted.send(json(200, ACCOUNT));
        }
        accepted.read_request();
        accepted.send(part);
    })
}

#[tokio::test]
async fn a_safe_request_is_sent_once_more_and_no_more() {
    for (part, requests) in [("", 3), ("HTTP/1.1 200", 2)] {
        let peer = close_after_request(part);
        let transport = transport(&peer);
        let app = peer.app();
        transport.send(app.account(&token())).await.unwrap();
        let error = transport.send(app.account(&token())).await.unwrap_err();
        assert!(is_unknown(&error, Replay::Safe), "{error:?}");
        assert!(!error.to_string().contains("code"), "{error}");
        assert_eq!(peer.requests().len(), requests, "{part}");
    }
}

#[tokio::test]
async fn a_code_is_sent_once() {
    for read in [true, false] {
        let peer = Peer::start(move |accepted| {
            if read {
                accepted.read_request();
            }
        });
        let transport = transport(&peer);
        let error = transport.send(peer.app().generate(code())).await;
        let error = error.unwrap_err();
        if read {
            assert!(is_unknown(&error, Replay::Never), "{error:?}");
            assert!(error.to_string().ends_with("; the code may be spent"));
        }
        assert_eq!(
            (peer.connections(), peer.requests().len()),
            (1, read.into())
        );
    }
}

/// A server that closes each connection after it was reused, at a moment that the client cannot
/// see: whichever way it ends, no code is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_once_when_connections_close_at_any_moment() {
    let peer = Peer::start(|accepted| {
        let bytes = accepted.number % 400;
        let mut request = vec![0; bytes];
        let _ = accepted.stream.read_exact(&mut request);
        accepted.reset();
    });
    let transport = transport(&peer);
    for calls in 1..=100 {
        let outcome = transport.send(peer.app().generate(code())).await;
        assert!(!matches!(outcome, Ok(_) | Err(CallError::Answered(_))));
        assert_eq!(peer.connections(), calls);
    }
}

#[tokio::test]
async fn an_error_names_what_failed() {
    let peer = Peer::start(|accepted| drop(accepted.read_request()));
    let error = transport(&peer).send(peer.app().generate(code())).await;
    assert_eq!(
        chain(&error.unwrap_err()),
        "the request may have reached the server: the connection failed; the code may be spent: \
         connection closed before message completed"
    );
}
