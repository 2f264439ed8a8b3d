//! Why a session has no access token.

use alloc::sync::Arc;
use core::{error::Error as StdError, fmt};

use crate::{call_error::CallError, time::UnixTime};

/// Why a session has no access token.
///
/// It is cloned for all who wait for the same token; each message is one sentence that says what
/// happened and what can be done, with no secret in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store has no tokens: nobody has authorized yet, or they were removed.
    NoTokens,
    /// The access token is no longer good, and there is no way to a new one: the service refused
    /// the refresh token (`invalid_grant`), or there never was one.
    GrantGone {
        /// What the service said; `None` if it said it to another process, or there was no refresh
        /// token.
        cause: Option<Arc<CallError>>,
    },
    /// The access token is no longer good, and its refresh failed. The grant is not lost.
    RefreshFailed {
        /// When the next refresh can begin.
        until: UnixTime,
        /// Why it failed; `None` if it failed in another process.
        cause: Option<Arc<CallError>>,
    },
    /// The store failed, and tokens are neither used nor refreshed unless they can be stored. What
    /// the service gave before that is kept, and stored later.
    Store(Arc<dyn StdError + Send + Sync>),
    /// The runtime that would do the work is shutting down.
    ShutDown,
}

impl SessionError {
    /// Whether only the user can help, by authorizing again.
    #[must_use]
    pub fn needs_authorization(&self) -> bool {
        matches!(self, Self::NoTokens | Self::GrantGone { .. })
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTokens => {
                f.write_str("the store has no tokens for this session; let the user authorize")
            }
            Self::GrantGone { cause } => {
                f.write_str("the access token cannot be refreshed")?;
                if let Some(cause) = cause {
                    return write!(f, ": {cause}");
                }
                f.write_str(
                    " because its refresh token was refused, or there is none; let the user \
                     authorize again",
                )
            }
            Self::RefreshFailed { until, cause } => {
                f.write_str("the access token is no longer good and could not be refreshed")?;
                if let Some(cause) = cause {
                    write!(f, ": {cause}")?;
                }
                let until = until.as_secs();
                write!(f, "; the next try is not before {until} (Unix seconds)")
            }
            Self::ShutDown => f.write_str(
                "the runtime of this session is shutting down; ask again when the program has \
                 started anew",
            ),
            Self::Store(error) => write!(
                f,
                "the store of the session failed: {error}; tokens are used and refreshed only \
                 where they can be stored"
            ),
        }
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NoTokens | Self::ShutDown => None,
            // The messages above have the first link of the chain in them.
            Self::GrantGone { cause } | Self::RefreshFailed { cause, .. } => {
                cause.as_ref().and_then(|cause| cause.source())
            }
            Self::Store(error) => error.source(),
        }
    }
}

/// Why a request that needs an access token got no response.
#[derive(Debug)]
pub enum SendError<E> {
    /// There was no access token to send it with; or the service refused the one that it was sent
    /// with, and there is no other.
    Session(SessionError),
    /// It was sent with an access token, and this came of it.
    Send(E),
}

impl<E: fmt::Display> fmt::Display for SendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
        }
    }
}

impl<E: StdError> StdError for SendError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Session(error) => error.source(),
            Self::Send(error) => error.source(),
        }
    }
}

impl<E> From<SessionError> for SendError<E> {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}
