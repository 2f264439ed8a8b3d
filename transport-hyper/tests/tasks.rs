//! A call ends by its deadline and leaves no task behind, whatever the server sends.
#![cfg(feature = "http2")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_hyper::{CallError, Transport};
use dropbox_sign_oauth_testkit::{
    fault::http2,
    peer::{Peer, Script},
    samples::{ACCOUNT, TOKENS, app_at, code, ok, token},
    tls::{Authority, Leaf},
};
use rustls::ServerConfig;
use tokio::runtime::{Builder, Handle};

/// How long a connection may take to close, on a busy machine.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// Enough for a flood to fill the buffers of a connection.
const DEADLINE: Duration = Duration::from_secs(1);

/// Waits until the runtime has no task but the test.
async fn all_tasks_end() {
    let started = Instant::now();
    while Handle::current().metrics().num_alive_tasks() > 0 {
        assert!(started.elapsed() < CLOSING_TIME, "a task is left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server that plays `script` with HTTP/2, and a transport that trusts it.
fn start(script: impl FnOnce(Script) -> Script) -> (Peer, Transport) {
    let authority = Authority::new();
    let mut tls = ServerConfig::clone(&authority.server_config(Leaf::Valid));
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let script = script(Script::http2().send(http2::preface()).read_request());
    let peer = Peer::start([script], Some(Arc::new(tls))).unwrap();
    let builder = Transport::builder().deadline(DEADLINE).http2();
    let builder = builder.extra_root(authority.root());
    (peer, builder.build().unwrap())
}

/// A server that sends `response`, and then PINGs without reading, so that the client can send no
/// more.
fn flooding(response: &[u8]) -> (Peer, Transport) {
    let pings = http2::ping().repeat(1000);
    start(|script| script.send(response).repeat(pings, Duration::ZERO))
}

fn response() -> Vec<u8> {
    http2::json(http2::FIRST_STREAM, &[], TOKENS.as_bytes())
}

#[tokio::test]
async fn a_flood_of_pings_outlasts_no_call() {
    for response in [response(), Vec::new()] {
        let (peer, transport) = flooding(&response);
        let started = Instant::now();
        let outcome = transport.send(app_at(&peer.https()).generate(code())).await;
        assert!(started.elapsed() < DEADLINE * 2);
        match outcome {
            Ok(_) => assert!(!response.is_empty()),
            Err(CallError::Unknown { .. }) => assert!(response.is_empty()),
            Err(error) => panic!("{error:?}"),
        }
        all_tasks_end().await;
    }
}

#[tokio::test]
async fn a_pooled_connection_ends_with_its_transport() {
    let (peer, transport) = flooding(&response());
    let refresh = app_at(&peer.https()).refresh(&token());
    transport.send(refresh).await.unwrap();
    assert!(Handle::current().metrics().num_alive_tasks() > 0);
    drop(transport);
    all_tasks_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_connection_ends_with_its_transport() {
    let (peer, transport) = start(|script| script.send(response()));
    let app = app_at(&peer.https());
    transport.connect_ahead(&app);
    transport.send(app.generate(code())).await.unwrap();
    assert_eq!(peer.tally().connections, 1);
    for _ in 0..9 {
        transport.connect_ahead(&app);
    }
    peer.wait_for(|tally| tally.connections == 3);
    drop(transport);
    all_tasks_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_canceled_closes_its_connection() {
    let peer = Peer::start([Script::new().read_request()], None).unwrap();
    let app = app_at(&peer.http());
    let transport = Transport::new().unwrap();
    let brief = Duration::from_millis(100);
    let generate = transport.send(app.generate(code()));
    assert!(tokio::time::timeout(brief, generate).await.is_err());
    let account = transport.send(app.account(&token()));
    assert!(tokio::time::timeout(brief, account).await.is_err());
    peer.wait_for(|tally| tally.ended == 2);
    all_tasks_end().await;
}

#[test]
fn a_connection_ends_with_its_runtime() {
    let account = |script: Script| script.read_request().send(ok(ACCOUNT));
    let peer = Peer::start([account(account(Script::new()))], None).unwrap();
    let transport = Transport::new().unwrap();
    for runtimes in 1..4 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        for _ in 0..2 {
            let call = transport.send(app_at(&peer.http()).account(&token()));
            runtime.block_on(call).unwrap();
        }
        assert_eq!(peer.tally().connections, runtimes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_the_pool() {
    const TASKS: usize = 8;
    let script = (0..160).fold(Script::new(), |script, _| script.read_request().send(ok(ACCOUNT)));
    let peer = Peer::start([script], None).unwrap();
    let transport = Transport::new().unwrap();
    let tasks = [(); TASKS].map(|()| {
        let (transport, app) = (transport.clone(), app_at(&peer.http()));
        tokio::spawn(async move {
            for _ in 0..20 {
                transport.send(app.account(&token())).await.unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert!(peer.tally().connections <= TASKS, "{:?}", peer.tally());
}
