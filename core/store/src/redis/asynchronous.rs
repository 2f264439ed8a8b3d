//! The async client, with one connection that calls share.

use dropbox_sign_oauth::session::{Outcome, Record};
use redis::{Cmd, FromRedisValue, aio::ConnectionLike};
use tokio::time::timeout;

use super::{Problem, RedisStore, failed, outcome, problem};
use crate::{
    AsyncStore,
    database::{DatabaseError, script},
};

impl<C: ConnectionLike + Clone + Send + Sync> RedisStore<C> {
    /// Checks that the server keeps what it acknowledges: it is a primary, evicts no keys that
    /// have no expiry, and writes an append-only file.
    ///
    /// # Errors
    /// [`DatabaseError`] if it does not, or did not say so.
    pub async fn check_async(&self) -> Result<(), DatabaseError> {
        let info: String = self.run_async(true, redis::cmd("INFO")).await?;
        script::check_server(&info).map_err(failed)
    }

    async fn run_async<T: FromRedisValue>(
        &self,
        is_load: bool,
        command: Cmd,
    ) -> Result<T, DatabaseError> {
        let attempts = async {
            let mut attempts = 0;
            loop {
                attempts += 1;
                let mut connection = self.connection.clone();
                let outcome = command.query_async(&mut connection).await;
                match outcome.map_err(problem) {
                    Err(problem) if problem.allows_retry(attempts, is_load) => {}
                    outcome => return outcome,
                }
            }
        };
        let outcome = timeout(self.timeout, attempts).await;
        outcome.unwrap_or(Err(Problem::Timeout(self.timeout))).map_err(failed)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> AsyncStore for RedisStore<C> {
    type Error = DatabaseError;

    async fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        let found = self.run_async(true, self.load_command(key)).await?;
        script::record(&self.text, key, found).map_err(failed)
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, DatabaseError> {
        self.run_async(false, self.swap_command(key, expected, new)?).await.map(outcome)
    }

    async fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        self.run_async(false, self.remove_command(key)).await
    }
}
