//! Logs in, reads the account and refreshes the tokens, against the sandbox of the testkit.
//!
//! `cargo run --example exchange`

use std::error::Error;

use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{App, State, TokenSet, Transport, UnixTime};

fn main() -> Result<(), Box<dyn Error>> {
    // In production: App::new(client_id, client_secret)?
    let sandbox = Sandbox::start()?;
    let app = sandbox.app();
    let transport = Transport::new()?;

    // Redirect the user to this URL, and keep the state in the user's browser session.
    let state = State::random();
    println!("authorize page: {}", app.authorize_url(&state));

    // The user approves and returns to the callback with this query.
    let code = sandbox.issue_code(&state);
    let query = format!("?code={code}&state={}", state.as_str());

    let tokens = finish_login(&app, &transport, &query, &state)?;
    println!("tokens: {tokens:?}");

    // In production, do this when the access token is about to expire, a day later.
    if let Some(refresh_token) = &tokens.refresh_token {
        let response = transport.send(app.refresh(refresh_token))?;
        println!("new tokens: {:?}", TokenSet::new(response, UnixTime::now()));
    }
    Ok(())
}

/// Handles the callback.
fn finish_login(
    app: &App,
    transport: &Transport,
    query: &str,
    state: &State,
) -> Result<TokenSet, Box<dyn Error>> {
    let code = app.callback(query, state)?;
    let response = transport.send(app.generate(code)).inspect_err(|error| {
        // The remedy tells whether to start over, retry later, or fix the configuration.
        eprintln!("{error}; remedy: {:?}", error.remedy());
    })?;
    let tokens = TokenSet::new(response, UnixTime::now());
    let account = transport.send(app.account(&tokens.access_token))?;
    println!("connected to {}", account.email_address);
    Ok(tokens)
}
