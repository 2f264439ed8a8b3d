//! The results and the jobs that a session returns.

use crate::{
    call::retry::RetryPolicy, operation::token_refresh::TokenRefresh, time::UnixTime,
    token_set::TokenSet,
};

use super::{Record, SessionError};

/// What a caller of a session gets.
#[derive(Debug)]
pub enum Step<T> {
    /// The result, such as a valid access token.
    Ready(T),
    /// A job is in progress, here or in another process. Poll again when a job of this session has
    /// finished, or at this time.
    Wait(UnixTime),
    /// There is no result now.
    Fail(SessionError),
}

/// The rest of the work that has begun. Returned by
/// [`Session::background`](super::Session::background).
#[derive(Debug)]
pub enum Background {
    /// A job to do now.
    Job(Job),
    /// There is a job to do at this time, or when the active one has finished.
    Wait(UnixTime),
    /// Nothing is left to do.
    Idle,
}

/// A job of a session: one IO operation. At most one is active at a time.
///
/// The driver runs it and passes the outcome to the method that each variant names, or calls
/// [`abandon`](super::Session::abandon) or [`give_up`](super::Session::give_up). If it does
/// neither, the session returns the job again after a time limit.
#[derive(Clone, Debug)]
#[must_use = "callers wait for the job"]
pub enum Job {
    /// Load the record, for [`handle_load`](super::Session::handle_load).
    Load(Load),
    /// Store a record by compare and swap, for [`handle_swap`](super::Session::handle_swap).
    Swap(Swap),
    /// Remove the record, for [`handle_remove`](super::Session::handle_remove).
    Remove(Remove),
    /// Refresh the tokens, for [`handle_refresh`](super::Session::handle_refresh).
    Refresh(Refresh),
}

impl Job {
    /// Returns the id of this job.
    #[must_use]
    pub fn id(&self) -> JobId {
        match self {
            Self::Load(load) => load.id,
            Self::Swap(swap) => swap.id,
            Self::Remove(remove) => remove.id,
            Self::Refresh(refresh) => refresh.id,
        }
    }
}

/// The id of a job of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobId(pub(super) u64);

/// The job of loading the record.
#[derive(Clone, Debug)]
pub struct Load {
    pub(super) id: JobId,
}

/// The job of storing a record by compare and swap.
#[derive(Clone, Debug)]
pub struct Swap {
    pub(super) id: JobId,
    pub(super) expected: Option<u64>,
    pub(super) record: Record,
}

/// The job of removing the record.
#[derive(Clone, Debug)]
pub struct Remove {
    pub(super) id: JobId,
}

/// The job of refreshing the tokens.
#[derive(Clone, Debug)]
pub struct Refresh {
    pub(super) id: JobId,
    pub(super) operation: TokenRefresh,
    pub(super) retry: RetryPolicy,
    /// The tokens to be refreshed.
    pub(super) of: TokenSet,
}

impl Swap {
    /// Returns the version that the stored record must have; `None` if there must be no record.
    #[must_use]
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Returns the record to be stored.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl Refresh {
    /// Returns the operation to be sent.
    pub fn operation(&self) -> TokenRefresh {
        self.operation.clone()
    }

    /// Returns how the operation is retried: by the session's policy if there is no valid access
    /// token, otherwise not at all.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }
}

/// The outcome of a compare and swap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The new record is stored.
    Stored,
    /// The stored version is not the expected one. Nothing was changed.
    Conflict,
}
