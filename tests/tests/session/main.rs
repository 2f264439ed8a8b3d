//! Tests the sessions of both adapters.

mod blocking;
mod exchange;
mod processes;
mod refresh;
mod rejections;
mod service;
mod store;
mod storing;

use std::{
    rc::Rc,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
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

use crate::{service::Service, store::TestStore};

/// A timeout for failures. Tests that pass do not wait for it.
const DEADLINE: Duration = Duration::from_secs(60);

const KEY: &str = "user-17";

const ADAPTERS: [&str; 2] = ["hyper", "ureq"];

/// No record.
const NONE: (u64, u64) = (0, 0);
/// A record whose refresh is due and whose access token has expired.
const EXPIRED: (u64, u64) = (1, 1);
/// A record whose refresh is due and whose access token is still valid.
const DUE: (u64, u64) = (1, 5_000_000_000);
/// A record whose access token is valid and whose refresh is not due.
const FRESH: (u64, u64) = (4_000_000_000, 5_000_000_000);

/// Returns a record with the tokens `a0` and `r0` that is due and expires at these times.
fn record((due_at, expires_at): (u64, u64)) -> String {
    format!(
        r#"{{"format":2,"version":9,"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"due","at":{due_at},"claim":null,"failures":0,"rejections":0,"access_token":"a0","refresh_token":"r0","expires_at":{expires_at}}}"#
    )
}

fn tokens(access_token: &str) -> TokenSet {
    let access_token = Token::new(access_token).unwrap();
    TokenSet { access_token, refresh_token: None, expires_at: None }
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

/// Sessions of one adapter, with their service and their store.
struct Fixture {
    service: Rc<Service>,
    store: Arc<TestStore>,
    sessions: Sessions,
    /// The session of [`KEY`].
    session: Session,
}

/// Runs a test with each adapter, and a store with a record. The test ends without more requests.
fn each_adapter(record: (u64, u64), test: impl Fn(Fixture)) {
    each_adapter_with(&options(LONG_LEASE), record, test);
}

fn each_adapter_with(options: &SessionOptions, record: (u64, u64), test: impl Fn(Fixture)) {
    for adapter in ADAPTERS {
        println!("{adapter}");
        let service = Rc::new(Service::start());
        let store = Arc::new(TestStore::default());
        if record != NONE {
            store.put(KEY, record);
        }
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store), options.clone());
        let session = sessions.get(KEY);
        test(Fixture { service: Rc::clone(&service), store, sessions, session });
        service.assert_no_more_requests();
    }
}

/// Waits until `holds`.
#[track_caller]
fn wait_until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "this did not happen in time");
        thread::sleep(Duration::from_millis(1));
    }
}

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

/// Calls a method of either adapter, and waits for the async one.
macro_rules! call {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self {
            Self::Hyper(it, runtime) => runtime.block_on(it.$method($($argument),*)),
            Self::Ureq(it) => it.$method($($argument),*),
        }
    };
}

impl Sessions {
    fn new(adapter: &str, app: &App, store: impl Store + 'static, options: SessionOptions) -> Self {
        if adapter == "ureq" {
            let transport = ureq::Transport::builder().deadline(DEADLINE).build().unwrap();
            return Self::Ureq(ureq::Sessions::with_options(
                app.clone(),
                transport,
                store,
                options,
            ));
        }
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self::Hyper(hyper_sessions(app, store, options), Arc::new(runtime.unwrap()))
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
        call!(self, flush())
    }
}

impl Session {
    fn access_token(&self) -> Result<Token, SessionError> {
        call!(self, access_token())
    }

    fn replace_tokens(&self, access_token: &str) -> Result<(), SessionError> {
        call!(self, replace_tokens(tokens(access_token)))
    }

    fn flush(&self) -> Result<(), SessionError> {
        call!(self, flush())
    }

    fn end(&self) -> Result<(), SessionError> {
        call!(self, end())
    }

    fn account(&self, app: &App) -> Result<Account, SendError<CallError>> {
        call!(self, send(|token: &Token| app.account(token)))
    }

    fn authorize(&self, request: Request<()>) -> Request<()> {
        call!(self, authorize(request)).unwrap()
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

    /// Returns the access token, which is valid.
    fn token(&self) -> String {
        self.access_token().unwrap().expose().to_owned()
    }

    /// Requests an access token on another thread.
    fn spawn_access_token(&self) -> JoinHandle<Result<Token, SessionError>> {
        self.spawn(Self::access_token)
    }

    /// Requests an access token on another thread. Retries while the store fails.
    fn spawn_token(&self) -> JoinHandle<String> {
        self.spawn(|session| {
            let begun = Instant::now();
            loop {
                match session.access_token() {
                    Err(SessionError::Store(_)) if begun.elapsed() < DEADLINE => {
                        thread::sleep(Duration::from_millis(1));
                    }
                    outcome => return outcome.unwrap().expose().to_owned(),
                }
            }
        })
    }

    fn spawn<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let session = self.clone();
        thread::spawn(move || call(&session))
    }
}
