//! What can be wrong with an answer.

use alloc::{boxed::Box, string::String};
use core::fmt;

use http::StatusCode;

use crate::{malformed::Malformed, rejection::Rejection};

/// Why an answer of the server gave no result. The server *did* answer: the request was delivered.
///
/// Each message is one sentence that says what happened and what can be done, with no secret in it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server turned the request down: a 4xx other than 429, or a 200 with an `error`.
    Rejected(Box<Rejection>),
    /// The server turned the request away because there are too many: 429. It did not act on it.
    Throttled(Box<Rejection>),
    /// The server failed: 5xx. Whether it acted on the request is not known.
    ServerFault(Box<Rejection>),
    /// The server answered with a redirect, which is never followed: a 307 would hand the secret
    /// to whoever is named.
    RedirectRefused {
        /// The status, 3xx.
        status: StatusCode,
        /// Where to, without the query; not to be trusted.
        location: Option<String>,
    },
    /// The answer carries another `state` than the request did. Its tokens were dropped.
    StateMismatch,
    /// The answer is not one that the contract knows.
    Malformed(Malformed),
    /// The body of an answer that promised a result exceeds the limit.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Error {
    /// The status of the answer, where the error knows it.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Rejected(rejection)
            | Self::Throttled(rejection)
            | Self::ServerFault(rejection) => Some(rejection.status),
            Self::RedirectRefused { status, .. } => Some(*status),
            Self::Malformed(malformed) => Some(malformed.status()),
            Self::StateMismatch | Self::TooLarge { .. } => None,
        }
    }

    /// What the server said of its reasons, if this is a rejection, a throttling or a server fault.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection)
            | Self::Throttled(rejection)
            | Self::ServerFault(rejection) => Some(rejection),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => {
                write!(f, "the server rejected the request: {rejection}")?;
                match rejection.advice() {
                    Some(advice) => write!(f, "; {advice}"),
                    None => Ok(()),
                }
            }
            Self::Throttled(rejection) => write!(
                f,
                "the server turned the request away because there are too many: {rejection}; \
                 wait before the next"
            ),
            Self::ServerFault(rejection) => write!(
                f,
                "the server failed: {rejection}; whether it acted on the request is not known"
            ),
            Self::RedirectRefused { status, location } => {
                write!(f, "the server answered {} with a redirect", status.as_u16())?;
                if let Some(location) = location {
                    write!(f, " to {location}")?;
                }
                f.write_str(
                    ", which is never followed because it would hand over the secret; \
                     check the endpoint",
                )
            }
            Self::StateMismatch => f.write_str(
                "the server answered with another state than was sent, and its tokens were \
                 dropped; start the authorization again",
            ),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::TooLarge { limit } => write!(
                f,
                "the server answered with more than {limit} bytes, and reading was stopped; \
                 check the endpoint"
            ),
        }
    }
}

impl core::error::Error for Error {}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
