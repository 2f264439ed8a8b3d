//! The classes in which a call can end.

use std::fmt;

/// The class in which a call ends: what its caller has to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Tokens.
    Ok,
    /// Provably nothing of the request reached the server.
    NotSent,
    /// Some of the request may have reached the server, and no answer came back.
    Unknown,
    /// An answer that the contract does not know.
    Malformed,
    /// An answer above the limit.
    TooLarge,
    /// A redirect, not followed.
    Redirect,
    /// The server turned the request down.
    Rejected,
    /// The server turned the request away because there are too many.
    Throttled,
    /// The server failed.
    ServerFault,
    /// The answer carries another state than the request.
    StateMismatch,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::NotSent => "not sent",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::TooLarge => "too large",
            Self::Redirect => "redirect",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::ServerFault => "server fault",
            Self::StateMismatch => "state mismatch",
        })
    }
}
