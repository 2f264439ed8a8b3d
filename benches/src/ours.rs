//! The work with `dropbox-sign-oauth`.

use dropbox_sign_oauth::{
    App, AppBuilder, AuthorizationCode, Endpoints, Error, Operation, State, TokenResponse,
};
use http::Response;

use crate::fixture;

/// The name of this subject.
pub const NAME: &str = "dropbox-sign-oauth";

/// Returns the app at the vendor's endpoints.
///
/// # Panics
/// Never: its settings are valid.
#[must_use]
pub fn app() -> App {
    App::new(fixture::CLIENT_ID, fixture::CLIENT_SECRET).expect("valid settings")
}

/// Returns a builder of an app at other endpoints.
///
/// # Panics
/// If `base` is invalid.
pub fn builder(client_id: &str, base: &str) -> AppBuilder {
    let endpoints = Endpoints::at(base).expect("a valid base");
    App::builder(client_id, fixture::CLIENT_SECRET).endpoints(endpoints)
}

/// Returns a checked code.
///
/// # Panics
/// Never: the code is valid.
#[must_use]
pub fn code() -> AuthorizationCode {
    let state = State::from_stored(fixture::STATE).expect("a valid state");
    AuthorizationCode::new(fixture::CODE, state).expect("a valid code")
}

/// Builds the request and parses the response.
///
/// # Errors
/// As [`Operation::parse`].
pub fn exchange(
    app: &App,
    code: AuthorizationCode,
    response: Response<Vec<u8>>,
) -> Result<TokenResponse, Error> {
    let operation = app.generate(code);
    drop(std::hint::black_box(operation.request()));
    operation.parse(response)
}
