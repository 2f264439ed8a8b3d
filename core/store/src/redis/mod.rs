//! Keys of Redis (features `redis` and `redis-async`).

#[cfg(feature = "redis-async")]
mod asynchronous;
#[cfg(feature = "redis")]
mod blocking;

use std::{fmt, sync::Arc, time::Duration};

use dropbox_sign_oauth::session::{Outcome, Record};
use redis::{Cmd, RedisError};

use crate::{
    Cipher, RecordText,
    database::{
        DEFAULT_PREFIX, DEFAULT_TIMEOUT, DatabaseError, DatabaseProblem as Problem, script,
    },
};

/// Keys of Redis with one hash a session, shared by processes on any machine.
///
/// The connection is the program's own. It is an `r2d2::Pool` for a blocking store, and one that
/// can be cloned for an async one: a connection manager, which connects again by itself, or one to
/// a cluster. Both read and write the same keys.
#[cfg_attr(feature = "redis", doc = include_str!("blocking.md"))]
#[cfg_attr(feature = "redis-async", doc = include_str!("asynchronous.md"))]
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    prefix: Arc<str>,
    text: RecordText,
    timeout: Duration,
}

impl<C> RedisStore<C> {
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
    pub fn prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Encrypts the records.
    #[must_use]
    pub fn cipher(self, cipher: impl Cipher + 'static) -> Self {
        Self { text: RecordText::encrypted(cipher), ..self }
    }

    /// Limits the time of one call, connecting included; defaults to 5 seconds. The connection may
    /// have a shorter limit of its own.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn command(&self, name: &str, script: &[&str], key: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(format!("{}{key}", self.prefix));
        command
    }

    fn load_command(&self, key: &str) -> Cmd {
        self.command("EVAL", &[script::LOAD, "1"], key)
    }

    fn swap_command(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Cmd, DatabaseError> {
        let text = self.text.encode(key, new);
        let text = text.map_err(|error| failed(Problem::Encode(error)))?;
        let expected = expected.map_or_else(String::new, |version| version.to_string());
        let mut command = self.command("EVAL", &[script::SWAP, "1"], key);
        command.arg(expected).arg(new.version()).arg(&*text);
        Ok(command)
    }

    fn remove_command(&self, key: &str) -> Cmd {
        self.command("DEL", &[], key)
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

fn outcome(is_stored: bool) -> Outcome {
    if is_stored { Outcome::Stored } else { Outcome::Conflict }
}

fn problem(error: RedisError) -> Problem {
    let code = error.code().map(str::to_owned);
    let is_disconnected = error.is_io_error() && !error.is_timeout();
    Problem::from_redis_code(code.as_deref(), is_disconnected, error)
}

fn failed(problem: Problem) -> DatabaseError {
    DatabaseError::new("Redis", problem)
}
