//! Each read and each write of a call through a client of the caller fails once.

#[path = "../src/client/faulty.rs"]
mod faulty;

use std::time::Duration;

use dropbox_sign_oauth_hyper::{CallError, RequestBody, State, Transport};
use dropbox_sign_oauth_testkit::{sandbox::Sandbox, tls::client_config};
use faulty::{FaultyConnector, Fuse};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_service::Service;

fn transport(
    sandbox: &Sandbox,
    fuse: &Fuse,
) -> Transport<
    impl Service<
        http::Request<RequestBody>,
        Response = http::Response<hyper::body::Incoming>,
        Error = hyper_util::client::legacy::Error,
    > + Clone,
> {
    let tls = client_config(sandbox.root_certificate());
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(FaultyConnector(tcp, fuse.clone()));
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector);
    Transport::builder()
        .deadline(Duration::from_secs(60))
        .build_with_service(client)
}

#[tokio::test]
async fn each_failure_of_io_is_classified() {
    for sandbox in [
        Sandbox::start().unwrap(),
        Sandbox::builder().tls().start().unwrap(),
    ] {
        let fuse = Fuse::default();
        let transport = transport(&sandbox, &fuse);
        // Whether each failed call was not sent.
        let mut not_sent = Vec::new();
        for k in 0.. {
            fuse.set(k);
            let state = State::random();
            let issued = sandbox.issue_code(&state);
            let query = format!("code={issued}&state={}", state.as_str());
            let app = sandbox.app();
            let code = app.callback(&query, &state).unwrap();
            match transport.send(app.generate(code)).await {
                Ok(_) => break,
                Err(CallError::NotSent(_)) => not_sent.push(true),
                Err(CallError::Unknown { .. }) => not_sent.push(false),
                Err(error) => panic!("{error:?}"),
            }
            // Only its own requests: one of the round before may arrive this late.
            let requests = sandbox.requests();
            let bodies = requests.iter().map(|it| String::from_utf8_lossy(&it.body));
            let seen = bodies.filter(|body| body.contains(&issued)).count();
            assert!(seen <= usize::from(not_sent.last() == Some(&false)));
        }
        // At first nothing is sent; once something was, no call is *not sent* again.
        assert!(not_sent.is_sorted_by(|a, b| a >= b), "{not_sent:?}");
        assert_eq!(not_sent.last(), Some(&false), "{not_sent:?}");
        let tls = sandbox.root_certificate().is_some();
        assert!(!tls || not_sent.contains(&true), "{not_sent:?}");
    }
}
