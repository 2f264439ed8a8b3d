//! What a program can do about an error.

use core::time::Duration;

/// What a program can do about an error.
///
/// `CallbackError`, `Error`, `CallError` and `SessionError` all have a method `remedy()`. A web
/// handler maps the four cases to a status and a page:
///
/// | remedy | status | page |
/// | --- | --- | --- |
/// | [`StartOver`](Self::StartOver) | 400 | a link that starts the authorization again |
/// | [`Retry`](Self::Retry) | 503 with `Retry-After` | the service is unavailable, try again later |
/// | [`FixConfiguration`](Self::FixConfiguration) | 500 | an apology; the operator is notified |
/// | [`Unexpected`](Self::Unexpected) | 502 | an apology; the error is logged |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// The user authorizes again.
    StartOver,
    /// The same works later.
    Retry {
        /// How long to wait: what the server asked for, otherwise 30 seconds.
        after: Duration,
    },
    /// The app's settings, credentials or addresses are wrong. An operator has to fix them.
    FixConfiguration,
    /// The server or something between does not follow the documented protocol.
    Unexpected,
}

impl Remedy {
    /// A retry after the server's wish, or after a default of 30 seconds: longer than a failover,
    /// shorter than a user's patience.
    pub(crate) fn retry(after: Option<Duration>) -> Self {
        let after = after.unwrap_or(Duration::from_secs(30));
        Self::Retry { after }
    }
}
