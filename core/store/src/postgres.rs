//! A table of PostgreSQL, through a blocking pool of connections (feature `postgres`).

use std::{error::Error as StdError, fmt, io, sync::Arc, time::Duration};

use dropbox_sign_oauth::session::{Outcome, Record};
use postgres::{
    Client, Config, Error, Socket,
    tls::{MakeTlsConnect, TlsConnect},
    types::{ToSql, Type},
};
use r2d2::{ManageConnection, Pool};
use zeroize::Zeroizing;

use crate::{
    Cipher, RecordText, Store,
    database::{
        ATTEMPTS, DEFAULT_TIMEOUT, DatabaseError, DatabaseProblem, InvalidTable, Statements,
        check_key,
    },
    time_limit,
};

/// A table of PostgreSQL with one row a session, shared by processes on any machine.
///
/// The pool is the program's own: [`PostgresManager`] or `r2d2_postgres` manage its connections.
/// Statements are not prepared, so a pooler such as pgbouncer may stand in between, in any mode.
///
/// ```no_run
/// use dropbox_sign_oauth_store::{PostgresManager, PostgresStore};
/// use postgres::NoTls;
///
/// let config = "host=localhost user=app dbname=app".parse()?;
/// let pool = r2d2::Pool::new(PostgresManager::new(config, NoTls))?;
/// let store = PostgresStore::new(pool);
/// store.create_table()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostgresStore<M: ManageConnection> {
    pool: Pool<M>,
    statements: Arc<Statements>,
    text: RecordText,
    timeout: Duration,
}

impl<M: ManageConnection<Connection = Client>> PostgresStore<M> {
    /// Returns a store in the table `dropbox_sign_sessions`.
    #[must_use]
    pub fn new(pool: Pool<M>) -> Self {
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
    pub fn create_table(&self) -> Result<(), DatabaseError> {
        self.run(false, |client, statements| client.batch_execute(&statements.create_table))
    }

    /// Executes a statement: again if it ended with a serialization failure, and a load also if its
    /// connection was lost.
    fn run<T: Send + 'static>(
        &self,
        is_load: bool,
        statement: impl Fn(&mut Client, &Statements) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (pool, statements) = (self.pool.clone(), Arc::clone(&self.statements));
        let to_connect = time_limit::to_connect(self.timeout);
        let outcome = time_limit::run(self.timeout, move || {
            let mut attempts = ATTEMPTS;
            loop {
                attempts -= 1;
                let mut client = pool
                    .get_timeout(to_connect)
                    .map_err(|error| DatabaseProblem::Connect(error.into()))?;
                let outcome = statement(&mut client, &statements)
                    .map_err(|error| problem(error, &statements.table));
                match outcome {
                    Err(DatabaseProblem::Serialization) if attempts > 0 => {}
                    Err(DatabaseProblem::Disconnected(_)) if is_load && attempts > 0 => {}
                    outcome => return outcome,
                }
            }
        });
        outcome.map_err(failed)
    }
}

fn problem(error: Error, table: &str) -> DatabaseProblem {
    let code = error.code().map(|state| state.code().to_owned());
    let is_io = matches!(error.source(), Some(source) if source.is::<io::Error>());
    let is_disconnected = is_io || error.is_closed();
    DatabaseProblem::from_sqlstate(code.as_deref(), is_disconnected, table, error)
}

fn failed(problem: DatabaseProblem) -> DatabaseError {
    DatabaseError::new("PostgreSQL", problem)
}

impl<M: ManageConnection<Connection = Client>> Store for PostgresStore<M> {
    type Error = DatabaseError;

    fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        check_key(key).map_err(failed)?;
        let owned = key.to_owned();
        let row = self.run(true, move |client, statements| {
            let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&owned, Type::TEXT)];
            let row = client.query_typed_opt(&statements.load, &parameters)?;
            row.map(|row| Ok((row.try_get(0)?, Zeroizing::new(row.try_get::<_, String>(1)?))))
                .transpose()
        })?;
        let record = row.map(|(version, text)| self.text.decode_row(key, version, &text));
        record.transpose().map_err(|error| failed(DatabaseProblem::Decode(error)))
    }

    fn compare_and_swap(
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
        let key = key.to_owned();
        let rows = self.run(false, move |client, statements| {
            let new: [(&(dyn ToSql + Sync), Type); 3] =
                [(&key, Type::TEXT), (&version, Type::INT8), (&*text, Type::TEXT)];
            match expected {
                None => client.query_typed(&statements.insert, &new),
                Some(expected) => {
                    let [key, version, text] = new;
                    let parameters = [key, version, text, (&expected as _, Type::INT8)];
                    client.query_typed(&statements.update, &parameters)
                }
            }
        })?;
        Ok(if rows.is_empty() { Outcome::Conflict } else { Outcome::Stored })
    }

    fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        check_key(key).map_err(failed)?;
        let key = key.to_owned();
        let removed = self.run(false, move |client, statements| {
            client.query_typed(&statements.remove, &[(&key, Type::TEXT)])
        });
        removed.map(drop)
    }
}

impl<M: ManageConnection> Clone for PostgresStore<M> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            statements: Arc::clone(&self.statements),
            text: self.text.clone(),
            timeout: self.timeout,
        }
    }
}

impl<M: ManageConnection> fmt::Debug for PostgresStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.statements.table)
            .field("text", &self.text)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Manages the connections of a pool, as `r2d2_postgres` does, with errors that say what the server
/// said.
#[derive(Clone)]
pub struct PostgresManager<T> {
    config: Config,
    tls: T,
}

impl<T> PostgresManager<T> {
    /// Returns a manager of connections with these settings.
    #[must_use]
    pub fn new(config: Config, tls: T) -> Self {
        Self { config, tls }
    }
}

impl<T> ManageConnection for PostgresManager<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Connection = Client;
    type Error = ConnectError;

    fn connect(&self) -> Result<Client, ConnectError> {
        self.config.connect(self.tls.clone()).map_err(ConnectError)
    }

    fn is_valid(&self, client: &mut Client) -> Result<(), ConnectError> {
        client.is_valid(DEFAULT_TIMEOUT).map_err(ConnectError)
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        client.is_closed()
    }
}

impl<T> fmt::Debug for PostgresManager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresManager").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a connection could not be made, or is not usable any more.
///
/// Its text includes its source: a pool passes on nothing else.
#[derive(Debug)]
pub struct ConnectError(Error);

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.source() {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for ConnectError {}
