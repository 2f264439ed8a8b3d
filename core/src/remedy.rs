//! What a program can do about an error.

use core::time::Duration;

#[doc = include_str!("remedy.md")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// The user has to authorize again.
    StartOver,
    /// The same request can succeed later. After a failed code exchange, a new authorization can.
    Retry {
        /// How long to wait: as long as the server asked for, or 30 seconds if it did not ask.
        after: Duration,
    },
    /// The app's settings, credentials or addresses are wrong. An operator has to fix them.
    FixConfiguration,
    /// The server, or a proxy in front of it, does not follow the documented protocol.
    Unexpected,
}

/// Implements `From` for the remedy of an error.
macro_rules! remedy_of {
    ($error:ty) => {
        impl From<&$error> for $crate::Remedy {
            fn from(error: &$error) -> Self {
                error.remedy()
            }
        }
    };
}
pub(crate) use remedy_of;

impl Remedy {
    /// Returns a retry after `after`. Defaults to 30 seconds: long enough for a failover, and short
    /// enough for a user to wait.
    pub(crate) fn retry(after: Option<Duration>) -> Self {
        let after = after.unwrap_or(Duration::from_secs(30));
        Self::Retry { after }
    }
}
