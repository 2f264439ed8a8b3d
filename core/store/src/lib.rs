//! Storage for the sessions of [`dropbox_sign_oauth`]: in memory, in a folder that processes share,
//! or in a database.
//!
//! A [`Store`] keeps one [`Record`] for each session, under a key that the program chooses: the id of
//! its user, for example. A record is replaced by *compare and swap* on its version. Processes that
//! share a store need nothing else of each other: the first to store its claim refreshes the tokens,
//! and the others read what it stored.
//!
//! # Databases
//! [`Store`] has three methods. A record has a version and a text
//! ([`to_exposed_json`](Record::to_exposed_json), [`from_json`](Record::from_json)). The text
//! contains the tokens in plain text: protect it as you protect passwords.
//!
//! ## PostgreSQL
//! ```sql
//! CREATE TABLE dropbox_sign_session (
//!     key     text   PRIMARY KEY,
//!     version bigint NOT NULL,
//!     record  text   NOT NULL
//! );
//! -- load(key)
//! SELECT record FROM dropbox_sign_session WHERE key = $1;
//! -- compare_and_swap(key, None, new)
//! INSERT INTO dropbox_sign_session (key, version, record) VALUES ($1, $2, $3)
//!     ON CONFLICT (key) DO NOTHING;
//! -- compare_and_swap(key, Some(expected), new)
//! UPDATE dropbox_sign_session SET version = $2, record = $3
//!     WHERE key = $1 AND version = $4;
//! -- remove(key)
//! DELETE FROM dropbox_sign_session WHERE key = $1;
//! ```
//! A swap that changed one row is [`Outcome::Stored`], one that changed none is [`Outcome::Conflict`].
//!
//! - Run each statement in a transaction of its own (autocommit), and report its outcome after the
//!   commit. Inside a longer transaction, a later rollback would undo what was reported as stored.
//! - Each statement is correct at every isolation level. Above READ COMMITTED it may fail with
//!   SQLSTATE 40001: nothing was stored, so return [`Outcome::Conflict`].
//! - Leave `synchronous_commit` on, and load from the server that you write to, not from a replica.
//! - PostgreSQL's text cannot contain NUL, and a row of an index is limited to about 2,700 bytes:
//!   choose keys accordingly.
//!
//! ## Redis
//! `EVAL` is atomic. `EXPECTED` is the empty string if no record must be there; the reply `1` is
//! [`Outcome::Stored`], `0` is [`Outcome::Conflict`].
//! ```text
//! # load
//! HGET dropbox-sign:session:KEY record
//! # compare_and_swap
//! EVAL "if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3]) return 1" 1 dropbox-sign:session:KEY EXPECTED VERSION RECORD
//! # remove
//! DEL dropbox-sign:session:KEY
//! ```
//! Redis forgets what it acknowledged unless it is told otherwise: set `appendfsync always` and
//! `maxmemory-policy noeviction`, give the keys no time to live, and read from the primary. After a
//! failover to a replica that lags, a session may find a refresh token that was replaced already.
//!
//! # What compare-and-swap guarantees
//! - Of all processes that expect the same version, one stores its record, and the others learn that
//!   they did not. So one refresh is in progress at a time, as long as no claim expires.
//! - No process uses tokens that are not stored, and tokens are not replaced by older ones.
//! - A process that dies during a refresh delays the others until its claim expires, and no longer.
//!
//! # What it does not guarantee
//! - If a process dies after the server has issued new tokens and before they are stored, the tokens
//!   are lost. Where the server invalidates a refresh token when it is used, the user must authorize
//!   again. No client can prevent this.
//! - A store that forgets what it acknowledged brings back an old refresh token, with the same
//!   result.
//! - Claims expire by the clock. Clocks that differ by more than the policy's lease lead to two
//!   refreshes at a time.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod entropy;
mod file;
mod live;
mod memory;
mod options;

use std::{error::Error, sync::Arc};

pub use dropbox_sign_oauth::session::{Outcome, Record};

pub use self::{
    file::{FileStore, FileStoreError},
    memory::MemoryStore,
    options::SessionOptions,
};

#[doc(hidden)]
pub use self::{entropy::Entropy, live::Live};

/// Blocking storage for session records.
///
/// All processes that share a session see the same records in it. A session calls a store from
/// several threads, and gives up waiting for a call after the time limit of its
/// [`Sessions`](https://docs.rs/dropbox-sign-oauth-ureq/latest/dropbox_sign_oauth_ureq/struct.Sessions.html);
/// a call with a time limit of its own also frees its thread then.
pub trait Store: Send + Sync {
    /// Why a call fails.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Returns the record stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the record cannot be read, or is not one that [`Record::from_json`] accepts. The stored
    /// text must be left as it is.
    fn load(&self, key: &str) -> Result<Option<Record>, Self::Error>;

    /// Stores `new` under `key` if the version stored there is `expected`, or if no record is stored
    /// there and `expected` is `None`. Changes nothing otherwise.
    ///
    /// # Errors
    /// If it is not known that the record is stored. It may have been stored anyway; the session
    /// loads the record to find out.
    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error>;

    /// Removes the record stored under `key`, if there is one, whatever its version is.
    ///
    /// # Errors
    /// If it is not known that the record is removed.
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
