//! The blocking client, in a pool of `r2d2`.

use dropbox_sign_oauth::session::{Outcome, Record};
use r2d2::{ManageConnection, Pool};
use redis::{Cmd, Connection, FromRedisValue};

use super::{Problem, RedisStore, failed, outcome, problem};
use crate::{
    Store,
    database::{DatabaseError, script},
    time_limit,
};

impl<M: ManageConnection<Connection = Connection>> RedisStore<Pool<M>> {
    /// Checks that the server keeps what it acknowledges: it is a primary, evicts no keys that
    /// have no expiry, and writes an append-only file.
    ///
    /// # Errors
    /// [`DatabaseError`] if it does not, or did not say so.
    pub fn check(&self) -> Result<(), DatabaseError> {
        let info: String = self.run(true, redis::cmd("INFO"))?;
        script::check_server(&info).map_err(failed)
    }

    fn run<T: FromRedisValue + Send + 'static>(
        &self,
        is_load: bool,
        command: Cmd,
    ) -> Result<T, DatabaseError> {
        let (pool, timeout) = (self.connection.clone(), self.timeout);
        let outcome = time_limit::run(timeout, move || {
            let mut attempts = 0;
            loop {
                attempts += 1;
                let connected = pool.get_timeout(time_limit::to_connect(timeout));
                let mut connection = connected.map_err(|error| Problem::Connect(error.into()))?;
                let outcome = connection
                    .set_read_timeout(Some(timeout))
                    .and_then(|()| connection.set_write_timeout(Some(timeout)))
                    .and_then(|()| command.query(&mut connection));
                match outcome.map_err(problem) {
                    Err(problem) if problem.allows_retry(attempts, is_load) => {}
                    outcome => return outcome,
                }
            }
        });
        outcome.map_err(failed)
    }
}

impl<M: ManageConnection<Connection = Connection>> Store for RedisStore<Pool<M>> {
    type Error = DatabaseError;

    fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        let found = self.run(true, self.load_command(key))?;
        script::record(&self.text, key, found).map_err(failed)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, DatabaseError> {
        self.run(false, self.swap_command(key, expected, new)?).map(outcome)
    }

    fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        self.run(false, self.remove_command(key))
    }
}
