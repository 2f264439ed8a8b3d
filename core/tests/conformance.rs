//! The core embedded in reqwest, through every fault.

use std::mem;

use dropbox_sign_oauth::{CallError, Cause, CauseKind, Operation, PlainHttp, ResponseCollector};
use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Setup},
    tls::client_config,
};

/// What an application that has reqwest writes in the place of an adapter.
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
            // A code must not ride on a connection that the server may just have closed.
            .pool_max_idle_per_host(0);
        Self {
            client: client.build().expect("settings that go together"),
            body_limit: setup.body_limit(),
        }
    }

    async fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        let request = operation.request();
        PlainHttp::default()
            .check(request.uri())
            .map_err(|error| CallError::NotSent(Cause::new(CauseKind::Insecure(error))))?;
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

fn failure(error: reqwest::Error) -> CallError {
    if error.is_connect() || error.is_builder() {
        CallError::NotSent(Cause::with_source(CauseKind::Connect, error))
    } else {
        CallError::Unknown(Cause::with_source(CauseKind::Exchange, error))
    }
}

#[test]
fn an_embedding_in_reqwest_conforms() {
    let report = Conformance::new("reqwest").with_http2().run_async(|setup| {
        let reqwest = Reqwest::new(setup);
        async move |operation| reqwest.send(operation).await
    });
    println!("{report}");
    report.assert_conforms();
}
