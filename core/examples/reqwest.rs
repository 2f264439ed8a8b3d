//! Uses the core with reqwest instead of an adapter, by the same rules as the adapters.
//!
//! `cargo run --example reqwest`

use std::{error::Error, mem, time::Duration};

use dropbox_sign_oauth::{
    CallError, DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, Failure, Operation,
    PlainHttp, Replay, ResponseCollector, State,
};
use dropbox_sign_oauth_testkit::{sandbox::Sandbox, tls::client_config};
use rustls::ClientConfig;

/// A client with one deadline and without redirects, retries, environment proxies or connection
/// reuse, because a code must not be sent on a connection that was used before.
pub(crate) fn client(
    tls: ClientConfig,
    connect_timeout: Duration,
    deadline: Duration,
) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(connect_timeout)
        .timeout(deadline)
        .build()
}

/// Sends an operation, and limits the size of the body as it arrives.
pub(crate) async fn send<O: Operation>(
    client: &reqwest::Client,
    body_limit: usize,
    operation: O,
) -> Result<O::Output, CallError> {
    let (request, replay) = (operation.request(), operation.replay());
    let insecure = |error| CallError::NotSent(Failure::insecure(error));
    PlainHttp::default().check(request.uri()).map_err(insecure)?;
    let failed = |error| failed(error, replay);
    let request = request.try_into().map_err(failed)?;
    let mut response = client.execute(request).await.map_err(failed)?;
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = response.status();
    head.headers = mem::take(response.headers_mut());
    let mut collector = ResponseCollector::new(head, body_limit);
    let body = async {
        collector.reserve()?;
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            collector.push(&chunk)?;
        }
        Ok(())
    };
    let response = match body.await {
        Ok(()) => collector.finish(),
        Err(error) => collector.interrupted::<CallError>(error)?,
    };
    Ok(operation.parse(response)?)
}

fn failed(error: reqwest::Error, replay: Replay) -> CallError {
    if error.is_connect() || error.is_builder() {
        CallError::NotSent(Failure::connect(error))
    } else {
        CallError::Unknown { failure: Failure::exchange(error), replay }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start()?;
    let app = sandbox.app(); // in production, App::new(client_id, client_secret)?
    let tls = client_config(sandbox.root_certificate());
    let client = client(tls, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE)?;

    let state = State::random();
    let query = format!("code={}&state={}", sandbox.issue_code(&state), state.as_str());
    let generate = app.generate(app.callback(&query, &state)?);
    let tokens = send(&client, DEFAULT_BODY_LIMIT, generate).await?;
    let account = send(&client, DEFAULT_BODY_LIMIT, app.account(&tokens.access_token)).await?;
    println!("connected to {}", account.email_address);
    Ok(())
}
