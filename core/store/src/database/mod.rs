//! What all stores in databases share, whatever client they use: statements, scripts and errors.
//!
//! The features `postgres` and `redis` of this crate and of `dropbox-sign-oauth-hyper` are built on
//! it. A store over another client (sqlx, diesel, fred) needs about 40 lines more.

mod error;
pub mod script;
mod sql;

pub use self::{
    error::{DatabaseError, DatabaseProblem},
    sql::{InvalidTable, Statements, check_key},
};

use std::time::Duration;

/// The default time limit of one call of a store in a database: the same as a session's for any store.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many times a statement is executed if it ends with a serialization failure (SQLSTATE 40001),
/// which has changed nothing. The same limit applies to loads whose connection was lost: a pool may
/// contain several connections that the server has closed.
pub const ATTEMPTS: u32 = 3;

/// The default name of the table.
pub const DEFAULT_TABLE: &str = "dropbox_sign_sessions";

/// The default prefix of a session's key in Redis.
pub const DEFAULT_PREFIX: &str = "dropbox-sign:session:";
