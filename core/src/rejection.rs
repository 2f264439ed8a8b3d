//! What a response that is no success says of its reasons.
//!
//! Two shapes occur, and the type of `error` tells which: the token endpoint's (RFC 6749 §5.2)
//! `{"error":"…","error_description":"…"}`, and the API's
//! `{"error":{"error_msg":"…","error_name":"…","error_path":"…"}}`. The body may also be empty,
//! HTML or broken: the status alone is then the reason.

use alloc::string::String;
use core::{fmt, time::Duration};

use http::{HeaderMap, StatusCode};

use crate::{
    error_code::ErrorCode,
    json::{self, Value},
    presentable::presentable,
    rate_limit::{self, RateLimit, RetryAfter},
    time::UnixTime,
};

/// What the server said when it did not do what it was asked.
///
/// Its texts are the server's, cut to a length, without control characters, and without the
/// secrets of the request where it echoed them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rejection {
    /// The status of the response.
    pub status: StatusCode,
    /// `error` or `error_name`.
    pub code: Option<ErrorCode>,
    /// `error_description` or `error_msg`: the reason in words, for the developer.
    pub message: Option<String>,
    /// `error_path`: the parameter that is wrong.
    pub path: Option<String>,
    /// How many requests are left.
    pub rate_limit: RateLimit,
    /// When the server asks to be asked again.
    pub retry_after: Option<RetryAfter>,
}

impl Rejection {
    /// Reads what can be read; what cannot is `None`, and never an error.
    pub(crate) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &[&str],
    ) -> Self {
        let [error, description] = core::str::from_utf8(body)
            .ok()
            .and_then(|body| json::object(body, ["error", "error_description"]).ok())
            .unwrap_or_default();
        let text = |value: Option<Value<'_>>| {
            let text = value?.string()?;
            (!text.is_empty()).then(|| presentable(&text, secrets))
        };
        let (code, message, path) = if let Some(code) = text(error) {
            (Some(code), text(description), None)
        } else {
            let names = ["error_name", "error_msg", "error_path"];
            let [name, message, path] = error
                .and_then(|error| json::object(error.object()?, names).ok())
                .unwrap_or_default();
            (text(name), text(message), text(path))
        };
        Self {
            status,
            code: code.map(ErrorCode::from),
            message,
            path,
            rate_limit: RateLimit::from_headers(headers),
            retry_after: RetryAfter::from_headers(headers),
        }
    }

    /// How long the server asks to wait from `now` on: what `Retry-After` says, else, if the rate
    /// limit is used up, until its window ends; at most [`MAX_WAIT`](crate::MAX_WAIT). `None` if it
    /// does not ask.
    #[must_use]
    pub fn wait(&self, now: UnixTime) -> Option<Duration> {
        rate_limit::wait(self.status, self.retry_after, self.rate_limit, now)
    }

    /// What a person can do about it, where the code or the status says so.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match (&self.code, self.status) {
            (Some(ErrorCode::InvalidGrant), _) => Some(
                "the code or refresh token is wrong, spent, expired or revoked, so let the user \
                 authorize again",
            ),
            (Some(ErrorCode::InvalidClient), _) => Some("check the client id and secret"),
            (Some(ErrorCode::UnauthorizedClient), _) => Some("check the app's settings"),
            (Some(ErrorCode::PaymentRequired | ErrorCode::AddonRequired), _)
            | (None, StatusCode::PAYMENT_REQUIRED) => Some("check the account's plan"),
            (Some(ErrorCode::Unauthorized) | None, StatusCode::UNAUTHORIZED) => {
                Some("check the credentials, or refresh the token")
            }
            _ => None,
        }
    }
}

/// The status, and what is known of code, message and path.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        match (&self.code, self.status.canonical_reason()) {
            (Some(code), _) => write!(f, " {code}")?,
            (None, Some(reason)) => write!(f, " {reason}")?,
            (None, None) => {}
        }
        if let Some(message) = &self.message {
            write!(f, " ({message})")?;
        }
        if let Some(path) = &self.path {
            write!(f, " at `{path}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(status: u16, body: &str) -> Rejection {
        Rejection::read(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            &["s3cret"],
        )
    }

    #[test]
    fn both_shapes_are_read_and_nothing_else_fails() {
        for (status, body, shown) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"The code was used."}"#,
                "400 invalid_grant (The code was used.)",
            ),
            (
                400,
                r#"{"error":{"error_msg":"Parameter client_id is missing","error_name":"bad_request","error_path":"client_id"}}"#,
                "400 bad_request (Parameter client_id is missing) at `client_id`",
            ),
            (409, r#"{"error":"brand_new"}"#, "409 brand_new"),
            (
                400,
                r#"{"error":"x","error_description":"no such key: s3cret"}"#,
                "400 x (no such key: [redacted])",
            ),
            // The vendor's published sample of a 400 has this trailing comma.
            (400, r#"{"error":{"error_msg":"m",}}"#, "400 Bad Request"),
            (400, "", "400 Bad Request"),
            (401, "<html>no</html>", "401 Unauthorized"),
            (403, r#"{"error":7}"#, "403 Forbidden"),
            (403, r#"{"error":""}"#, "403 Forbidden"),
            (403, r#"["error"]"#, "403 Forbidden"),
            (403, r#"{"error":{"error_name":[]}}"#, "403 Forbidden"),
            (499, "", "499"),
        ] {
            assert_eq!(read(status, body).to_string(), shown, "{body}");
        }
        let broken = Rejection::read(
            StatusCode::BAD_REQUEST,
            &HeaderMap::new(),
            &[0x1f, 0x8b, 0xff],
            &[],
        );
        assert_eq!(broken.to_string(), "400 Bad Request");
    }

    #[test]
    fn the_wait_is_what_the_server_asks_for() {
        let now = UnixTime::from_secs(1000);
        let minute = Duration::from_secs(60);
        let delay = Some(RetryAfter::Delay(Duration::from_secs(5)));
        let reset = |seconds, remaining| RateLimit {
            limit: None,
            remaining,
            reset: Some(UnixTime::from_secs(seconds)),
        };
        for (status, retry_after, rate_limit, wait) in [
            (429, None, RateLimit::default(), None),
            (429, None, reset(1060, None), Some(minute)),
            (429, None, reset(u64::MAX, None), Some(rate_limit::MAX_WAIT)),
            (429, None, reset(900, None), Some(Duration::ZERO)),
            (429, delay, reset(1060, None), Some(Duration::from_secs(5))),
            // An outage has nothing to do with a limit that is not reached.
            (503, None, reset(1060, Some(7)), None),
            (503, None, reset(1060, Some(0)), Some(minute)),
            (
                503,
                delay,
                reset(1060, Some(7)),
                Some(Duration::from_secs(5)),
            ),
        ] {
            let rejection = Rejection {
                rate_limit,
                retry_after,
                ..read(status, "")
            };
            assert_eq!(rejection.wait(now), wait, "{rejection:?}");
        }
    }
}
