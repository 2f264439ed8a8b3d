//! The work as `dropbox-sign-oauth` does it.

use std::sync::Mutex;

use dropbox_sign_oauth::{
    App, AuthorizationCode, CallbackError, Endpoints, Error, Operation, State, Token,
    TokenResponse, UnixTime,
    session::{Job, Record, Session, SessionPolicy, Step},
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

/// A session whose tokens are good.
///
/// # Panics
/// Never: its record is a constant.
#[must_use]
pub fn session() -> Session {
    let now = UnixTime::from_secs(fixture::NOW);
    let record = format!(
        r#"{{"format":1,"version":1,"grant":1,"refresh":"due","at":{at},"failures":0,"tokens":{{"format":1,"access_token":"{token}","refresh_token":"{token}","expires_at":{at}}}}}"#,
        at = fixture::NOW + 86_400,
        token = fixture::REFRESH_TOKEN,
    );
    let record = Record::from_json(&record).expect("a record");
    let mut session = Session::new(app(), SessionPolicy::default());
    if let Step::Do(Job::Load(load)) = session.poll(now) {
        session.handle_load(now, load, Ok::<_, String>(Some(record)));
    }
    session
}

/// The access token of a session, if it is good at `now`: what both adapters begin with.
///
/// # Panics
/// If another thread has panicked with the session in its hands.
pub fn poll(session: &Mutex<Session>, now: u64) -> Option<Token> {
    match session.lock().unwrap().poll(UnixTime::from_secs(now)) {
        Step::Ready(token) => Some(token),
        _ => None,
    }
}
