//! What a response says about how many requests are left, and when to come back.
//!
//! Source: the headers `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-Ratelimit-Reset` of the
//! vendor's API reference; `Retry-After` of RFC 9110 §10.2.3.

use core::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::time::{LAST_SECOND, UnixTime};

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// As the vendor's reference spells it.
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// As it is seen on the wire.
static LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-limit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The rate limit that a response reports; what it leaves out, or garbles, is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct RateLimit {
    /// The most requests per window; the vendor's window is an hour.
    pub limit: Option<u64>,
    /// The requests that are left in this window.
    pub remaining: Option<u64>,
    /// When the window ends, and the count starts again.
    pub reset: Option<UnixTime>,
}

impl RateLimit {
    /// Reads the rate limit from a response's headers. Garbage is ignored.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        // One pass over a few headers takes less time than a lookup for each name.
        for (name, value) in headers {
            if name == LIMIT {
                read.limit = read.limit.or_else(|| number(value));
            } else if name == REMAINING || name == LIMIT_REMAINING {
                read.remaining = read.remaining.or_else(|| number(value));
            } else if name == RESET {
                let reset = number(value).filter(|reset| *reset <= LAST_SECOND);
                read.reset = read.reset.or(reset.map(UnixTime::from_secs));
            }
        }
        read
    }
}

/// The longest wait that a server can ask for: an hour, the vendor's window. A wrong or hostile
/// header must not put an application to sleep for a year.
pub const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// When a server asks to be asked again (`Retry-After`, RFC 9110 §10.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RetryAfter {
    /// After so much time, at most [`MAX_WAIT`].
    Delay(Duration),
    /// At this time, of the server's clock.
    At(UnixTime),
}

impl RetryAfter {
    /// Reads `Retry-After` from a response's headers; garbage is ignored.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        match digits(value.as_bytes()) {
            Some(seconds) => Some(Self::Delay(Duration::from_secs(seconds).min(MAX_WAIT))),
            None => http_date(value).map(Self::At),
        }
    }

    /// How long to wait from `now` on: at most [`MAX_WAIT`], and nothing for a time that is past.
    #[must_use]
    pub fn wait(self, now: UnixTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::At(time) => time.saturating_since(now).min(MAX_WAIT),
        }
    }
}

/// How long a response that is no success asks to wait from `now` on: what `Retry-After` says, else,
/// if the rate limit is used up, until its window ends; at most [`MAX_WAIT`].
pub(crate) fn wait(
    status: StatusCode,
    retry_after: Option<RetryAfter>,
    rate_limit: RateLimit,
    now: UnixTime,
) -> Option<Duration> {
    let used_up = status == StatusCode::TOO_MANY_REQUESTS || rate_limit.remaining == Some(0);
    match (retry_after, rate_limit.reset) {
        (Some(retry_after), _) => Some(retry_after.wait(now)),
        (None, Some(reset)) if used_up => Some(reset.saturating_since(now).min(MAX_WAIT)),
        (None, _) => None,
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    digits(value.as_bytes().trim_ascii())
}

/// Reads a number made of digits alone; one that is too large for `u64` is the largest.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        Some(number.saturating_mul(10).saturating_add(digit.into()))
    })
}

fn http_date(text: &str) -> Option<UnixTime> {
    // `httpdate` answers with a `SystemTime`, whose name `core` lacks; a second one, for the
    // epoch, gives the time between.
    let epoch = httpdate::parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT").ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    time.duration_since(epoch).ok().map(UnixTime::since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn both_spellings_of_remaining_are_read() {
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
    fn garbage_is_ignored() {
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
    fn retry_after_is_seconds_or_a_date_and_the_wait_is_clamped() {
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
