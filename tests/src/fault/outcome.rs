//! The classes of outcomes of a call.

use std::fmt;

/// The class of a call's outcome: what its caller has to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Tokens.
    Ok,
    /// Provably nothing of the request reached the server.
    NotSent,
    /// Some of the request may have reached the server, and no complete response arrived.
    Unknown,
    /// A response that does not match the documented schema.
    Malformed,
    /// A response above the limit.
    TooLarge,
    /// A redirect, not followed.
    Redirect,
    /// The server rejected the request.
    Rejected,
    /// The request was rate-limited.
    Throttled,
    /// The server failed.
    ServerFault,
    /// The response has another state than the request.
    StateMismatch,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}
