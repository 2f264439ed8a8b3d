//! A table of PostgreSQL (features `postgres` and `postgres-async`).

#[cfg(feature = "postgres-async")]
mod asynchronous;
#[cfg(feature = "postgres")]
mod blocking;

use std::{error::Error as _, fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::session::{Outcome, Record};
use tokio_postgres::{
    Error, Row,
    types::{ToSql, Type},
};
use zeroize::Zeroizing;

#[cfg(feature = "postgres")]
pub use self::blocking::{ConnectError, PostgresManager};
use crate::{
    Cipher, RecordText, RecordTextError,
    database::{
        DEFAULT_TIMEOUT, DatabaseError, DatabaseProblem as Problem, InvalidTable, Statements,
        check_key,
    },
};

/// A table of PostgreSQL with one row a session, shared by processes on any machine.
///
/// The pool is the program's own. It is an `r2d2::Pool` for a blocking store, whose connections
/// `PostgresManager` or `r2d2_postgres` manage, and a `deadpool_postgres::Pool` for an async one;
/// both read and write the same table. Statements are not prepared, so a pooler such as pgbouncer
/// may stand in between, in any mode.
#[cfg_attr(feature = "postgres", doc = include_str!("blocking.md"))]
#[cfg_attr(feature = "postgres-async", doc = include_str!("asynchronous.md"))]
#[derive(Clone)]
pub struct PostgresStore<P> {
    pool: P,
    statements: Arc<Statements>,
    text: RecordText,
    timeout: Duration,
}

impl<P> PostgresStore<P> {
    /// Returns a store in the table `dropbox_sign_sessions`.
    #[must_use]
    pub fn new(pool: P) -> Self {
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
    pub fn table(self, table: &str) -> Result<Self, InvalidTable> {
        let statements = Arc::new(Statements::new(table)?);
        Ok(Self { statements, ..self })
    }

    /// Encrypts the records.
    #[must_use]
    pub fn cipher(self, cipher: impl Cipher + 'static) -> Self {
        Self { text: RecordText::encrypted(cipher), ..self }
    }

    /// Limits the time of one call, connecting included; defaults to 5 seconds.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn table_query(&self) -> Query {
        Query { statement: self.statements.create_table.clone(), ..Query::default() }
    }

    fn load_query(&self, key: &str) -> Result<Query, DatabaseError> {
        Ok(Query { is_load: true, ..Query::new(&self.statements.load, key)? })
    }

    fn remove_query(&self, key: &str) -> Result<Query, DatabaseError> {
        Query::new(&self.statements.remove, key)
    }

    /// Returns `None` if no record can have the expected version.
    fn swap_query(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Option<Query>, DatabaseError> {
        let statement =
            if expected.is_some() { &self.statements.update } else { &self.statements.insert };
        let query = Query::new(statement, key)?;
        let encode = |error| failed(Problem::Encode(error));
        let text = self.text.encode(key, new).map_err(encode)?;
        let version = i64::try_from(new.version());
        let version = version.map_err(|_| encode(RecordTextError::VersionTooLarge))?;
        let Ok(expected) = expected.map(i64::try_from).transpose() else {
            return Ok(None);
        };
        Ok(Some(Query { row: Some((version, text)), expected, ..query }))
    }

    fn record(&self, key: &str, rows: &[Row]) -> Result<Option<Record>, DatabaseError> {
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let invalid = |error| failed(problem(error, &self.statements.table));
        let version: i64 = row.try_get(0).map_err(invalid)?;
        let text = row.try_get(1).map_err(invalid)?;
        let record = self.text.decode_version(key, version, text);
        record.map(Some).map_err(|error| failed(Problem::Decode(error)))
    }
}

impl<P> fmt::Debug for PostgresStore<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.statements.table)
            .field("text", &self.text)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A statement and its parameters. Without a key, it may be several statements.
#[derive(Default)]
struct Query {
    statement: String,
    is_load: bool,
    key: Option<String>,
    row: Option<(i64, Zeroizing<String>)>,
    expected: Option<i64>,
}

impl Query {
    fn new(statement: &str, key: &str) -> Result<Self, DatabaseError> {
        check_key(key).map_err(failed)?;
        Ok(Self { statement: statement.to_owned(), key: Some(key.to_owned()), ..Self::default() })
    }

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = Vec::new();
        parameters.extend(self.key.as_ref().map(|key| (key as _, Type::TEXT)));
        if let Some((version, text)) = &self.row {
            parameters.extend([(version as _, Type::INT8), (&**text as _, Type::TEXT)]);
        }
        parameters.extend(self.expected.as_ref().map(|expected| (expected as _, Type::INT8)));
        parameters
    }
}

/// The outcome of a swap that returned these rows.
fn outcome(rows: &[Row]) -> Outcome {
    if rows.is_empty() { Outcome::Conflict } else { Outcome::Stored }
}

fn problem(error: Error, table: &str) -> Problem {
    let code = error.code().map(|state| state.code().to_owned());
    let is_io = matches!(error.source(), Some(source) if source.is::<io::Error>());
    let is_disconnected = is_io || error.is_closed();
    Problem::from_sqlstate(code.as_deref(), is_disconnected, table, error)
}

fn failed(problem: Problem) -> DatabaseError {
    DatabaseError::new("PostgreSQL", problem)
}
