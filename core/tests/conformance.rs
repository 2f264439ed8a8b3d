//! The core embedded in reqwest passes the conformance run.

use std::mem;

use dropbox_sign_oauth::{CallError, Failure, Operation, PlainHttp, Replay, ResponseCollector};
use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Setup},
    fault::Outcome,
    tls::client_config,
};

/// What a program with reqwest writes instead of an adapter.
#[derive(Clone)]
struct Reqwest {
    client: reqwest::Client,
    body_limit: usize,
}

impl Reqwest {
    fn new(setup: &Setup) -> Self {
        let mut tls = client_config([setup.root_certificate().clone()]);
        if setup.http2() {
            tls.alpn_protocols = vec![b"h2".to_vec()];
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(setup.deadline())
            .connect_timeout(setup.connect_timeout())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            // A code must not be sent on a pooled connection.
            .pool_max_idle_per_host(0);
        Self { client: client.build().expect("valid settings"), body_limit: setup.body_limit() }
    }

    async fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        let request = operation.request();
        PlainHttp::default()
            .check(request.uri())
            .map_err(|error| CallError::NotSent(Failure::insecure(error)))?;
        let replay = operation.replay();
        let failure = |error| failure(error, replay);
        let request = request.try_into().map_err(failure)?;
        let mut response = self.client.execute(request).await.map_err(failure)?;
        let mut head = http::Response::new(());
        *head.status_mut() = response.status();
        *head.headers_mut() = mem::take(response.headers_mut());
        let mut collector = ResponseCollector::new(head.into_parts().0, self.body_limit);
        let collected = async {
            collector.reserve()?;
            while let Some(chunk) = response.chunk().await.map_err(failure)? {
                collector.push(&chunk)?;
            }
            Ok::<(), CallError>(())
        };
        let response = match collected.await {
            Ok(()) => collector.finish(),
            Err(error) => collector.interrupted(error)?,
        };
        Ok(operation.parse(response)?)
    }
}

fn failure(error: reqwest::Error, replay: Replay) -> CallError {
    if error.is_connect() || error.is_builder() {
        CallError::NotSent(Failure::connect(error))
    } else {
        let failure = Failure::exchange(error);
        CallError::Unknown { failure, replay }
    }
}

#[test]
fn reqwest_conforms() {
    // reqwest limits neither the size of a head nor the headers of HTTP/2, and this program reuses
    // no connection.
    let run = Conformance::new("reqwest")
        .with_http2()
        .allow("head-of-17000-bytes", Outcome::Ok)
        .allow("h2-101-headers", Outcome::Ok)
        .allow("pooled-connection-head-cut", Outcome::Ok)
        .allow("pooled-connection-silence", Outcome::Ok)
        .allow("pooled-connection-fin-then-no-other", Outcome::NotSent);
    let report = run.run_async(|setup| {
        let reqwest = Reqwest::new(setup);
        async move |operation| reqwest.send(operation).await
    });
    println!("{report}");
    report.assert_conforms();
}
