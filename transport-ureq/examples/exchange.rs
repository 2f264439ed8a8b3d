//! A login from the authorize page to the first refresh, against the sandbox of the testkit.
//!
//! `cargo run --example exchange`

use std::error::Error;

use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{App, State, TokenSet, Transport, UnixTime};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // In production: App::new(client_id, client_secret)?
    let sandbox = Sandbox::start()?;
    let app = sandbox.app();
    let transport = Transport::new()?;

    // Redirect the user to this URL, and keep the state in the user's browser session.
    let state = State::random();
    println!("authorize page: {}", app.authorize_url(&state));

    // The sandbox acts as the user, who approves and is sent to the callback with this query.
    let code = sandbox.issue_code(&state);
    let query = format!("?code={code}&state={}", state.as_str());

    let tokens = finish_login(&app, &transport, &query, &state)?;
    println!("tokens: {tokens:?}");

    // A day later, when the access token expires.
    if let Some(refresh_token) = &tokens.refresh_token {
        let response = transport.send(app.refresh(refresh_token))?;
        println!("new tokens: {:?}", TokenSet::new(response, UnixTime::now()));
    }
    Ok(())
}

/// What the handler of the callback does.
fn finish_login(
    app: &App,
    transport: &Transport,
    query: &str,
    state: &State,
) -> Result<TokenSet, Box<dyn Error>> {
    let code = app.callback(query, state)?;
    let response = transport.send(app.generate(code)).inspect_err(|error| {
        // Whether to start over, to wait, or to fix the configuration.
        eprintln!("{error}; remedy: {:?}", error.remedy());
    })?;
    let tokens = TokenSet::new(response, UnixTime::now());
    let account = transport.send(app.account(&tokens.access_token))?;
    println!("connected to {}", account.email_address);
    Ok(tokens)
}
