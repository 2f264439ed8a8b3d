//! Faults that tests can switch on.

use std::time::Duration;

use super::refusal::Refusal;

/// A fault that affects all API requests while it is switched on. It does not affect the authorize
/// page.
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

impl Fault {
    /// Parses the body of `PUT /sandbox/fault`: a fault, or none.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Refusal> {
        Ok(match text.trim() {
            "none" => None,
            "429" => Some(Self::RateLimited),
            "503" => Some(Self::Unavailable),
            "slow" => Some(Self::Slow(Duration::from_secs(5))),
            "reset" => Some(Self::Reset),
            _ => {
                let message = "A fault is one of 429, 503, slow, reset and none";
                return Err(Refusal::bad_request(message));
            }
        })
    }
}
