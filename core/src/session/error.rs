//! Why a session has no access token.

use alloc::sync::Arc;
use core::{error::Error as StdError, fmt};

use crate::{
    call::CallError,
    remedy::{Remedy, remedy_of},
    time::UnixTime,
};

/// The number of rejections in a row after which the user has probably revoked the authorization.
pub(super) const REVOKED_AFTER_REJECTIONS: u32 = 3;

/// Why a session has no access token.
///
/// It is cloned for all callers that wait for the same token. Messages contain no secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store has no tokens: the user has not authorized yet, or the session was ended.
    NoTokens,
    /// The access token is expired or rejected, and cannot be refreshed: the server rejected the
    /// refresh token (`invalid_grant`), or there is none.
    Revoked {
        /// The server's response; `None` if another process received it, or there is no refresh
        /// token.
        cause: Option<Arc<CallError>>,
    },
    /// The access token is expired or rejected, and the last refresh failed.
    RefreshFailed {
        /// When the next refresh can start.
        until: UnixTime,
        /// Why it failed; `None` if it failed in another process.
        cause: Option<Arc<CallError>>,
        /// How often in a row the server rejected the refresh token with another error than
        /// `invalid_grant`. If there are three or more, the user has probably revoked the
        /// authorization.
        rejections: u32,
    },
    /// The store failed. New tokens are kept in memory, and stored as soon as possible. They are
    /// not used before they are stored.
    Store(Arc<dyn StdError + Send + Sync>),
    /// The runtime of the session is shutting down.
    ShutDown,
}

impl SessionError {
    /// Returns whether only a new authorization of the user helps, certainly or probably.
    #[must_use]
    pub fn needs_authorization(&self) -> bool {
        match self {
            Self::NoTokens | Self::Revoked { .. } => true,
            Self::RefreshFailed { rejections, .. } => *rejections >= REVOKED_AFTER_REJECTIONS,
            Self::Store(_) | Self::ShutDown => false,
        }
    }

    /// Returns what a program can do about this error.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            error if error.needs_authorization() => Remedy::StartOver,
            Self::RefreshFailed { cause: Some(cause), .. } => match cause.remedy() {
                Remedy::FixConfiguration => Remedy::FixConfiguration,
                retry @ Remedy::Retry { .. } => retry,
                _ => Remedy::retry(None),
            },
            _ => Remedy::retry(None),
        }
    }
}

remedy_of!(SessionError);

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTokens => f.write_str("the session has no tokens"),
            Self::Revoked { .. } => f.write_str("the access token cannot be refreshed"),
            Self::RefreshFailed { until, .. } => write!(
                f,
                "refreshing the access token failed; the next attempt starts at {} (Unix time)",
                until.as_secs()
            ),
            Self::Store(_) => f.write_str("the store of the session failed"),
            Self::ShutDown => f.write_str("the runtime of the session is shutting down"),
        }
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NoTokens | Self::ShutDown => None,
            Self::Revoked { cause } | Self::RefreshFailed { cause, .. } => {
                cause.as_ref().map(|cause| &**cause as _)
            }
            Self::Store(error) => Some(&**error),
        }
    }
}

/// Why a request on behalf of a user has no result.
#[derive(Debug)]
pub enum SendError<E> {
    /// There is no access token, or the server rejected it and there is no other.
    Session(SessionError),
    /// The request was sent with an access token and failed.
    Send(E),
}

impl SendError<CallError> {
    /// Returns what a program can do about this error.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Session(error) => error.remedy(),
            Self::Send(error) => error.remedy(),
        }
    }
}

remedy_of!(SendError<CallError>);

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
