//! Sessions of both adapters: one refresh for all who ask, whoever dies in the middle.

use std::{
    env,
    error::Error,
    fmt::{self, Debug},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use dropbox_sign_oauth::{
    Account, App, CallError, Endpoints, RetryPolicy, Token, TokenSet,
    session::{Record, RefreshState, SendError, SessionError, SessionPolicy, Swapped},
};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_ureq as ureq;
use http::{Request, Response};
use hyper::{FileStore, MemoryStore};
use tokio::runtime::{self, Runtime};
use ureq::Store;

/// Long enough for a busy machine, and shorter than a job is held by somebody who has died: no test
/// here waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

// The service.

/// A service whose answers the test gives, when it likes to.
struct Service {
    app: App,
    requests: Receiver<Asked>,
}

/// A request that waits for its answer.
struct Asked {
    line: String,
    authorization: String,
    body: String,
    answer: Sender<String>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (asked, requests) = mpsc::channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let asked = asked.clone();
                thread::spawn(move || serve(connection.unwrap(), &asked));
            }
        });
        Self {
            app: app_at(&base),
            requests,
        }
    }

    fn base(&self) -> String {
        let token = self.app.endpoints().token().to_string();
        token.strip_suffix("/oauth/token").unwrap().to_owned()
    }

    fn next(&self) -> Asked {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Asserts that nobody has asked for anything more.
    fn is_done(&self) {
        if let Ok(asked) = self.requests.try_recv() {
            panic!("another request: {}", asked.line);
        }
    }
}

fn app_at(base: &str) -> App {
    App::builder("client-id", "client-secret")
        .endpoints(Endpoints::at(base).unwrap())
        .build()
        .unwrap()
}

fn serve(connection: TcpStream, requests: &Sender<Asked>) {
    let mut writer = connection.try_clone().unwrap();
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(2) => break,
                Ok(1..) => head.push(line),
                _ => return, // The client is gone.
            }
        }
        let header = |wanted: &str| {
            let values = head.iter().filter_map(|line| line.split_once(':'));
            let mut values = values.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            values.next().map_or("", |(_, value)| value.trim())
        };
        let length = header("content-length").parse().unwrap_or_default();
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (answer, answers) = mpsc::channel();
        let asked = Asked {
            line: head[0].trim().to_owned(),
            authorization: header("authorization").to_owned(),
            body: String::from_utf8(body).unwrap(),
            answer,
        };
        let is_told = requests.send(asked).is_ok();
        let Some(answer) = answers.recv().ok().filter(|_| is_told) else {
            return; // The test is over.
        };
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

impl Asked {
    fn answer(self, status: u16, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} \r\nContent-Length: {length}\r\n\r\n{body}");
        self.answer.send(answer).unwrap();
    }

    /// Asserts that a refresh with this token is asked for, and gives the tokens of this number.
    fn refresh(self, refresh_token: &str, number: u32) {
        assert_eq!(self.line, "POST /oauth/token?refresh HTTP/1.1");
        let sent = format!(r#""refresh_token":"{refresh_token}""#);
        assert!(self.body.contains(&sent), "{}", self.body);
        let body = format!(
            r#"{{"access_token":"a{number}","refresh_token":"r{number}","expires_in":86400}}"#
        );
        self.answer(200, &body);
    }

    /// Asserts that the account is asked for with this token, and answers.
    fn account(self, access_token: &str, status: u16) {
        assert_eq!(self.line, "GET /v3/account HTTP/1.1");
        assert_eq!(self.authorization, format!("Bearer {access_token}"));
        let account = r#"{"account":{"account_id":"1","email_address":"me@dropboxsign.com"}}"#;
        self.answer(status, if status == 200 { account } else { "{}" });
    }
}

// What is stored.

fn record(refresh: &str, at: u64, expires_at: u64) -> String {
    format!(
        r#"{{"format":1,"version":9,"grant":5,"refresh":"{refresh}","at":{at},"failures":0,"tokens":{{"format":1,"access_token":"a0","refresh_token":"r0","expires_at":{expires_at}}}}}"#
    )
}

/// Tokens that are due, and have expired long ago.
fn expired() -> String {
    record("due", 1, 1)
}

/// Tokens that are due, and good for another hundred years.
fn due() -> String {
    record("due", 1, 5_000_000_000)
}

/// Tokens that are not due.
fn fresh() -> String {
    record("due", 4_000_000_000, 5_000_000_000)
}

fn memory(stored: &str) -> Arc<MemoryStore> {
    let store = MemoryStore::default();
    let record = Record::from_json(stored).unwrap();
    store.compare_and_swap(None, &record).unwrap();
    Arc::new(store)
}

fn access_token(store: &impl Store<Error: Debug>) -> String {
    let stored = store.load().unwrap().unwrap();
    stored.tokens().access_token.expose().to_owned()
}

// The sessions.

/// A session of either adapter, for threads.
#[derive(Clone)]
enum Session {
    Hyper(hyper::Session, Arc<Runtime>),
    Ureq(ureq::Session),
}

/// A claim that does not run out during a test.
const LONG: Duration = Duration::from_secs(600);

/// A claim that runs out soon, for tests that wait for it.
const SHORT: Duration = Duration::from_secs(5);

fn policy(lease: Duration) -> SessionPolicy {
    SessionPolicy {
        lease,
        retry: RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        },
        ..SessionPolicy::default()
    }
}

fn hyper_session(app: &App, store: impl Store + 'static, lease: Duration) -> hyper::Session {
    let transport = hyper::Transport::builder().deadline(DEADLINE).build();
    let store = hyper::Blocking::new(store);
    hyper::Session::with_policy(app.clone(), transport.unwrap(), store, policy(lease))
}

fn ureq_session(app: &App, store: impl Store + 'static, lease: Duration) -> ureq::Session {
    let transport = ureq::Transport::builder().deadline(DEADLINE).build();
    ureq::Session::with_policy(app.clone(), transport.unwrap(), store, policy(lease))
}

impl Session {
    fn new(adapter: &str, app: &App, store: impl Store + 'static) -> Self {
        Self::with_lease(adapter, app, store, LONG)
    }

    fn with_lease(adapter: &str, app: &App, store: impl Store + 'static, lease: Duration) -> Self {
        if adapter == "ureq" {
            return Self::Ureq(ureq_session(app, store, lease));
        }
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Self::Hyper(hyper_session(app, store, lease), Arc::new(runtime.unwrap()))
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

    /// Sends a request by a client that answers with these statuses in turn; gives the credentials
    /// that it was sent.
    fn send_request(&self, statuses: &[u16]) -> (Vec<String>, Result<u16, String>) {
        let credentials = Mutex::new(Vec::new());
        let statuses = Mutex::new(statuses.iter());
        let answer = |request: Request<&'static str>| {
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
                let answer = |request| std::future::ready(answer(request));
                runtime.block_on(session.send_request(&request, answer))
            }
            Self::Ureq(session) => session.send_request(&request, answer),
        };
        let outcome = outcome.map(|response| response.status().as_u16());
        let outcome = outcome.map_err(|error| error.to_string());
        (credentials.into_inner().unwrap(), outcome)
    }

    /// Asks for a token, on a thread of its own.
    fn ask(&self) -> thread::JoinHandle<Result<Token, SessionError>> {
        let session = self.clone();
        thread::spawn(move || session.access_token())
    }
}

const ADAPTERS: [&str; 2] = ["hyper", "ureq"];

fn exposed(outcome: thread::Result<Result<Token, SessionError>>) -> String {
    outcome.unwrap().unwrap().expose().to_owned()
}

// One refresh for all.

#[test]
fn two_hundred_tasks_send_one_refresh() {
    const TASKS: usize = 200;
    let service = Service::start();
    let store = memory(&expired());
    let session = hyper_session(&service.app, Arc::clone(&store), LONG);
    let tasks = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let session = session.clone();
                    tokio::spawn(async move { session.access_token().await })
                })
                .collect();
            let mut tokens = Vec::new();
            for task in tasks {
                tokens.push(task.await.unwrap().unwrap());
            }
            tokens
        })
    });
    service.next().refresh("r0", 1);
    let tokens = tasks.join().unwrap();
    assert_eq!(tokens.len(), TASKS);
    assert!(tokens.iter().all(|token| token.expose() == "a1"));
    assert_eq!(access_token(&store), "a1");
    service.is_done();
}

#[test]
fn sixty_four_threads_send_one_refresh() {
    const THREADS: usize = 64;
    let service = Service::start();
    let store = memory(&expired());
    let session = ureq_session(&service.app, Arc::clone(&store), LONG);
    let start = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (session, start) = (session.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                session.access_token()
            })
        })
        .collect();
    service.next().refresh("r0", 1);
    for thread in threads {
        assert_eq!(exposed(thread.join()), "a1");
    }
    assert_eq!(access_token(&store), "a1");
    service.is_done();
}

#[test]
fn while_a_refresh_is_under_way_the_others_go_on_with_the_old_token() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let session = Session::new(adapter, &service.app, memory(&due()));
        let first = session.ask();
        let asked = service.next();
        assert_eq!(exposed(session.ask().join()), "a0", "{adapter}");
        asked.refresh("r0", 1);
        assert_eq!(exposed(first.join()), "a1", "{adapter}");
        assert_eq!(exposed(session.ask().join()), "a1", "{adapter}");
        service.is_done();
    }
}

// Whoever dies.

#[test]
fn a_task_that_is_dropped_loses_no_tokens() {
    let service = Service::start();
    let store = memory(&expired());
    let session = hyper_session(&service.app, Arc::clone(&store), LONG);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.unwrap();
    let dropped = {
        let session = session.clone();
        runtime.spawn(async move { session.access_token().await })
    };
    let asked = service.next();
    dropped.abort();
    assert!(runtime.block_on(dropped).unwrap_err().is_cancelled());
    asked.refresh("r0", 1);
    let token = runtime.block_on(session.access_token()).unwrap();
    assert_eq!(token.expose(), "a1");
    assert_eq!(access_token(&store), "a1");
    service.is_done();
}

/// A store that panics once.
struct Panics(MemoryStore, AtomicBool);

impl Store for Panics {
    type Error = <MemoryStore as Store>::Error;

    fn load(&self) -> Result<Option<Record>, Self::Error> {
        self.0.load()
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Swapped, Self::Error> {
        assert!(self.1.swap(true, Ordering::SeqCst), "on purpose");
        self.0.compare_and_swap(expected, new)
    }
}

#[test]
fn a_caller_that_panics_locks_nobody_out() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = MemoryStore::default();
        let stored = Record::from_json(&expired()).unwrap();
        store.compare_and_swap(None, &stored).unwrap();
        let session = Session::new(adapter, &service.app, Panics(store, AtomicBool::new(false)));
        assert!(session.ask().join().is_err(), "{adapter}");
        let next = session.ask();
        service.next().refresh("r0", 1);
        assert_eq!(exposed(next.join()), "a1", "{adapter}");
    }
}

// Processes.

const CHILD_ADAPTER: &str = "SESSION_TEST_ADAPTER";
const CHILD_SERVICE: &str = "SESSION_TEST_SERVICE";
const CHILD_STORE: &str = "SESSION_TEST_STORE";
const CHILD_LEASE: &str = "SESSION_TEST_LEASE";

#[test]
#[ignore = "a process of the tests below"]
fn process() {
    let variable = |name| env::var(name).expect("to be run by the tests below");
    let app = app_at(&variable(CHILD_SERVICE));
    let store = FileStore::new(variable(CHILD_STORE)).unwrap();
    let lease = Duration::from_secs(variable(CHILD_LEASE).parse().unwrap());
    let session = Session::with_lease(&variable(CHILD_ADAPTER), &app, store, lease);
    println!("<{}>", session.access_token().unwrap().expose());
}

fn start_process(adapter: &str, service: &Service, store: &Path, lease: Duration) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "process", "--ignored", "--nocapture"])
        .env(CHILD_ADAPTER, adapter)
        .env(CHILD_SERVICE, service.base())
        .env(CHILD_STORE, store)
        .env(CHILD_LEASE, lease.as_secs().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The access token that a process got.
fn token_of(process: Child) -> String {
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let (_, token) = output.split_once('<').expect(&output);
    token.split_once('>').unwrap().0.to_owned()
}

#[test]
fn several_processes_send_one_refresh() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.json");
        fs::write(&path, expired()).unwrap();
        let processes = [0; 4].map(|_| start_process(adapter, &service, &path, LONG));
        service.next().refresh("r0", 1);
        for process in processes {
            assert_eq!(token_of(process), "a1", "{adapter}");
        }
        service.is_done();
    }
}

#[test]
fn a_process_that_is_killed_in_the_middle_of_a_refresh_locks_nobody_out() {
    for adapter in ADAPTERS {
        for (stored, lease) in [(expired(), SHORT), (due(), LONG)] {
            let service = Service::start();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("session.json");
            fs::write(&path, &stored).unwrap();
            let store = FileStore::new(&path).unwrap();

            let mut killed = start_process(adapter, &service, &path, lease);
            let asked = service.next();
            killed.kill().unwrap();
            killed.wait().unwrap();
            drop(asked);
            let there = store.load().unwrap().unwrap();
            assert_eq!(there.version(), 10);
            assert!(matches!(there.refresh(), RefreshState::UnderWay(_)));

            let next = start_process(adapter, &service, &path, lease);
            let token = if lease == SHORT {
                // No token is good: it waits until the claim of the dead has run out.
                service.next().refresh("r0", 1);
                "a1"
            } else {
                "a0"
            };
            assert_eq!(token_of(next), token, "{adapter}");
            assert_eq!(access_token(&store), token);
            service.is_done();
        }
    }
}

// Refusals and failures.

#[test]
fn a_refused_token_is_refreshed_once_and_the_request_sent_once_more() {
    for adapter in ADAPTERS {
        for second in [200, 401] {
            let service = Service::start();
            let session = Session::new(adapter, &service.app, memory(&fresh()));
            let account = {
                let (session, app) = (session.clone(), service.app.clone());
                thread::spawn(move || session.account(&app))
            };
            service.next().account("a0", 401);
            service.next().refresh("r0", 1);
            service.next().account("a1", second);
            match account.join().unwrap() {
                Ok(account) => {
                    assert_eq!(second, 200);
                    assert_eq!(account.email_address, "me@dropboxsign.com");
                }
                Err(error) => {
                    assert_eq!(second, 401);
                    assert_eq!(
                        error.to_string(),
                        "the server rejected the request: 401 Unauthorized; check the \
                         credentials, or refresh the token"
                    );
                }
            }
            // A token that is seconds old is not refreshed because of a refusal.
            let (sent, outcome) = session.send_request(&[401]);
            assert_eq!((sent, outcome), (vec!["Bearer a1".into()], Ok(401)));
            service.is_done();
        }
    }
}

#[test]
fn any_request_by_any_client_carries_the_token() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let session = Session::new(adapter, &service.app, memory(&fresh()));
        for status in [200, 403, 500] {
            let (sent, outcome) = session.send_request(&[status]);
            assert_eq!((sent, outcome), (vec!["Bearer a0".into()], Ok(status)));
        }
        let sending = {
            let session = session.clone();
            thread::spawn(move || session.send_request(&[401, 200]))
        };
        service.next().refresh("r0", 1);
        let (sent, outcome) = sending.join().unwrap();
        assert_eq!(sent, ["Bearer a0", "Bearer a1"]);
        assert_eq!(outcome, Ok(200));

        let request = session.authorize(Request::new("body"));
        let header = &request.headers()["authorization"];
        assert_eq!(header, "Bearer a1");
        assert!(header.is_sensitive());
    }
}

#[test]
fn a_grant_that_is_gone_is_said_with_its_reason() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = memory(&expired());
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let asking = session.ask();
        let body = r#"{"error":"invalid_grant","error_description":"revoked"}"#;
        service.next().answer(400, body);
        let error = asking.join().unwrap().unwrap_err();
        assert!(error.needs_authorization());
        assert_eq!(
            error.to_string(),
            "the access token cannot be refreshed: the server rejected the request: 400 \
             invalid_grant (revoked); the code or refresh token is wrong, spent, expired or \
             revoked, so let the user authorize again"
        );
        let stored = store.load().unwrap().unwrap();
        assert_eq!(stored.refresh(), RefreshState::GrantGone);
        // Nobody asks again.
        assert!(session.access_token().unwrap_err().needs_authorization());
        service.is_done();

        // Until the user has authorized again.
        session.replace_tokens(tokens("a5")).unwrap();
        assert_eq!(session.access_token().unwrap().expose(), "a5");
        assert_eq!(access_token(&store), "a5");
    }
}

fn tokens(access_token: &str) -> TokenSet {
    TokenSet {
        access_token: Token::new(access_token).unwrap(),
        refresh_token: None,
        expires_at: None,
    }
}

/// A store that fails until it is mended.
struct Fails(MemoryStore, AtomicBool);

#[derive(Debug)]
struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no space is left")
    }
}

impl Error for Full {}

impl Store for Fails {
    type Error = Full;

    fn load(&self) -> Result<Option<Record>, Full> {
        Ok(self.0.load().unwrap())
    }

    fn compare_and_swap(&self, expected: Option<u64>, new: &Record) -> Result<Swapped, Full> {
        if self.1.load(Ordering::SeqCst) {
            return Err(Full);
        }
        Ok(self.0.compare_and_swap(expected, new).unwrap())
    }
}

#[test]
fn tokens_that_are_not_stored_are_not_used() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = Arc::new(Fails(MemoryStore::default(), AtomicBool::new(true)));
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let none = session.access_token().unwrap_err();
        assert_eq!(
            none.to_string(),
            "the store has no tokens for this session; let the user authorize"
        );
        let failed = "the store of the session failed: no space is left; tokens are used and \
                      refreshed only where they can be stored";
        let error = session.replace_tokens(tokens("a5")).unwrap_err();
        assert_eq!(error.to_string(), failed);
        assert_eq!(session.access_token().unwrap_err().to_string(), failed);

        store.1.store(false, Ordering::SeqCst);
        // The user's word does not wait until the store has had its pause.
        session.replace_tokens(tokens("a6")).unwrap();
        assert_eq!(session.access_token().unwrap().expose(), "a6");
        assert_eq!(access_token(&store), "a6");
    }
}
