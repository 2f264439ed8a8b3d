//! A process of the fleet.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    App,
    session::{Outcome, Record, SendError, SessionPolicy},
};
use dropbox_sign_oauth_benches::{BoxError, ours};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_store::{
    AsyncStore, PostgresManager, PostgresStore, RedisStore, SessionOptions, Store,
    database::DatabaseError,
};
use dropbox_sign_oauth_testkit::store::server::Kind;
use dropbox_sign_oauth_ureq as ureq;
use fastrand::Rng;
use postgres::NoTls;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::{USERS, key, service::token};

/// Threads of a process that call the service.
const CALLERS: u64 = 4;

/// The pause between two calls of one of them.
const PAUSE: Duration = Duration::from_millis(40);

/// How long another process waits for one that has died during a refresh.
const LEASE: Duration = Duration::from_secs(15);

/// How far apart the clocks of the processes may be: they are on one machine.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// The time limit of a call of the service or the database.
const DEADLINE: Duration = Duration::from_secs(5);

/// The arguments of a process.
pub(crate) struct Worker<'a> {
    /// The client id, by which the service knows the process.
    pub(crate) name: &'a str,
    pub(crate) database: Kind,
    pub(crate) url: &'a str,
    pub(crate) service: &'a str,
    pub(crate) seed: u64,
}

pub(crate) fn options() -> SessionOptions {
    let policy = SessionPolicy::default().lease(LEASE);
    SessionOptions::default().policy(policy.clock_tolerance(CLOCK_TOLERANCE))
}

/// Opens the database; with `create`, also creates its table.
pub(crate) fn store(
    database: Kind,
    url: &str,
    create: bool,
) -> Result<Arc<dyn Store<Error = DatabaseError>>, BoxError> {
    Ok(match database {
        Kind::Postgres => {
            let store = PostgresStore::new(pool(PostgresManager::new(url.parse()?, NoTls)));
            if create {
                store.create_table()?;
            }
            Arc::new(store)
        }
        Kind::Redis => Arc::new(RedisStore::new(pool(redis::Client::open(url)?))),
    })
}

fn pool<M: r2d2::ManageConnection>(manager: M) -> r2d2::Pool<M> {
    r2d2::Pool::builder().max_size(4).min_idle(Some(1)).build_unchecked(manager)
}

/// Prints a line in one write.
fn report(line: &str) {
    let _ = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

/// A store that reports what it has stored.
struct Traced<S>(S);

macro_rules! traced {
    ($store:path $(, $async:tt, $await:tt)?) => {
        impl<S: $store> $store for Traced<S> {
            type Error = S::Error;

            $($async)? fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
                self.0.load(key)$(.$await)?
            }

            $($async)? fn compare_and_swap(
                &self,
                key: &str,
                expected: Option<u64>,
                new: &Record,
            ) -> Result<Outcome, S::Error> {
                let outcome = self.0.compare_and_swap(key, expected, new)$(.$await)?;
                if let (Ok(Outcome::Stored), Some((user, generation))) = (&outcome, numbers(new)) {
                    report(&format!("stored {user} {generation}"));
                }
                outcome
            }

            $($async)? fn remove(&self, key: &str) -> Result<(), S::Error> {
                self.0.remove(key)$(.$await)?
            }
        }
    };
}

traced!(Store);
traced!(AsyncStore, async, await);

/// User and generation of the tokens of a record.
pub(crate) fn numbers(record: &Record) -> Option<(u64, u64)> {
    token("r", record.tokens().refresh_token.as_ref()?.expose())
}

impl Worker<'_> {
    /// Runs until the standard input is closed.
    pub(crate) fn run(self, adapter: &str) -> Result<(), BoxError> {
        let app = ours::builder(self.name, self.service).build()?;
        if adapter == "ureq" {
            let store = Traced(store(self.database, self.url, false)?);
            let transport = ureq::Transport::builder().deadline(DEADLINE).build()?;
            let sessions = ureq::Sessions::with_options(app.clone(), transport, store, options());
            self.call(
                |user| sessions.get(&key(user)).send(|token| app.account(token)).map(drop),
                || sessions.flush(),
            );
            return Ok(());
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let _entered = runtime.enter();
        match self.database {
            Kind::Postgres => {
                let manager = deadpool_postgres::Manager::new(self.url.parse()?, NoTls);
                let pool = deadpool_postgres::Pool::builder(manager).max_size(4).build()?;
                self.call_async(&app, PostgresStore::new(pool))
            }
            Kind::Redis => {
                let limit = Some(DEADLINE);
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(limit)
                    .set_response_timeout(limit);
                let client = redis::Client::open(self.url)?;
                let manager = ConnectionManager::new_lazy_with_config(client, config)?;
                self.call_async(&app, RedisStore::new(manager))
            }
        }
    }

    fn call_async(&self, app: &App, store: impl hyper::Store) -> Result<(), BoxError> {
        let transport = hyper::Transport::builder().deadline(DEADLINE).build()?;
        let store = Traced(store);
        let sessions = hyper::Sessions::with_options(app.clone(), transport, store, options());
        let runtime = tokio::runtime::Handle::current();
        self.call(
            |user| {
                let session = sessions.get(&key(user));
                runtime.block_on(session.send(|token| app.account(token))).map(drop)
            },
            || runtime.block_on(sessions.flush()),
        );
        Ok(())
    }

    /// Calls `send` for a random user again and again, and finally `flush`.
    fn call<E: Error, F: Display>(
        &self,
        send: impl Fn(u64) -> Result<(), SendError<E>> + Sync,
        flush: impl Fn() -> Result<(), F>,
    ) {
        let ends = AtomicBool::new(false);
        let calls = |caller| {
            let mut random = Rng::with_seed(self.seed + caller);
            while !ends.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let failure = send(random.u64(..USERS)).err().map(|error| match error.source() {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                });
                let micros = begun.elapsed().as_micros();
                report(format!("call {micros} {}", failure.unwrap_or_default()).trim_end());
                thread::sleep(PAUSE);
            }
        };
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                scope.spawn(move || calls(caller));
            }
            let _ = io::stdin().read_to_end(&mut Vec::new());
            // A refresh that begins after the flush would not be waited for.
            ends.store(true, Ordering::Relaxed);
        });
        if let Err(error) = flush() {
            report(&format!("call 0 flush: {error}"));
        }
    }
}
