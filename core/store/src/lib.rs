#![doc = include_str!("lib.md")]
#![doc(html_root_url = "https://docs.rs/dropbox-sign-oauth-store/latest")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod asynchronous;
mod cipher;
pub mod database;
mod entropy;
mod entry;
mod exchanges;
mod file;
mod live;
mod memory;
mod options;
#[doc = include_str!("operations.md")]
pub mod operations {}
#[cfg(any(feature = "postgres", feature = "postgres-async"))]
mod postgres;
mod record_text;
#[cfg(any(feature = "redis", feature = "redis-async"))]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod time_limit;

use std::{error::Error, sync::Arc};

pub use dropbox_sign_oauth::session::{Outcome, Record};

#[cfg(any(feature = "postgres", feature = "postgres-async"))]
pub use self::postgres::PostgresStore;
#[cfg(feature = "postgres")]
pub use self::postgres::{ConnectError, PostgresManager};
#[cfg(any(feature = "redis", feature = "redis-async"))]
pub use self::redis::RedisStore;
pub use self::{
    asynchronous::AsyncStore,
    cipher::{Cipher, Sealed},
    file::{FileStore, FileStoreError},
    memory::MemoryStore,
    options::{Clock, SessionOptions},
    record_text::{MAX_TEXT, RecordText, RecordTextError},
};

#[doc(hidden)]
pub use self::{
    entropy::Entropy,
    entry::{Entry, State},
    exchanges::Exchange,
    live::Live,
};

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
