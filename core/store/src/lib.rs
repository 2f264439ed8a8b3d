//! Storage for the sessions of [`dropbox_sign_oauth`]: in memory, in a folder that processes share,
//! or in a database.
//!
//! A [`Store`] keeps one [`Record`] for each session, under a key that the program chooses: the id
//! of its user, for example. A record is replaced by *compare and swap* on its version. This is all
//! that coordinates processes that share a store: the first process to store its claim refreshes
//! the tokens, and the others read what it stored.
//!
//! # Databases
//! The features `postgres` and `redis` add stores in databases, here with blocking clients and in
//! `dropbox-sign-oauth-hyper` with async ones; both read and write the same records. [`operations`]
//! says how to run them: durability, timeouts, backups, encryption.
//!
//! # Custom stores
//! A record has a version and a text, which [`RecordText`] reads and writes; [`database`] has
//! statements for PostgreSQL and scripts for Redis. The testkit checks any store against the promises
//! of [`Store`].
//! - A swap compares and stores in one atomic step: one SQL statement, one script.
//! - Run each statement in a transaction of its own (autocommit), and report its outcome after the
//!   commit. Inside a longer transaction, a later rollback would undo what was reported as stored.
//! - Report [`Outcome::Conflict`] only if nothing was stored, and an error whenever it is not known.
//! - Load from the server that you write to, not from a replica.
//!
//! # What compare-and-swap guarantees
//! - If several processes expect the same version, one stores its record, and the others get a
//!   conflict. So at most one refresh is in progress at a time, unless a claim expires.
//! - No process uses tokens that are not stored, and tokens are not replaced by older ones.
//! - If a process dies during a refresh, the others refresh once its claim has expired and the
//!   policy's [`clock_tolerance`](dropbox_sign_oauth::session::SessionPolicy::clock_tolerance) has
//!   passed.
//!
//! # What it does not guarantee
//! - If a process dies after the server has issued new tokens and before they are stored, the
//!   tokens are lost. If the server invalidates a refresh token when it is used, the user must
//!   authorize again. No client can prevent this.
//! - If a store loses a write that it acknowledged, a session may use a refresh token that was
//!   already replaced, with the same result.
//! - Claims expire by the system clock. If clocks differ or jump by more than the policy's
//!   `clock_tolerance`, two refreshes can be in progress at a time.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cipher;
pub mod database;
mod entropy;
mod file;
mod live;
mod memory;
mod options;
#[doc = include_str!("operations.md")]
pub mod operations {}
#[cfg(feature = "postgres")]
mod postgres;
mod record_text;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod time_limit;

use std::{error::Error, sync::Arc};

pub use dropbox_sign_oauth::session::{Outcome, Record};

#[cfg(feature = "postgres")]
pub use self::postgres::{ConnectError, PostgresManager, PostgresStore};
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub use self::{
    cipher::{Cipher, Sealed},
    file::{FileStore, FileStoreError},
    memory::MemoryStore,
    options::SessionOptions,
    record_text::{MAX_TEXT, RecordText, RecordTextError},
};

#[doc(hidden)]
pub use self::{entropy::Entropy, live::Live};

/// Blocking storage for session records.
///
/// A store must return the same records to all processes that share it. Methods are called from
/// several threads. A session stops waiting for a call after the policy's
/// [`store_timeout`](dropbox_sign_oauth::session::SessionPolicy::store_timeout), but the thread
/// stays blocked until the call returns. Set a timeout in the database client as well.
pub trait Store: Send + Sync {
    /// The error of a failed call.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Returns the record stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the record cannot be read, or if [`Record::from_json`] rejects it. The method must not
    /// change the stored text.
    fn load(&self, key: &str) -> Result<Option<Record>, Self::Error>;

    /// Stores `new` under `key` if the stored record has the version `expected`, or if there is no
    /// record and `expected` is `None`. Otherwise changes nothing and returns
    /// [`Outcome::Conflict`].
    ///
    /// # Errors
    /// If it is not known whether the record was stored. The session then loads the record to find
    /// out.
    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error>;

    /// Removes the record stored under `key`, if there is one, regardless of its version.
    ///
    /// # Errors
    /// If it is not known whether the record was removed.
    fn remove(&self, key: &str) -> Result<(), Self::Error>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    type Error = S::Error;

    fn load(&self, key: &str) -> Result<Option<Record>, Self::Error> {
        (**self).load(key)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error> {
        (**self).compare_and_swap(key, expected, new)
    }

    fn remove(&self, key: &str) -> Result<(), Self::Error> {
        (**self).remove(key)
    }
}
