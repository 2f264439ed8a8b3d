//! Exchanges a code for tokens, reads the account, and refreshes the tokens.
//!
//! The server is a sandbox on this machine. Run it with `cargo run --example exchange`.

use std::error::Error;

use dropbox_sign_oauth_hyper::{RetryPolicy, State, TokenSet, Transport, UnixTime};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start()?;
    let app = sandbox.app(); // in production, App::new(client_id, client_secret)?
    let transport = Transport::new()?;

    // Keep the state in the browser session, and redirect the user.
    let state = State::random();
    println!("redirect to {}", app.authorize_url(&state));

    // The user approves and returns to the callback with this query.
    let code = sandbox.issue_code(&state);
    let query = format!("code={code}&state={}", state.as_str());

    // A code can be exchanged once. `Debug` redacts the tokens.
    let code = app.callback(&query, &state)?;
    let response = transport.send(app.generate(code)).await?;
    let tokens = TokenSet::new(response, UnixTime::now());
    println!("{tokens:#?}");

    // An account request is safe to repeat, so it can be retried.
    let account = app.account(&tokens.access_token);
    let policy = RetryPolicy::default().attempts(3);
    let account = transport.send_with_retry(account, policy).await?;
    println!("connected to {}", account.email_address);

    if let Some(refresh_token) = &tokens.refresh_token {
        let refreshed = transport.send(app.refresh(refresh_token)).await?;
        println!("expires: {:?}", refreshed.expiry);
    }
    Ok(())
}
