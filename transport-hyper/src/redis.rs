//! Keys of Redis (feature `redis`).

use std::{fmt, sync::Arc, time::Duration};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_store::{
    Cipher, RecordText,
    database::{ATTEMPTS, DEFAULT_PREFIX, DEFAULT_TIMEOUT, DatabaseError, DatabaseProblem, script},
};
use redis::{
    Cmd, FromRedisValue, RedisError,
    aio::{ConnectionLike, ConnectionManager},
};
use tokio::time::timeout;

use crate::Store;

/// Keys of Redis with one hash a session, shared by processes on any machine.
///
/// The connection is the program's own: a connection manager, which connects again by itself, or
/// any other that can be cloned, such as one to a cluster. The blocking counterpart reads and writes
/// the same keys.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::RedisStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://localhost")?;
/// let store = RedisStore::new(client.get_connection_manager().await?);
/// store.check().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore<C = ConnectionManager> {
    connection: C,
    prefix: Arc<str>,
    text: RecordText,
    timeout: Duration,
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisStore<C> {
    /// Returns a store in the keys that begin with `dropbox-sign:session:`.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self {
            connection,
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

    /// Limits the time of one call, connecting included; defaults to 5 seconds. The connection may
    /// have a shorter limit of its own.
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
    pub async fn check(&self) -> Result<(), DatabaseError> {
        let info: String = self.run(true, &redis::cmd("INFO")).await?;
        script::check_server(&info).map_err(failed)
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Executes a command, and a load again if its connection was lost.
    async fn run<T: FromRedisValue>(
        &self,
        is_load: bool,
        command: &Cmd,
    ) -> Result<T, DatabaseError> {
        let attempts = async {
            let mut attempts = ATTEMPTS;
            loop {
                attempts -= 1;
                let mut connection = self.connection.clone();
                let outcome = command.query_async(&mut connection).await;
                match outcome.map_err(problem) {
                    Err(DatabaseProblem::Disconnected(_)) if is_load && attempts > 0 => {}
                    outcome => return outcome,
                }
            }
        };
        let outcome = timeout(self.timeout, attempts).await;
        outcome.unwrap_or(Err(DatabaseProblem::Timeout(self.timeout))).map_err(failed)
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

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Store for RedisStore<C> {
    type Error = DatabaseError;

    async fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        let mut command = redis::cmd("EVAL");
        command.arg(script::LOAD).arg(1).arg(self.key(key));
        let found = self.run(true, &command).await?;
        script::record(&self.text, key, found).map_err(failed)
    }

    async fn compare_and_swap(
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
        let stored: bool = self.run(false, &command).await?;
        Ok(if stored { Outcome::Stored } else { Outcome::Conflict })
    }

    async fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key(key));
        self.run(false, &command).await
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("text", &self.text)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
