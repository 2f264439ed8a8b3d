//! What a session wants done.

use crate::{retry::RetryPolicy, time::UnixTime, token_refresh::TokenRefresh, token_set::TokenSet};

use super::{Record, SessionError};

/// What to do next: the answer of [`Session::poll`](super::Session::poll).
#[derive(Debug)]
#[must_use = "a job that is not done holds up the others"]
pub enum Step<T> {
    /// Here it is: the access token to be used, say.
    Ready(T),
    /// Do this, then poll again.
    Do(Job),
    /// Somebody is at it: poll again when there is news, or at this time.
    Wait(UnixTime),
    /// It is not to be had now.
    Fail(SessionError),
}

/// What a session wants done: handed out to one caller at a time.
///
/// Whoever gets a job does it and gives the outcome back; if that is not to be, by
/// [`abandon`](super::Session::abandon). Nothing is lost if neither happens: the job is handed out
/// again after a time.
#[derive(Debug)]
#[must_use = "a job that is not done holds up the others"]
pub enum Job {
    /// Read the record from the store, for [`handle_load`](super::Session::handle_load).
    Load(Load),
    /// Store a record if nobody else has, for [`handle_swap`](super::Session::handle_swap).
    Swap(Swap),
    /// Refresh now, for [`handle_refresh`](super::Session::handle_refresh).
    Refresh(Refresh),
}

impl Job {
    /// Which job it is, for [`abandon`](super::Session::abandon).
    #[must_use]
    pub fn id(&self) -> JobId {
        match self {
            Self::Load(load) => load.id,
            Self::Swap(swap) => swap.id,
            Self::Refresh(refresh) => refresh.id,
        }
    }
}

/// Which job of a session it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobId(pub(super) u64);

/// The job of reading the record from the store.
#[derive(Debug)]
pub struct Load {
    pub(super) id: JobId,
}

/// The job of storing a record if nobody else has.
#[derive(Debug)]
pub struct Swap {
    pub(super) id: JobId,
    pub(super) expected: Option<u64>,
    pub(super) record: Record,
}

/// The job of asking the service for new tokens.
#[derive(Debug)]
pub struct Refresh {
    pub(super) id: JobId,
    pub(super) operation: TokenRefresh,
    pub(super) retry: RetryPolicy,
    /// The tokens that are refreshed.
    pub(super) of: TokenSet,
}

impl Swap {
    /// The version that must be in the store for the record to replace it; `None` if there must be
    /// none.
    #[must_use]
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// The record to be stored.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl Refresh {
    /// The operation to be sent.
    pub fn operation(&self) -> TokenRefresh {
        self.operation.clone()
    }

    /// How often it is to be sent: as the session's policy says if somebody waits for it, and once
    /// as long as the old token is good, for the session itself comes back to it.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }
}

/// What came of a compare-and-swap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swapped {
    /// The new record is stored.
    Yes,
    /// Another version is there than was expected, and stays there.
    No,
}
