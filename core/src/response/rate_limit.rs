//! The rate limit that a response reports, and when to retry.
//!
//! Source: the headers `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-Ratelimit-Reset` of the
//! vendor's API reference; `Retry-After` of RFC 9110 §10.2.3.

use core::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};

use super::number::digits;
use crate::time::{LAST_SECOND, UnixTime};

/// The rate limit that a response reports. Absent and invalid values are `None`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct RateLimit {
    /// The number of requests allowed per window. The vendor's window is an hour.
    pub limit: Option<u64>,
    /// The number of requests left in this window.
    pub remaining: Option<u64>,
    /// When the next window starts, by the server's clock.
    pub reset: Option<UnixTime>,
}

impl RateLimit {
    /// Reads the rate limit from the headers of a response. Invalid values are ignored.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Timing::from_headers(headers).rate_limit
    }
}

/// What the headers of a response say about time.
#[derive(Default)]
pub(crate) struct Timing {
    pub(crate) rate_limit: RateLimit,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) date: Option<UnixTime>,
}

impl Timing {
    /// Reads the headers. Invalid values are ignored.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        let limits = &mut read.rate_limit;
        // One pass over a few headers is faster than a lookup for each name.
        for (name, value) in headers {
            match name.as_str() {
                "date" => read.date = read.date.or_else(|| http_date(value.to_str().ok()?)),
                "retry-after" => read.retry_after = read.retry_after.or_else(|| retry_after(value)),
                "x-ratelimit-limit" => limits.limit = limits.limit.or_else(|| number(value)),
                // The name in the vendor's reference, and the name that the server sends.
                "x-ratelimit-remaining" | "x-ratelimit-limit-remaining" => {
                    limits.remaining = limits.remaining.or_else(|| number(value));
                }
                "x-ratelimit-reset" => {
                    let reset = number(value).filter(|reset| *reset <= LAST_SECOND);
                    limits.reset = limits.reset.or(reset.map(UnixTime::from_secs));
                }
                _ => {}
            }
        }
        read
    }
}

/// The longest wait that a server can ask for: an hour, the vendor's window. A wrong or hostile
/// header must not suspend an application for a year.
pub const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// When the server asks the client to retry (`Retry-After`, RFC 9110 §10.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After this duration, at most [`MAX_WAIT`].
    Delay(Duration),
    /// At this time, by the server's clock.
    At(UnixTime),
}

impl RetryAfter {
    /// Reads `Retry-After` from the headers of a response. Invalid values are ignored.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Timing::from_headers(headers).retry_after
    }

    /// Returns how long to wait from `now`: at most [`MAX_WAIT`], and zero for a time in the past.
    #[must_use]
    pub fn wait(self, now: UnixTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.saturating_since(now).min(MAX_WAIT),
        }
    }
}

/// How long an error response asks to wait from `now`: by `Retry-After`, or until the end of the
/// window if the rate limit is exhausted. At most [`MAX_WAIT`].
pub(crate) fn wait(
    status: StatusCode,
    retry_after: Option<RetryAfter>,
    rate_limit: RateLimit,
    now: UnixTime,
) -> Option<Duration> {
    let is_exhausted = status == StatusCode::TOO_MANY_REQUESTS || rate_limit.remaining == Some(0);
    match (retry_after, rate_limit.reset) {
        (Some(retry_after), _) => Some(retry_after.wait(now)),
        (None, Some(reset)) if is_exhausted => Some(reset.saturating_since(now).min(MAX_WAIT)),
        (None, _) => None,
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    digits(value.as_bytes().trim_ascii())
}

fn retry_after(value: &HeaderValue) -> Option<RetryAfter> {
    match number(value) {
        Some(seconds) => Some(RetryAfter::Delay(Duration::from_secs(seconds).min(MAX_WAIT))),
        None => http_date(value.to_str().ok()?.trim()).map(RetryAfter::At),
    }
}

fn http_date(text: &str) -> Option<UnixTime> {
    // `httpdate` returns a `SystemTime`, which `core` cannot name. Its difference from the parsed
    // epoch is a `Duration`.
    let epoch = httpdate::parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT").ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    time.duration_since(epoch).ok().map(UnixTime::since_epoch)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn reads_both_spellings_of_remaining() {
        let expected = RateLimit {
            limit: Some(100),
            remaining: Some(99),
            reset: Some(UnixTime::from_secs(1_430_170_900)),
        };
        for remaining in ["x-ratelimit-remaining", "x-ratelimit-limit-remaining"] {
            let headers = headers(&[
                ("x-ratelimit-limit", "100"),
                (remaining, "99"),
                ("x-ratelimit-reset", "1430170900"),
            ]);
            assert_eq!(RateLimit::from_headers(&headers), expected);
        }
    }

    #[test]
    fn ignores_invalid_values() {
        let too_late = headers(&[("x-ratelimit-reset", "253402300800")]);
        assert_eq!(RateLimit::from_headers(&too_late).reset, None);
        for value in ["", "-1", "+1", "1.5", "soon", "1e3", "0x10", "1 2"] {
            let headers = headers(&[
                ("x-ratelimit-limit", value),
                ("x-ratelimit-remaining", value),
                ("x-ratelimit-reset", value),
                ("retry-after", value),
            ]);
            assert_eq!(RateLimit::from_headers(&headers), RateLimit::default());
            assert_eq!(RetryAfter::from_headers(&headers), None, "{value}");
        }
    }

    #[test]
    fn reads_retry_after_as_seconds_or_date_and_clamps_it() {
        // 2015-10-21T07:28:00Z is 1445412480.
        let now = UnixTime::from_secs(1_445_412_400);
        for (value, wait) in [
            ("0", 0),
            ("120", 120),
            ("3601", 3600),
            ("1000000000000000000000000000000", 3600),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 80),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", 80),
            ("Wed Oct 21 07:28:00 2015", 80),
            ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
            ("Wed, 21 Oct 2099 07:28:00 GMT", 3600),
        ] {
            let read = RetryAfter::from_headers(&headers(&[("retry-after", value)]));
            let read = read.map(|retry_after| retry_after.wait(now));
            assert_eq!(read, Some(Duration::from_secs(wait)), "{value}");
        }
    }
}
