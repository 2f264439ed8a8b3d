//! What tests of a transport send, and what a server responds.

use std::error::Error;

use dropbox_sign_oauth::{App, AuthorizationCode, Endpoints, PlainHttp, State, Token};

/// The secret of [`app_at`]'s app.
pub const CLIENT_SECRET: &str = "1d14434088507ffa390e6f5528465";

/// A body with tokens.
pub const TOKENS: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer"}"#;

/// A body with an account.
pub const ACCOUNT: &str = r#"{"account":{"account_id":"5008b25c","email_address":"a@b.c"}}"#;

/// Returns a 200 with this body, after which the connection stays open.
#[must_use]
pub fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Returns an app whose endpoints are at `base`, which may be plain http to any host.
///
/// # Panics
/// If `base` is not a URL.
#[must_use]
pub fn app_at(base: &str) -> App {
    let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere).expect("a base URL");
    let app = App::builder("cc91c61d00f8bb2ece1428035716b", CLIENT_SECRET);
    app.endpoints(endpoints).build().expect("valid credentials")
}

/// Returns a code, always the same.
#[must_use]
pub fn code() -> AuthorizationCode {
    code_of("1b0d28d90c86c141")
}

/// Returns the code `code`.
///
/// # Panics
/// If it is not visible ASCII.
#[must_use]
pub fn code_of(code: &str) -> AuthorizationCode {
    AuthorizationCode::new(code, State::random()).expect("a valid code")
}

/// Returns a token, always the same.
///
/// # Panics
/// Never: the token is valid.
#[must_use]
pub fn token() -> Token {
    Token::new("hNTI2MTFm").expect("a valid token")
}

/// Returns the messages of an error and its sources.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    let messages: Vec<String> = sources.map(ToString::to_string).collect();
    messages.join(": ")
}
