//! Why a store in a database fails.

use std::{error::Error, fmt, time::Duration};

use crate::RecordTextError;

/// Why a store in a database failed.
///
/// Unless [`problem`](Self::problem) says otherwise, a record may have been stored all the same; a
/// session loads it to find out.
#[derive(Debug)]
pub struct DatabaseError {
    database: &'static str,
    problem: DatabaseProblem,
}

/// What a [`DatabaseError`] is about.
#[derive(Debug)]
#[non_exhaustive]
pub enum DatabaseProblem {
    /// There was no connection to be had. Nothing was stored.
    Connect(Box<dyn Error + Send + Sync>),
    /// There was no response within this time.
    Timeout(Duration),
    /// The connection was lost during the request.
    Disconnected(Box<dyn Error + Send + Sync>),
    /// The request failed, for a reason that has no variant of its own.
    Request(Box<dyn Error + Send + Sync>),
    /// The table of this name does not exist. Nothing was stored.
    MissingTable(String),
    /// The database accepts no changes: it is a replica, or was made read-only. Nothing was stored.
    ReadOnly,
    /// Several attempts in a row ended with a serialization failure. Nothing was stored.
    Serialization,
    /// The key cannot be stored in this database. Nothing was stored.
    InvalidKey(&'static str),
    /// The record's key had an expiry, which would have removed the record. The store has removed
    /// the expiry; the record is as it was.
    Expiry,
    /// The database may remove records by itself, under this `maxmemory-policy`.
    Evicts(String),
    /// The database keeps records in memory alone, or writes them to the disk now and then.
    NotDurable,
    /// A record could not be converted to its text. Nothing was stored.
    Encode(RecordTextError),
    /// The stored text could not be read. It was not changed.
    Decode(RecordTextError),
}

impl DatabaseError {
    /// Returns an error of this database, by its name in a sentence (`PostgreSQL`).
    #[must_use]
    pub fn new(database: &'static str, problem: DatabaseProblem) -> Self {
        Self { database, problem }
    }

    /// What the error is about.
    #[must_use]
    pub fn problem(&self) -> &DatabaseProblem {
        &self.problem
    }
}

impl DatabaseProblem {
    /// Returns whether to repeat a request that failed in this attempt, counted from 1: after a
    /// serialization failure, and a load also after its connection was lost.
    #[must_use]
    pub fn allows_retry(&self, attempt: u32, is_load: bool) -> bool {
        let is_harmless = match self {
            Self::Serialization => true,
            Self::Disconnected(_) => is_load,
            _ => false,
        };
        is_harmless && attempt < super::ATTEMPTS
    }

    /// Returns the problem that an error of PostgreSQL with this SQLSTATE is, for a statement on
    /// `table`. An error without one is a lost connection, if `is_disconnected`.
    pub fn from_sqlstate(
        code: Option<&str>,
        is_disconnected: bool,
        table: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        match code {
            Some("42P01") => Self::MissingTable(table.to_owned()),
            Some("25006") => Self::ReadOnly,
            Some("40001") => Self::Serialization,
            // The server is shutting down or has crashed.
            Some("57P01" | "57P02" | "57P03") => Self::Disconnected(source.into()),
            None if is_disconnected => Self::Disconnected(source.into()),
            _ => Self::Request(source.into()),
        }
    }

    /// Returns the problem that an error of Redis with this code is. An error without one is a lost
    /// connection, if `is_disconnected`.
    pub fn from_redis_code(
        code: Option<&str>,
        is_disconnected: bool,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        match code {
            Some("READONLY") => Self::ReadOnly,
            None if is_disconnected => Self::Disconnected(source.into()),
            _ => Self::Request(source.into()),
        }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DatabaseProblem as P;
        let database = self.database;
        match &self.problem {
            P::Connect(_) => write!(f, "connecting to {database} failed"),
            P::Timeout(limit) => write!(f, "{database} did not respond within {limit:?}"),
            P::Disconnected(_) => write!(f, "the connection to {database} was lost"),
            P::Request(_) => write!(f, "a request to {database} failed"),
            P::MissingTable(table) => write!(f, "the {database} table {table} does not exist"),
            P::ReadOnly => write!(f, "{database} is read-only"),
            P::Serialization => write!(f, "{database} reported serialization failures repeatedly"),
            P::InvalidKey(why) => write!(f, "{database} cannot store a key that {why}"),
            P::Expiry => write!(f, "a record in {database} had an expiry, which has been removed"),
            P::Evicts(policy) => {
                write!(f, "{database} may evict records: its maxmemory-policy is {policy}")
            }
            P::NotDurable => {
                write!(f, "{database} loses records when it stops: its append-only file is off")
            }
            P::Encode(_) => write!(f, "a record cannot be stored in {database}"),
            P::Decode(_) => write!(f, "a record in {database} cannot be read"),
        }
    }
}

impl Error for DatabaseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            DatabaseProblem::Connect(source)
            | DatabaseProblem::Disconnected(source)
            | DatabaseProblem::Request(source) => Some(&**source),
            DatabaseProblem::Encode(source) | DatabaseProblem::Decode(source) => Some(source),
            _ => None,
        }
    }
}
