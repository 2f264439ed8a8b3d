//! The blocking client, `postgres`, in a pool of `r2d2`.

use std::{error::Error as StdError, fmt, sync::Arc};

use dropbox_sign_oauth::session::{Outcome, Record};
use postgres::{
    Client, Config, Error, Row, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use r2d2::{ManageConnection, Pool};

use super::{PostgresStore, Problem, Query, failed, outcome, problem};
use crate::{
    Store,
    database::{DEFAULT_TIMEOUT, DatabaseError},
    time_limit,
};

impl<M: ManageConnection<Connection = Client>> PostgresStore<Pool<M>> {
    /// Creates the table unless it exists. Several processes may do so at once.
    ///
    /// # Errors
    /// [`DatabaseError`] if that failed, for example because the role may not create tables.
    pub fn create_table(&self) -> Result<(), DatabaseError> {
        self.run(self.table_query()).map(drop)
    }

    fn run(&self, query: Query) -> Result<Vec<Row>, DatabaseError> {
        let (pool, statements) = (self.pool.clone(), Arc::clone(&self.statements));
        let to_connect = time_limit::to_connect(self.timeout);
        let outcome = time_limit::run(self.timeout, move || {
            let mut attempts = 0;
            loop {
                attempts += 1;
                let connected = pool.get_timeout(to_connect);
                let mut client = connected.map_err(|error| Problem::Connect(error.into()))?;
                match execute(&mut client, &query) {
                    Ok(rows) => return Ok(rows),
                    Err(error) => match problem(error, &statements.table) {
                        problem if problem.allows_retry(attempts, query.is_load) => {}
                        problem => return Err(problem),
                    },
                }
            }
        });
        outcome.map_err(failed)
    }
}

fn execute(client: &mut Client, query: &Query) -> Result<Vec<Row>, Error> {
    if query.key.is_none() {
        return client.batch_execute(&query.statement).map(|()| Vec::new());
    }
    client.query_typed(&query.statement, &query.parameters())
}

impl<M: ManageConnection<Connection = Client>> Store for PostgresStore<Pool<M>> {
    type Error = DatabaseError;

    fn load(&self, key: &str) -> Result<Option<Record>, DatabaseError> {
        self.record(key, &self.run(self.load_query(key)?)?)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, DatabaseError> {
        match self.swap_query(key, expected, new)? {
            Some(query) => Ok(outcome(&self.run(query)?)),
            None => Ok(Outcome::Conflict),
        }
    }

    fn remove(&self, key: &str) -> Result<(), DatabaseError> {
        self.run(self.remove_query(key)?).map(drop)
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
        match self.0.source() {
            Some(source) => write!(f, "{}: {source}", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl StdError for ConnectError {}
