//! A table of PostgreSQL (feature `postgres`).

use std::{error::Error as _, fmt, io, sync::Arc, time::Duration};

use deadpool_postgres::{Client, Object, Pool, tokio_postgres};
use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_store::{
    Cipher, RecordText,
    database::{
        ATTEMPTS, DEFAULT_TIMEOUT, DatabaseError, DatabaseProblem, InvalidTable, Statements,
        check_key,
    },
};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{
    Error, Row,
    types::{ToSql, Type},
};

use crate::Store;

/// A table of PostgreSQL with one row a session, shared by processes on any machine.
///
/// The pool is the program's own. Statements are not prepared, so a pooler such as pgbouncer may
/// stand in between, in any mode. The blocking counterpart reads and writes the same table.
///
/// ```no_run
/// use deadpool_postgres::{Manager, Pool, tokio_postgres::NoTls};
/// use dropbox_sign_oauth_hyper::PostgresStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = "host=localhost user=app dbname=app".parse()?;
/// let pool = Pool::builder(Manager::new(config, NoTls)).build()?;
/// let store = PostgresStore::new(pool);
/// store.create_table().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    statements: Arc<Statements>,
    text: RecordText,
    timeout: Duration,
}

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl PostgresStore {
    /// Returns a store in the table `dropbox_sign_sessions`.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            statements: Arc::default(),
            text: RecordText::default(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Uses another table, by its name or its schema and name (`oauth.sessions`).
    ///
    /// # Errors
    /// [`InvalidTable`] if it is not such a name.
    pub fn table(mut self, table: &str) -> Result<Self, InvalidTable> {
        self.statements = Arc::new(Statements::new(table)?);
        Ok(self)
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

    /// Creates the table unless it exists. Several processes may do so at once.
    ///
    /// # Errors
    /// [`DatabaseError`] if that failed, for example because the role may not create tables.
    pub async fn create_table(&self) -> Result<(), DatabaseError> {
        self.run(&self.statements.create_table, &[]).await.map(drop)
    }

    /// Executes a statement: again if it ended with a serialization failure, and a load also if its
    /// connection was lost.
    async fn run(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        let deadline = Instant::now() + self.timeout;
        let is_load = statement == self.statements.load;
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match self.attempt(deadline, statement, parameters).await {
                Err(DatabaseProblem::Serialization) if attempts > 0 => {}
                Err(DatabaseProblem::Disconnected(_)) if is_load && attempts > 0 => {}
                outcome => return outcome.map_err(failed),
            }
        }
    }

    async fn attempt(
        &self,
        deadline: Instant,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, DatabaseProblem> {
        let connected = timeout_at(deadline, self.pool.get()).await;
        let connected = connected.map_err(|_| DatabaseProblem::Timeout(self.timeout))?;
        let client = connected.map_err(|error| DatabaseProblem::Connect(error.into()))?;
        let executed = timeout_at(deadline, execute(&client, statement, parameters)).await;
        let Ok(outcome) = executed else {
            // The next call on this connection would wait for the same response.
            drop(Object::take(client));
            return Err(DatabaseProblem::Timeout(self.timeout));
        };
        outcome.map_err(|error| self.problem(error))
    }

    fn problem(&self, error: Error) -> DatabaseProblem {
        let code = error.code().map(|state| state.code().to_owned());
        let is_io = matches!(error.source(), Some(source) if source.is::<io::Error>());
        let is_disconnected = is_io || error.is_closed();
        let table = &self.statements.table;
        DatabaseProblem::from_sqlstate(code.as_deref(), is_disconnected, table, error)
    }
}

async fn execute(
    client: &Client,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Error> {
    if parameters.is_empty() {
        // Several statements at once.
        return client.batch_execute(statement).await.map(|()| Vec::new());
    }
    client.query_typed(statement, parameters).await
}

fn failed(problem: DatabaseProblem) -> DatabaseError {
    DatabaseError::new("PostgreSQL", problem)
}

impl Store for PostgresStore {
    type Error = DatabaseError;

    async fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        check_key(key).map_err(failed)?;
        let parameters: [Parameter<'_>; 1] = [(&key, Type::TEXT)];
        let rows = self.run(&self.statements.load, &parameters).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let version = row.try_get(0).map_err(|error| failed(self.problem(error)))?;
        let text = row.try_get(1).map_err(|error| failed(self.problem(error)))?;
        let record = self.text.decode_row(key, version, text);
        record.map(Some).map_err(|error| failed(DatabaseProblem::Decode(error)))
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, DatabaseError> {
        check_key(key).map_err(failed)?;
        let row = self.text.encode_row(key, new);
        let (version, text) = row.map_err(|error| failed(DatabaseProblem::Encode(error)))?;
        let Ok(expected) = expected.map(i64::try_from).transpose() else {
            return Ok(Outcome::Conflict);
        };
        let new: [Parameter<'_>; 3] =
            [(&key, Type::TEXT), (&version, Type::INT8), (&*text, Type::TEXT)];
        let rows = match expected {
            None => self.run(&self.statements.insert, &new).await?,
            Some(expected) => {
                let [key, version, text] = new;
                let parameters = [key, version, text, (&expected as _, Type::INT8)];
                self.run(&self.statements.update, &parameters).await?
            }
        };
        Ok(if rows.is_empty() { Outcome::Conflict } else { Outcome::Stored })
    }

    async fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        check_key(key).map_err(failed)?;
        let parameters: [Parameter<'_>; 1] = [(&key, Type::TEXT)];
        self.run(&self.statements.remove, &parameters).await.map(drop)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.statements.table)
            .field("text", &self.text)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
