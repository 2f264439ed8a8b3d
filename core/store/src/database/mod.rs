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

/// How long a database has for one call of a store, by default. A session waits as long for its
/// store.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a statement is executed at most that ends with a serialization failure (SQLSTATE
/// 40001): it has changed nothing, and the next one decides afresh. So often a load is executed whose
/// connection was lost: a pool may contain several that were closed meanwhile.
pub const ATTEMPTS: u32 = 3;

/// The name of the table, by default.
pub const DEFAULT_TABLE: &str = "dropbox_sign_sessions";

/// What stands before the key of a session in the name of its key in Redis, by default.
pub const DEFAULT_PREFIX: &str = "dropbox-sign:session:";
