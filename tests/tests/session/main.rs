//! Tests the sessions of both adapters.

mod blocking;
mod processes;
mod refresh;
mod rejections;
mod service;
mod store;
mod storing;

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use dropbox_sign_oauth::{
    Account, App, CallError, RetryPolicy, Token, TokenSet,
    session::{SendError, SessionError, SessionPolicy},
};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_ureq as ureq;
use http::{Request, Response};
use tokio::runtime::{self, Runtime};
use ureq::{SessionOptions, Store};

/// A timeout for failures. Tests that pass do not wait for it.
const DEADLINE: Duration = Duration::from_secs(60);

const KEY: &str = "user-17";

const ADAPTERS: [&str; 2] = ["hyper", "ureq"];

// Records.

fn record(refresh: &str, at: u64, expires_at: u64) -> String {
    format!(
        r#"{{"format":2,"version":9,"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"{refresh}","at":{at},"claim":null,"failures":0,"rejections":0,"access_token":"a0","refresh_token":"r0","expires_at":{expires_at}}}"#
    )
}

/// A record whose refresh is due and whose access token has expired.
fn expired() -> String {
    record("due", 1, 1)
}

/// A record whose refresh is due and whose access token is still valid.
fn due() -> String {
    record("due", 1, 5_000_000_000)
}

/// A record whose access token is valid and whose refresh is not due.
fn fresh() -> String {
    record("due", 4_000_000_000, 5_000_000_000)
}

fn tokens(access_token: &str) -> TokenSet {
    TokenSet {
        access_token: Token::new(access_token).unwrap(),
        refresh_token: None,
        expires_at: None,
    }
}

// Sessions.

/// The sessions of either adapter, with a blocking interface.
#[derive(Clone)]
enum Sessions {
    Hyper(hyper::Sessions, Arc<Runtime>),
    Ureq(ureq::Sessions),
}

/// A session of either adapter, with a blocking interface.
#[derive(Clone)]
enum Session {
    Hyper(hyper::Session, Arc<Runtime>),
    Ureq(ureq::Session),
}

/// A lease that does not expire during a test.
const LONG_LEASE: Duration = Duration::from_secs(600);

fn options(lease: Duration) -> SessionOptions {
    SessionOptions::default().policy(policy(lease)).flush_timeout(DEADLINE)
}

fn policy(lease: Duration) -> SessionPolicy {
    SessionPolicy::default()
        .lease(lease)
        .clock_tolerance(Duration::from_secs(1))
        .retry(RetryPolicy::default().attempts(1))
        // Longer than any test. Tests of a store that hangs set a shorter one.
        .store_timeout(DEADLINE)
}

fn hyper_sessions(
    app: &App,
    store: impl Store + 'static,
    options: SessionOptions,
) -> hyper::Sessions {
    let transport = hyper::Transport::builder().deadline(DEADLINE).build();
    let store = hyper::Blocking::new(store);
    hyper::Sessions::with_options(app.clone(), transport.unwrap(), store, options)
}

fn ureq_sessions(
    app: &App,
    store: impl Store + 'static,
    options: SessionOptions,
) -> ureq::Sessions {
    let transport = ureq::Transport::builder().deadline(DEADLINE).build();
    ureq::Sessions::with_options(app.clone(), transport.unwrap(), store, options)
}

impl Sessions {
    fn new(adapter: &str, app: &App, store: impl Store + 'static) -> Self {
        Self::with_options(adapter, app, store, options(LONG_LEASE))
    }

    fn with_options(
        adapter: &str,
        app: &App,
        store: impl Store + 'static,
        options: SessionOptions,
    ) -> Self {
        if adapter == "ureq" {
            return Self::Ureq(ureq_sessions(app, store, options));
        }
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let sessions = hyper_sessions(app, store, options);
        Self::Hyper(sessions, Arc::new(runtime.unwrap()))
    }

    fn get(&self, key: &str) -> Session {
        match self {
            Self::Hyper(sessions, runtime) => {
                Session::Hyper(sessions.get(key), Arc::clone(runtime))
            }
            Self::Ureq(sessions) => Session::Ureq(sessions.get(key)),
        }
    }

    fn flush(&self) -> Result<(), SessionError> {
        match self {
            Self::Hyper(sessions, runtime) => runtime.block_on(sessions.flush()),
            Self::Ureq(sessions) => sessions.flush(),
        }
    }
}

impl Session {
    fn new(adapter: &str, app: &App, store: impl Store + 'static) -> Self {
        Sessions::new(adapter, app, store).get(KEY)
    }

    fn access_token(&self) -> Result<Token, SessionError> {
        match self {
            Self::Hyper(session, runtime) => runtime.block_on(session.access_token()),
            Self::Ureq(session) => session.access_token(),
        }
    }

    fn replace_tokens(&self, tokens: TokenSet) -> Result<(), SessionError> {
        match self {
            Self::Hyper(session, runtime) => runtime.block_on(session.replace_tokens(tokens)),
            Self::Ureq(session) => session.replace_tokens(tokens),
        }
    }

    fn flush(&self) -> Result<(), SessionError> {
        match self {
            Self::Hyper(session, runtime) => runtime.block_on(session.flush()),
            Self::Ureq(session) => session.flush(),
        }
    }

    fn end(&self) -> Result<(), SessionError> {
        match self {
            Self::Hyper(session, runtime) => runtime.block_on(session.end()),
            Self::Ureq(session) => session.end(),
        }
    }

    fn account(&self, app: &App) -> Result<Account, SendError<CallError>> {
        let operation = |token: &Token| app.account(token);
        match self {
            Self::Hyper(session, runtime) => runtime.block_on(session.send(operation)),
            Self::Ureq(session) => session.send(operation),
        }
    }

    fn authorize(&self, request: Request<&'static str>) -> Request<&'static str> {
        let authorized = match self {
            Self::Hyper(session, runtime) => runtime.block_on(session.authorize(request)),
            Self::Ureq(session) => session.authorize(request),
        };
        authorized.unwrap()
    }

    /// Sends a request through a client whose responses have these statuses, in order. Returns the
    /// `Authorization` headers that the client received, and the outcome.
    fn send_request(&self, statuses: &[u16]) -> (Vec<String>, Result<u16, String>) {
        let credentials = Mutex::new(Vec::new());
        let statuses = Mutex::new(statuses.iter());
        let respond = |request: Request<&'static str>| {
            let header = request.headers()["authorization"].to_str().unwrap();
            credentials.lock().unwrap().push(header.to_owned());
            assert_eq!(*request.body(), "body");
            let mut response = Response::new(());
            let status = *statuses.lock().unwrap().next().expect("no more requests");
            *response.status_mut() = status.try_into().unwrap();
            Ok::<_, String>(response)
        };
        let request = Request::new("body");
        let outcome = match self {
            Self::Hyper(session, runtime) => {
                let respond = |request| std::future::ready(respond(request));
                runtime.block_on(session.send_request(&request, respond))
            }
            Self::Ureq(session) => session.send_request(&request, respond),
        };
        let outcome = outcome.map(|response| response.status().as_u16());
        let outcome = outcome.map_err(|error| error.to_string());
        (credentials.into_inner().unwrap(), outcome)
    }

    /// Requests an access token on another thread.
    fn spawn_access_token(&self) -> thread::JoinHandle<Result<Token, SessionError>> {
        let session = self.clone();
        thread::spawn(move || session.access_token())
    }
}

/// Requests an access token on another thread. Retries while the store fails.
fn spawn_access_token_until_ok(
    session: &Session,
) -> thread::JoinHandle<Result<Token, SessionError>> {
    let session = session.clone();
    thread::spawn(move || {
        loop {
            match session.access_token() {
                Err(SessionError::Store(_)) => thread::sleep(Duration::from_millis(1)),
                outcome => return outcome,
            }
        }
    })
}

fn exposed(outcome: thread::Result<Result<Token, SessionError>>) -> String {
    outcome.unwrap().unwrap().expose().to_owned()
}
