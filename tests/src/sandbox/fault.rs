//! Faults that tests can switch on.

use std::{fmt, str::FromStr, time::Duration};

/// A fault that affects all API requests while it is switched on. It does not affect the authorize
/// page.
///
/// `FromStr` and `Display` use the names `429`, `503`, `slow` and `reset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Requests are rate-limited (429) and have no effect.
    RateLimited,
    /// The service is unavailable (503). Requests have no effect.
    Unavailable,
    /// Requests take effect, but each response is delayed by this time.
    Slow(Duration),
    /// Requests take effect, but the connection is reset before the response.
    Reset,
}

/// The delay if `slow` is parsed.
const DELAY: Duration = Duration::from_secs(5);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        match text {
            "429" => Ok(Self::RateLimited),
            "503" => Ok(Self::Unavailable),
            "slow" => Ok(Self::Slow(DELAY)),
            "reset" => Ok(Self::Reset),
            _ => Err(UnknownFault(())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimited => "429",
            Self::Unavailable => "503",
            Self::Slow(_) => "slow",
            Self::Reset => "reset",
        })
    }
}

/// The error for an unknown fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownFault(());

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault is one of 429, 503, slow and reset")
    }
}

impl std::error::Error for UnknownFault {}
