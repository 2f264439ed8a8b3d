//! The async client, `tokio-postgres`, in a pool of `deadpool`.

use deadpool_postgres::{Client, Object, Pool, PoolError};
use dropbox_sign_oauth::session::{Outcome, Record};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Error, Row};

use super::{PostgresStore, Problem, Query, failed, outcome, problem};
use crate::{AsyncStore, database::DatabaseError};

impl PostgresStore<Pool> {
    /// Creates the table unless it exists. Several processes may do so at once.
    ///
    /// # Errors
    /// [`DatabaseError`] if that failed, for example because the role may not create tables.
    pub async fn create_table(&self) -> Result<(), DatabaseError> {
        self.run(self.table_query()).await.map(drop)
    }

    async fn run(&self, query: Query) -> Result<Vec<Row>, DatabaseError> {
        let deadline = Instant::now() + self.timeout;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.attempt(deadline, &query).await {
                Err(problem) if problem.allows_retry(attempts, query.is_load) => {}
                outcome => return outcome.map_err(failed),
            }
        }
    }

    async fn attempt(&self, deadline: Instant, query: &Query) -> Result<Vec<Row>, Problem> {
        let connected = timeout_at(deadline, self.pool.get()).await;
        let connected = connected.map_err(|_| Problem::Timeout(self.timeout))?;
        let client = connected.map_err(|error| match error {
            // The pool's message repeats its source.
            PoolError::Backend(error) => Problem::Connect(error.into()),
            error => Problem::Connect(error.into()),
        })?;
        let Ok(outcome) = timeout_at(deadline, execute(&client, query)).await else {
            // The next call on this connection would wait for the same response.
            drop(Object::take(client));
            return Err(Problem::Timeout(self.timeout));
        };
        outcome.map_err(|error| problem(error, &self.statements.table))
    }
}

async fn execute(client: &Client, query: &Query) -> Result<Vec<Row>, Error> {
    if query.key.is_none() {
        return client.batch_execute(&query.statement).await.map(|()| Vec::new());
    }
    client.query_typed(&query.statement, &query.parameters()).await
}

impl AsyncStore for PostgresStore<Pool> {
    type Error = DatabaseError;

    async fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        self.record(key, &self.run(self.load_query(key)?).await?)
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, DatabaseError> {
        match self.swap_query(key, expected, new)? {
            Some(query) => Ok(outcome(&self.run(query).await?)),
            None => Ok(Outcome::Conflict),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        self.run(self.remove_query(key)?).await.map(drop)
    }
}
