//! Uses the core with reqwest instead of an adapter, by the same rules as the adapters.
//!
//! `cargo run --example reqwest`

use std::error::Error;

use dropbox_sign_oauth::{
    DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, Operation, ResponseCollector,
    State,
};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;

/// A client with one deadline and without redirects, retries, environment proxies or connection
/// reuse.
fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(DEFAULT_CONNECT_TIMEOUT)
        .timeout(DEFAULT_DEADLINE)
        .build()
}

/// Sends an operation, and limits the size of the body as it arrives.
async fn send<O: Operation>(
    client: &reqwest::Client,
    operation: O,
) -> Result<O::Output, Box<dyn Error>> {
    let mut response = client.execute(operation.request().try_into()?).await?;
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = response.status();
    head.headers = std::mem::take(response.headers_mut());
    let mut collector = ResponseCollector::new(head, DEFAULT_BODY_LIMIT);
    let body = async {
        collector.reserve()?;
        while let Some(chunk) = response.chunk().await? {
            collector.push(&chunk)?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let response = match body.await {
        Ok(()) => collector.finish(),
        Err(error) => collector.interrupted(error)?,
    };
    Ok(operation.parse(response)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // reqwest's feature `rustls-no-provider` requires a default provider.
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().map_err(|_| "a default provider is already installed")?;

    let sandbox = Sandbox::start()?;
    let (app, client) = (sandbox.app(), client()?);

    let state = State::random();
    let query = format!("code={}&state={}", sandbox.issue_code(&state), state.as_str());
    let tokens = send(&client, app.generate(app.callback(&query, &state)?)).await?;
    let account = send(&client, app.account(&tokens.access_token)).await?;
    println!("connected to {}", account.email_address);
    Ok(())
}
