//! A call ends by its deadline and leaves no task behind, whatever the server sends.
#![cfg(feature = "http2")]

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_hyper::{MAX_RESPONSE_HEADERS, Replay, Transport};
use support::{ACCOUNT, Peer, SHORT, TOKENS, code, http2, is_unknown, token};
use tokio::runtime::Handle;

/// How long a connection may take to close.
const CLOSING_TIME: Duration = Duration::from_millis(1500);

/// Enough for a flood to fill the buffers of a connection.
const DEADLINE: Duration = Duration::from_secs(1);

fn transport(peer: &Peer) -> Transport {
    peer.trusted(Transport::builder().deadline(DEADLINE))
        .http2()
        .build()
        .unwrap()
}

/// Waits until the runtime has no task but the test.
async fn all_tasks_end() {
    let started = Instant::now();
    while Handle::current().metrics().num_alive_tasks() > 0 {
        assert!(started.elapsed() < CLOSING_TIME, "a task is left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server that responds, or does not, and then sends PINGs.
fn flooding(responds: bool) -> Peer {
    Peer::start_tls(&["h2"], move |accepted| {
        http2::handshake(accepted);
        if let Ok(stream) = http2::read_request(accepted) {
            if responds {
                accepted.send(http2::json(stream, 0, TOKENS));
            }
            http2::flood(accepted);
        }
    })
}

#[tokio::test]
async fn a_flood_of_pings_outlasts_no_call() {
    for responds in [true, false] {
        let peer = flooding(responds);
        let transport = transport(&peer);
        let started = Instant::now();
        let outcome = transport.send(peer.app().generate(code())).await;
        assert!(started.elapsed() < DEADLINE * 3 / 2);
        match outcome {
            Ok(_) => assert!(responds),
            Err(error) => assert!(!responds && is_unknown(&error, Replay::Never), "{error:?}"),
        }
        all_tasks_end().await;
    }
}

#[tokio::test]
async fn a_pooled_connection_ends_with_its_transport() {
    let pool = flooding(true);
    let transport = transport(&pool);
    transport.send(pool.app().refresh(&token())).await.unwrap();
    assert!(Handle::current().metrics().num_alive_tasks() > 0);
    drop(transport);
    all_tasks_end().await;
}

#[tokio::test]
async fn a_call_that_is_canceled_closes_its_connection() {
    let peer = Peer::start(|accepted| {
        accepted.read_request();
        accepted.wait();
        accepted.record("closed");
    });
    let transport = Transport::new().unwrap();
    for call in 1..3 {
        let (app, transport) = (peer.app(), transport.clone());
        let call = async move {
            if call == 1 {
                let _ = transport.send(app.generate(code())).await;
            } else {
                let _ = transport.send(app.account(&token())).await;
            }
        };
        assert!(tokio::time::timeout(SHORT, call).await.is_err());
    }
    all_tasks_end().await;
    thread::sleep(SHORT / 3);
    let requests = peer.requests();
    assert_eq!(requests.iter().filter(|it| *it == "closed").count(), 2);
}

#[tokio::test]
async fn http2_connections_are_reused_and_replaced() {
    let peer = Peer::start_tls(&["h2"], |accepted| {
        http2::handshake(accepted);
        for _ in 0..2 {
            let Ok(stream) = http2::read_request(accepted) else {
                return;
            };
            accepted.send(http2::json(stream, 0, ACCOUNT));
        }
        match accepted.number {
            0 => accepted.send(http2::goaway(3)),
            1 => {}
            _ => drop(http2::read_request(accepted)),
        }
    });
    let transport = transport(&peer);
    let app = peer.app();
    for calls in 0..6 {
        transport.send(app.account(&token())).await.unwrap();
        assert_eq!(peer.connections(), 1 + calls / 2);
        // The runtime does not see the end of the connection.
        thread::sleep(SHORT / 10);
    }
    // The response has no token, but it came on a new connection.
    assert!(transport.send(app.generate(code())).await.is_err());
    assert_eq!(peer.connections(), 4);
}

#[tokio::test]
async fn http2_heads_are_limited() {
    // `content-length` is not counted: the response has none.
    for (headers, accepted) in [
        (MAX_RESPONSE_HEADERS, true),
        (MAX_RESPONSE_HEADERS + 1, false),
    ] {
        let peer = Peer::start_tls(&["h2"], move |accepted| {
            http2::handshake(accepted);
            if let Ok(stream) = http2::read_request(accepted) {
                accepted.send(http2::json(stream, headers, TOKENS));
                accepted.wait();
            }
        });
        match transport(&peer).send(peer.app().generate(code())).await {
            Ok(_) => assert!(accepted, "{headers}"),
            Err(error) => assert!(!accepted && is_unknown(&error, Replay::Never), "{error:?}"),
        }
    }
}
