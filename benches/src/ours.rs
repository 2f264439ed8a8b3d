//! The work as `dropbox-sign-oauth` does it.

use dropbox_sign_oauth::{
    App, AuthorizationCode, CallbackError, Endpoints, Error, Operation, State, TokenResponse,
};
use http::Response;

use crate::fixture;

/// The name of this subject.
pub const NAME: &str = "dropbox-sign-oauth";

/// The app at the vendor's endpoints.
///
/// # Panics
/// Never: its settings are constants.
#[must_use]
pub fn app() -> App {
    App::new(fixture::CLIENT_ID, fixture::CLIENT_SECRET).expect("the vendor's example")
}

/// The app below another base.
///
/// # Panics
/// If `base` is no endpoint.
#[must_use]
pub fn app_at(base: &str) -> App {
    App::builder(fixture::CLIENT_ID, fixture::CLIENT_SECRET)
        .endpoints(Endpoints::at(base).expect("an endpoint"))
        .build()
        .expect("the vendor's example")
}

/// The state of the session.
///
/// # Panics
/// Never: it is a constant.
#[must_use]
pub fn state() -> State {
    State::from_stored(fixture::STATE).expect("the vendor's example")
}

/// A code whose callback was checked.
///
/// # Panics
/// Never: it is a constant.
#[must_use]
pub fn code() -> AuthorizationCode {
    AuthorizationCode::new(fixture::CODE, state()).expect("the vendor's example")
}

/// Reads a callback.
///
/// # Errors
/// As [`App::callback`].
pub fn callback(app: &App, query: &str, state: &State) -> Result<AuthorizationCode, CallbackError> {
    app.callback(query, state)
}

/// Builds the request, and reads the response to it.
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
