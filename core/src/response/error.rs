//! The error of a response.

use alloc::{boxed::Box, string::String};
use core::fmt;

use http::StatusCode;

use super::{problem::Problem, rejection::Rejection};
use crate::remedy::{Remedy, remedy_of};

/// Why a response has no result. The request was delivered.
///
/// Messages contain no secret. [`remedy`](Self::remedy) says what a program can do about an error.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server rejected the request: a 4xx other than 429, or a 200 or 201 with an `error`
    /// member and no result.
    Rejected(Box<Rejection>),
    /// The request was rate-limited (429). The server did not act on it.
    Throttled(Box<Rejection>),
    /// The server failed (5xx). Whether it acted on the request is unknown.
    ServerFault(Box<Rejection>),
    /// The server responded with a redirect, which is never followed: a 307 would send the secret
    /// to the host that it names.
    RedirectRefused {
        /// The status, 3xx other than 304.
        status: StatusCode,
        /// The target without its query and fragment. Untrusted.
        location: Option<String>,
    },
    /// The response has another `state` than the request. Its tokens were dropped and wiped.
    StateMismatch,
    /// The response does not match the documented schema. The error contains no part of its body.
    Malformed {
        /// The status of the response.
        status: StatusCode,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The body of a successful response is larger than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl Error {
    /// Returns the status of the response, if the error has one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Rejected(rejection)
            | Self::Throttled(rejection)
            | Self::ServerFault(rejection) => Some(rejection.status),
            Self::RedirectRefused { status, .. } | Self::Malformed { status, .. } => Some(*status),
            Self::StateMismatch | Self::TooLarge { .. } => None,
        }
    }

    /// Returns what the error response says, if this is a rejection, a rate limit or a server
    /// fault.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection)
            | Self::Throttled(rejection)
            | Self::ServerFault(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Returns what a program can do about this error.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Rejected(rejection) => rejection.remedy(),
            Self::Throttled(rejection) | Self::ServerFault(rejection) => {
                Remedy::retry(rejection.requested_wait())
            }
            Self::RedirectRefused { .. } => Remedy::FixConfiguration,
            Self::StateMismatch => Remedy::StartOver,
            Self::Malformed { .. } | Self::TooLarge { .. } => Remedy::Unexpected,
        }
    }
}

remedy_of!(Error);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => write!(f, "the server rejected the request: {rejection}"),
            Self::Throttled(rejection) => write!(f, "the request was rate-limited: {rejection}"),
            Self::ServerFault(rejection) => write!(f, "the server failed: {rejection}"),
            Self::RedirectRefused { status, location } => {
                write!(f, "refused to follow a redirect ({})", status.as_u16())?;
                match location {
                    Some(location) => write!(f, " to {location}"),
                    None => Ok(()),
                }
            }
            Self::StateMismatch => f.write_str("the state of the response does not match"),
            Self::Malformed { status, problem } => {
                write!(f, "invalid response ({}): {problem}", status.as_u16())
            }
            Self::TooLarge { limit } => {
                write!(f, "the response body is larger than {limit} bytes")
            }
        }
    }
}

impl core::error::Error for Error {}
