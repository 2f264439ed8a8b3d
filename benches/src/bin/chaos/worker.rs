//! A process of the fleet.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io::{self, Read as _, Write as _},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    App, Endpoints, PlainHttp,
    session::{Outcome, Record, SendError, SessionError, SessionPolicy},
};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_store::{self as blocking, PostgresManager, SessionOptions};
use dropbox_sign_oauth_testkit::store::server::Kind;
use dropbox_sign_oauth_ureq as ureq;
use postgres::NoTls;

use super::{
    options::{Adapter, adapter, database},
    service::token,
};

/// Tasks or threads of a process that call the service.
const CALLERS: u64 = 4;

/// The pause between two calls of one of them.
const PAUSE: Duration = Duration::from_millis(40);

/// How long another process waits for one that has died during a refresh.
const LEASE: Duration = Duration::from_secs(15);

/// An end of a process that is reported.
const SLOW: Duration = Duration::from_secs(10);

/// How far apart the clocks of the processes may be: they are on one machine.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// When a call is taken for one that never ends.
const STUCK: Duration = Duration::from_secs(30);

/// The users of calls in progress.
static CALLING: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

fn calling(change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
    change(&mut CALLING.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The time limit of a call of the service.
const DEADLINE: Duration = Duration::from_secs(5);

/// What all callers need.
#[derive(Clone)]
struct Worker {
    app: App,
    users: u64,
    url: String,
    seed: u64,
}

/// Runs until the standard input is closed.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) {
    let mut argument = || arguments.next().expect("an argument");
    let name = argument();
    let database = database(&argument()).expect("a database");
    let adapter = adapter(&argument()).expect("an adapter");
    let url = argument();
    let service = argument();
    let users = argument().parse().expect("a number");
    let seed = argument().parse().expect("a number");
    let worker = Worker { app: app(&name, &service), users, url, seed };
    match adapter {
        Adapter::Hyper => worker.run_hyper(database),
        Adapter::Ureq => worker.run_ureq(database),
    }
}

/// The app of a process, by whose client id the service knows it.
pub(crate) fn app(name: &str, service: &str) -> App {
    let endpoints = Endpoints::new(service, service, PlainHttp::LoopbackOnly);
    let builder = App::builder(name, "secret").endpoints(endpoints.expect("valid endpoints"));
    builder.build().expect("a valid app")
}

pub(crate) fn options() -> SessionOptions {
    let policy = SessionPolicy::default().lease(LEASE);
    SessionOptions::default().policy(policy.clock_tolerance(CLOCK_TOLERANCE))
}

pub(crate) fn key(user: u64) -> String {
    format!("user-{user}")
}

/// A line on the standard output, in one write.
fn report(line: &str) {
    let _ = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

fn report_call<T, E: Display>(began: Instant, outcome: Result<T, SendError<E>>) {
    let micros = began.elapsed().as_micros();
    match outcome {
        Ok(_) => report(&format!("call {micros}")),
        Err(SendError::Session(error)) if error.needs_authorization() => {
            report(&format!("call {micros} lost"));
        }
        Err(SendError::Session(SessionError::Store(error))) => {
            report(&format!("call {micros} store: {error}"));
        }
        Err(error) => report(&format!("call {micros} {error}")),
    }
}

/// How long it took the callers to end, and then to store what was left.
fn report_end<E: Display>(stopped: Instant, joined: Duration, flushed: Result<(), E>) {
    let flushing = stopped.elapsed().saturating_sub(joined);
    if flushing > SLOW || joined > SLOW {
        report(&format!("call 0 at the end: callers took {joined:?}, flush {flushing:?}"));
    }
    if let Err(error) = flushed {
        report(&format!("call 0 flush: {error}"));
    }
}

fn report_swap<E>(new: &Record, outcome: &Result<Outcome, E>) {
    let refresh_token = new.tokens().refresh_token.as_ref();
    let stored = refresh_token.and_then(|refresh| token("r", refresh.expose()));
    if let (Ok(Outcome::Stored), Some((user, generation))) = (outcome, stored) {
        report(&format!("stored {user} {generation}"));
    }
}

/// A store that reports what it has stored.
struct Traced<S>(S);

impl<S: hyper::Store> hyper::Store for Traced<S> {
    type Error = S::Error;

    async fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        self.0.load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        let outcome = self.0.compare_and_swap(key, expected, new).await;
        report_swap(new, &outcome);
        outcome
    }

    async fn remove(&self, key: &str) -> Result<(), S::Error> {
        self.0.remove(key).await
    }
}

struct TracedBlocking<S>(S);

impl<S: blocking::Store> blocking::Store for TracedBlocking<S> {
    type Error = S::Error;

    fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        self.0.load(key)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        let outcome = self.0.compare_and_swap(key, expected, new);
        report_swap(new, &outcome);
        outcome
    }

    fn remove(&self, key: &str) -> Result<(), S::Error> {
        self.0.remove(key)
    }
}

impl Worker {
    fn run_hyper(self, database: Kind) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(async {
            match database {
                Kind::Postgres => {
                    let config = self.url.parse().expect("settings");
                    let manager = deadpool_postgres::Manager::new(config, NoTls);
                    let pool = deadpool_postgres::Pool::builder(manager).max_size(4).build();
                    self.call_async(hyper::PostgresStore::new(pool.expect("a pool"))).await;
                }
                Kind::Redis => {
                    let limit = Some(Duration::from_secs(5));
                    let config = redis::aio::ConnectionManagerConfig::new()
                        .set_connection_timeout(limit)
                        .set_response_timeout(limit);
                    let client = redis::Client::open(self.url.as_str()).expect("a URL");
                    let manager =
                        redis::aio::ConnectionManager::new_lazy_with_config(client, config);
                    let store = hyper::RedisStore::new(manager.expect("a manager"));
                    self.call_async(store).await;
                }
            }
        });
    }

    async fn call_async(self, store: impl hyper::Store) {
        let transport = hyper::Transport::builder().deadline(DEADLINE).build();
        let transport = transport.expect("a transport");
        let sessions =
            hyper::Sessions::with_options(self.app.clone(), transport, Traced(store), options());
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let (worker, sessions) = (self.clone(), sessions.clone());
            callers.spawn(async move {
                let mut random = fastrand::Rng::with_seed(worker.seed + caller);
                while !ENDS.load(Ordering::Relaxed) {
                    let user = random.u64(..worker.users);
                    let session = sessions.get(&key(user));
                    let began = Instant::now();
                    calling(|users| users.insert(user));
                    let outcome = session.send(|token| worker.app.account(token)).await;
                    calling(|users| users.remove(&user));
                    report_call(began, outcome);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        let _ = tokio::task::spawn_blocking(wait_for_end).await;
        let stopped = Instant::now();
        if tokio::time::timeout(STUCK, callers.join_all()).await.is_err() {
            let users = CALLING.lock().map(|users| users.clone()).unwrap_or_default();
            for user in users {
                report(&format!("call 0 stuck: {:?}", sessions.get(&key(user))));
            }
        }
        let joined = stopped.elapsed();
        let flushed = sessions.flush().await;
        report_end(stopped, joined, flushed);
        process::exit(0);
    }

    fn run_ureq(self, database: Kind) {
        match database {
            Kind::Postgres => {
                let config = self.url.parse().expect("settings");
                let pool = pool(PostgresManager::new(config, NoTls));
                self.call_blocking(blocking::PostgresStore::new(pool));
            }
            Kind::Redis => {
                let client = redis::Client::open(self.url.as_str()).expect("a URL");
                self.call_blocking(blocking::RedisStore::new(pool(client)));
            }
        }
    }

    fn call_blocking(self, store: impl blocking::Store + 'static) {
        let transport = ureq::Transport::builder().deadline(DEADLINE).build();
        let transport = transport.expect("a transport");
        let sessions = ureq::Sessions::with_options(
            self.app.clone(),
            transport,
            TracedBlocking(store),
            options(),
        );
        let spawn = |caller| {
            let (worker, sessions) = (self.clone(), sessions.clone());
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(worker.seed + caller);
                while !ENDS.load(Ordering::Relaxed) {
                    let session = sessions.get(&key(random.u64(..worker.users)));
                    let began = Instant::now();
                    let outcome = session.send(|token| worker.app.account(token));
                    report_call(began, outcome);
                    thread::sleep(PAUSE);
                }
            })
        };
        let callers: Vec<_> = (0..CALLERS).map(spawn).collect();
        wait_for_end();
        let stopped = Instant::now();
        for caller in callers {
            caller.join().expect("no panic");
        }
        let joined = stopped.elapsed();
        report_end(stopped, joined, sessions.flush());
        process::exit(0);
    }
}

fn pool<M: r2d2::ManageConnection>(manager: M) -> r2d2::Pool<M> {
    let builder = r2d2::Pool::builder().max_size(4).min_idle(Some(1));
    builder.build_unchecked(manager)
}

/// Whether the callers stop: a refresh that begins after a flush would not be waited for.
static ENDS: AtomicBool = AtomicBool::new(false);

fn wait_for_end() {
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ENDS.store(true, Ordering::Relaxed);
}
