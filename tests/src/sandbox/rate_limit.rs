//! The rate limit and its headers.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use dropbox_sign_oauth::UnixTime;

/// The vendor documents its limit in "requests per hour".
const WINDOW: Duration = Duration::from_secs(60 * 60);

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// The name that the vendor documents.
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// The name that the live service sends.
static LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-limit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Counts the requests of an hour, which starts with the first request.
pub(super) struct RateLimit {
    limit: u64,
    used: u64,
    reset: UnixTime,
}

/// The state of the limit after one request.
pub(super) struct Counted {
    pub(super) allowed: bool,
    limit: u64,
    remaining: u64,
    reset: UnixTime,
}

impl RateLimit {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0, reset: UnixTime::from_secs(0) }
    }

    pub(super) fn count(&mut self, now: UnixTime) -> Counted {
        if self.reset <= now {
            self.used = 0;
            self.reset = now.saturating_add(WINDOW);
        }
        let allowed = self.used < self.limit;
        self.used += u64::from(allowed);
        Counted { allowed, limit: self.limit, remaining: self.limit - self.used, reset: self.reset }
    }
}

impl Counted {
    pub(super) fn headers(self) -> [(HeaderName, HeaderValue); 4] {
        [
            (LIMIT.clone(), self.limit.into()),
            (REMAINING.clone(), self.remaining.into()),
            (LIMIT_REMAINING.clone(), self.remaining.into()),
            (RESET.clone(), self.reset.as_secs().into()),
        ]
    }
}
