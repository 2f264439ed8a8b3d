//! Async storage for session records.

use std::{error::Error, sync::Arc};

use dropbox_sign_oauth::session::{Outcome, Record};

use crate::{MemoryStore, Store};

#[doc = include_str!("asynchronous.md")]
pub trait AsyncStore: Send + Sync + 'static {
    /// The error of a failed call.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Returns the record stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the record cannot be read, or if [`Record::from_json`] rejects it. The method must not
    /// change the stored text.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Record>, Self::Error>> + Send;

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
    ) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;

    /// Removes the record stored under `key`, if there is one, regardless of its version.
    ///
    /// # Errors
    /// If it is not known whether the record was removed.
    fn remove(&self, key: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl<S: AsyncStore> AsyncStore for Arc<S> {
    type Error = S::Error;

    async fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        (**self).load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        (**self).compare_and_swap(key, expected, new).await
    }

    async fn remove(&self, key: &str) -> Result<(), S::Error> {
        (**self).remove(key).await
    }
}

/// Runs on the caller's thread, because the calls are short.
impl AsyncStore for MemoryStore {
    type Error = <Self as Store>::Error;

    async fn load(&self, key: &str) -> Result<Option<Record>, Self::Error> {
        Store::load(self, key)
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error> {
        Store::compare_and_swap(self, key, expected, new)
    }

    async fn remove(&self, key: &str) -> Result<(), Self::Error> {
        Store::remove(self, key)
    }
}
