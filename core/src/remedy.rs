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
///
/// # The remedy of each error
/// | error | remedy |
/// | --- | --- |
/// | `CallbackError::Duplicate` | `StartOver` |
/// | `CallbackError::MissingParameters` | `StartOver` |
/// | `CallbackError::MissingState` | `StartOver` |
/// | `CallbackError::StateMismatch` | `StartOver` |
/// | `CallbackError::InvalidCode` | `StartOver` |
/// | `CallbackError::Denied`, `access_denied` | `StartOver` |
/// | `CallbackError::Denied`, `invalid_scope` | `FixConfiguration` |
/// | `CallbackError::Denied`, `temporarily_unavailable` | `Retry` |
/// | `Error::Rejected`, `invalid_grant` | `StartOver` |
/// | `Error::Rejected`, `invalid_client` | `FixConfiguration` |
/// | `Error::Rejected`, 401 of the token endpoint | `FixConfiguration` |
/// | `Error::Rejected`, 401 of the API | `StartOver` |
/// | `Error::Rejected`, 404 | `FixConfiguration` |
/// | `Error::Rejected`, another code | `Unexpected` |
/// | `Error::Throttled` | `Retry` |
/// | `Error::ServerFault` | `Retry` |
/// | `Error::RedirectRefused` | `FixConfiguration` |
/// | `Error::StateMismatch` | `StartOver` |
/// | `Error::Malformed` | `Unexpected` |
/// | `Error::TooLarge` | `Unexpected` |
/// | `CallError::NotSent` | `Retry` |
/// | `CallError::NotSent`, insecure URI | `FixConfiguration` |
/// | `CallError::Unknown`, code exchange | `StartOver` |
/// | `CallError::Unknown`, another request | `Retry` |
/// | `CallError::Answered` | that of its `Error` |
/// | `SessionError::NoTokens` | `StartOver` |
/// | `SessionError::Revoked` | `StartOver` |
/// | `SessionError::RefreshFailed` | `Retry` |
/// | `SessionError::RefreshFailed`, `invalid_client` | `FixConfiguration` |
/// | `SessionError::RefreshFailed`, three rejections | `StartOver` |
/// | `SessionError::Store` | `Retry` |
/// | `SessionError::ShutDown` | `Retry` |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// The user has to authorize again.
    StartOver,
    /// The same request can succeed later.
    Retry {
        /// How long to wait: as long as the server asked for, or 30 seconds if it did not ask.
        after: Duration,
    },
    /// The app's settings, credentials or addresses are wrong. An operator has to fix them.
    FixConfiguration,
    /// The server, or a proxy in front of it, does not follow the documented protocol.
    Unexpected,
}

impl Remedy {
    /// Returns a retry after `after`. Defaults to 30 seconds: long enough for a failover, and short
    /// enough for a user to wait.
    pub(crate) fn retry(after: Option<Duration>) -> Self {
        let after = after.unwrap_or(Duration::from_secs(30));
        Self::Retry { after }
    }
}
