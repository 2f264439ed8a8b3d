//! Keys of Redis, through a blocking pool of connections (feature `redis`).

use std::{fmt, sync::Arc, time::Duration};

use dropbox_sign_oauth::session::{Outcome, Record};
use r2d2::{ManageConnection, Pool};
use redis::{Cmd, Connection, FromRedisValue, RedisError};

use crate::{
    Cipher, RecordText, Store,
    database::{ATTEMPTS, DEFAULT_PREFIX, DEFAULT_TIMEOUT, DatabaseError, DatabaseProblem, script},
    time_limit,
};

/// Keys of Redis with one hash a session, shared by processes on any machine.
///
/// The pool is the program's own; `redis::Client` manages its connections.
///
/// ```no_run
/// use dropbox_sign_oauth_store::RedisStore;
///
/// let pool = r2d2::Pool::new(redis::Client::open("redis://localhost")?)?;
/// let store = RedisStore::new(pool);
/// store.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore<M: ManageConnection> {
    pool: Pool<M>,
    prefix: Arc<str>,
    text: RecordText,
    timeout: Duration,
}

impl<M: ManageConnection<Connection = Connection>> RedisStore<M> {
    /// Returns a store in the keys that begin with `dropbox-sign:session:`.
    #[must_use]
    pub fn new(pool: Pool<M>) -> Self {
        Self {
            pool,
            prefix: DEFAULT_PREFIX.into(),
            text: RecordText::default(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Uses the keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Encrypts the records.
    #[must_use]
    pub fn cipher(mut self, cipher: impl Cipher + 'static) -> Self {
        self.text = RecordText::encrypted(cipher);
        self
    }

    /// Limits the time of one call, connecting included; defaults to 5 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Checks that the server keeps what it acknowledges: it is a primary, evicts no keys that
    /// have no expiry, and writes an append-only file.
    ///
    /// # Errors
    /// [`DatabaseError`] if it does not, or did not say so.
    pub fn check(&self) -> Result<(), DatabaseError> {
        let info: String = self.run(true, redis::cmd("INFO"))?;
        script::check_server(&info).map_err(failed)
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Executes a command, and a load again if its connection was lost.
    fn run<T: FromRedisValue + Send + 'static>(
        &self,
        is_load: bool,
        command: Cmd,
    ) -> Result<T, DatabaseError> {
        let (pool, timeout) = (self.pool.clone(), self.timeout);
        let outcome = time_limit::run(timeout, move || {
            let mut attempts = ATTEMPTS;
            loop {
                attempts -= 1;
                let connected = pool.get_timeout(time_limit::to_connect(timeout));
                let mut connection =
                    connected.map_err(|error| DatabaseProblem::Connect(error.into()))?;
                let outcome = connection
                    .set_read_timeout(Some(timeout))
                    .and_then(|()| connection.set_write_timeout(Some(timeout)))
                    .and_then(|()| command.query(&mut connection));
                match outcome.map_err(problem) {
                    Err(DatabaseProblem::Disconnected(_)) if is_load && attempts > 0 => {}
                    outcome => return outcome,
                }
            }
        });
        outcome.map_err(failed)
    }
}

fn problem(error: RedisError) -> DatabaseProblem {
    let code = error.code().map(str::to_owned);
    let is_disconnected = error.is_io_error() && !error.is_timeout();
    DatabaseProblem::from_redis_code(code.as_deref(), is_disconnected, error)
}

fn failed(problem: DatabaseProblem) -> DatabaseError {
    DatabaseError::new("Redis", problem)
}

impl<M: ManageConnection<Connection = Connection>> Store for RedisStore<M> {
    type Error = DatabaseError;

    fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        let mut command = redis::cmd("EVAL");
        command.arg(script::LOAD).arg(1).arg(self.key(key));
        let found = self.run(true, command)?;
        script::record(&self.text, key, found).map_err(failed)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, DatabaseError> {
        let text = self.text.encode(key, new);
        let text = text.map_err(|error| failed(DatabaseProblem::Encode(error)))?;
        let expected = expected.map_or_else(String::new, |version| version.to_string());
        let mut command = redis::cmd("EVAL");
        command.arg(script::SWAP).arg(1).arg(self.key(key));
        command.arg(expected).arg(new.version()).arg(&*text);
        let stored: bool = self.run(false, command)?;
        Ok(if stored { Outcome::Stored } else { Outcome::Conflict })
    }

    fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key(key));
        self.run(false, command)
    }
}

impl<M: ManageConnection> Clone for RedisStore<M> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            prefix: Arc::clone(&self.prefix),
            text: self.text.clone(),
            timeout: self.timeout,
        }
    }
}

impl<M: ManageConnection> fmt::Debug for RedisStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("text", &self.text)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
