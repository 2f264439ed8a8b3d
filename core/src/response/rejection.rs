//! Parses an error response.
//!
//! An error has one of two shapes, which the type of `error` tells apart: the token endpoint's
//! (RFC 6749 §5.2) `{"error":"…","error_description":"…"}`, and the API's
//! `{"error":{"error_msg":"…","error_name":"…","error_path":"…"}}`. The body may also be empty,
//! HTML or invalid JSON; then the error has only the status.

use alloc::string::String;
use core::{fmt, time::Duration};

use http::{Response, StatusCode};

use super::{
    ERROR_MEMBERS,
    error_code::ErrorCode,
    rate_limit::{self, RateLimit, RetryAfter, Timing},
    redact::Redactor,
};
use crate::{
    json::{self, Text, Value},
    remedy::Remedy,
    time::UnixTime,
};

/// What an error response says.
///
/// The texts come from the server. They are truncated to 512 characters, without control
/// characters, and with `[redacted]` where the server echoed a secret of the request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rejection {
    /// The status of the response.
    pub status: StatusCode,
    /// `error` or `error_name`.
    pub code: Option<ErrorCode>,
    /// `error_description` or `error_msg`: an explanation for the developer.
    pub message: Option<String>,
    /// `error_path`: the parameter that is wrong.
    pub path: Option<String>,
    /// The rate limit at the time of the response.
    pub rate_limit: RateLimit,
    /// When the server asks the client to retry.
    pub retry_after: Option<RetryAfter>,
    /// The time of the response, by the server's clock.
    date: Option<UnixTime>,
    endpoint: Endpoint,
}

/// The credentials that an endpoint takes. They decide what its 401 means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Endpoint {
    /// The app's credentials.
    Token,
    /// The user's access token.
    Api,
}

/// The decoded string, unless it is empty.
fn string(value: Option<Value<'_>>) -> Option<Text<'_>> {
    value?.string().filter(|text| !text.is_empty())
}

impl Rejection {
    /// Parses an error response. Members that cannot be read are `None`.
    pub(crate) fn read(
        response: &Response<impl AsRef<[u8]>>,
        endpoint: Endpoint,
        secrets: &[&str],
    ) -> Self {
        let body = response.body().as_ref();
        // Faster than the lossy conversion where nothing is lost.
        let body = match core::str::from_utf8(body) {
            Ok(body) => Text::Borrowed(body),
            Err(_) => Text::from(String::from_utf8_lossy(body)),
        };
        let body = body.strip_prefix('\u{feff}').unwrap_or(&body);
        let error = json::object_lossy(body, &ERROR_MEMBERS);
        Self::new(response, endpoint, error, secrets)
    }

    /// The rejection of a response whose object has these `error` and `error_description` members.
    pub(crate) fn new<B>(
        response: &Response<B>,
        endpoint: Endpoint,
        [error, description]: [Option<Value<'_>>; 2],
        secrets: &[&str],
    ) -> Self {
        let redactor = Redactor::new(secrets);
        let Timing { rate_limit, retry_after, date } = Timing::from_headers(response.headers());
        let text = |value| string(value).map(|text| redactor.redact(&text));
        let code = |value| string(value).map(|text| redactor.code(&text));
        let (code, message, path) = match error.and_then(Value::object) {
            Some(error) => {
                let names = ["error_name", "error_msg", "error_path"];
                let [name, message, path] = json::object_lossy(error, &names);
                (code(name), text(message), text(path))
            }
            None => (code(error), text(description), None),
        };
        Self {
            status: response.status(),
            code,
            message,
            path,
            rate_limit,
            retry_after,
            date,
            endpoint,
        }
    }

    /// Returns how long the server asks to wait from `now`: by `Retry-After`, or until the end of
    /// the window if the rate limit is exhausted. At most [`MAX_WAIT`](crate::MAX_WAIT); `None` if
    /// the server does not ask.
    #[must_use]
    pub fn wait(&self, now: UnixTime) -> Option<Duration> {
        rate_limit::wait(self.status, self.retry_after, self.rate_limit, now)
    }

    /// How long the server asked to wait after its response, by the server's clock alone.
    pub(crate) fn requested_wait(&self) -> Option<Duration> {
        match (self.retry_after, self.date) {
            (Some(RetryAfter::Delay(delay)), _) => Some(delay),
            (_, Some(date)) => self.wait(date),
            (_, None) => None,
        }
    }

    /// Returns what a program can do about it. The code decides, or the status if there is no code.
    pub(crate) fn remedy(&self) -> Remedy {
        use ErrorCode as C;
        match &self.code {
            Some(C::InvalidGrant | C::AccessDenied) => Remedy::StartOver,
            Some(
                C::InvalidClient
                | C::InvalidRequest
                | C::InvalidScope
                | C::UnauthorizedClient
                | C::UnsupportedGrantType
                | C::UnsupportedResponseType
                | C::PaymentRequired
                | C::AddonRequired
                | C::MethodNotSupported,
            ) => Remedy::FixConfiguration,
            Some(code) if code.is_temporary() => Remedy::retry(self.requested_wait()),
            _ => match (self.status, self.endpoint) {
                (StatusCode::UNAUTHORIZED, Endpoint::Api) => Remedy::StartOver,
                (
                    StatusCode::UNAUTHORIZED
                    | StatusCode::PAYMENT_REQUIRED
                    | StatusCode::NOT_FOUND
                    | StatusCode::METHOD_NOT_ALLOWED,
                    _,
                ) => Remedy::FixConfiguration,
                _ => Remedy::Unexpected,
            },
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

    fn read(status: u16, body: &[u8]) -> Rejection {
        let response = Response::builder().status(status).body(body).unwrap();
        Rejection::read(&response, Endpoint::Token, &["s3cret"])
    }

    #[test]
    fn reads_both_shapes_and_falls_back_to_the_status() {
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
            assert_eq!(read(status, body.as_bytes()).to_string(), shown, "{body}");
        }
    }

    #[test]
    fn keeps_the_code_of_an_invalid_body() {
        for body in [
            "\u{feff}{\"error\":\"invalid_grant\"}".as_bytes(),
            b"{\"error\":\"invalid_grant\",\"error_description\":\"abgelaufen f\xfcr immer\"}",
            br#"{"error":"invalid_grant","error_description":["x"]}"#,
            br#"{"error":"invalid_grant","error_description":"\ud800"}"#,
            br#"{"error":"invalid_grant","error":"other"}"#,
            br#"{"error":"invalid_grant","error_descr"#,
            br#"{"error":"invalid_grant",}"#,
            br#"{"error":{"error_name":"invalid_grant","error_msg":7}}"#,
        ] {
            let code = read(400, body).code;
            assert_eq!(code, Some(ErrorCode::InvalidGrant), "{}", body.escape_ascii());
        }
        // A secret that is a part of a known code does not hide it.
        let response = Response::new(r#"{"error":"invalid_grant","error_description":"grant"}"#);
        let shown = Rejection::read(&response, Endpoint::Token, &["a", "grant"]).to_string();
        assert_eq!(shown, "200 invalid_grant ([redacted])");
        let message = read(400, b"{\"error\":\"x\",\"error_description\":\"f\xfcr\"}").message;
        assert_eq!(message.as_deref(), Some("f\u{fffd}r"));
    }

    #[test]
    fn the_remedy_depends_on_code_status_and_endpoint() {
        let retry = |seconds| Remedy::Retry { after: Duration::from_secs(seconds) };
        for (status, code, endpoint, remedy) in [
            (401, "unauthorized", Endpoint::Token, Remedy::FixConfiguration),
            (401, "unauthorized", Endpoint::Api, Remedy::StartOver),
            (402, "", Endpoint::Api, Remedy::FixConfiguration),
            (400, "temporary_unavailable", Endpoint::Token, retry(30)),
        ] {
            let body = alloc::format!(r#"{{"error":{{"error_name":"{code}"}}}}"#);
            let response = Response::builder().status(status).body(body).unwrap();
            let rejection = Rejection::read(&response, endpoint, &[]);
            assert_eq!(rejection.remedy(), remedy, "{status} {code} {endpoint:?}");
        }
    }

    #[test]
    fn the_remedy_waits_by_the_clock_of_the_server() {
        for (headers, after) in [
            (&[("retry-after", "7")][..], 7),
            (
                &[
                    ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
                    ("date", "Wed, 21 Oct 2015 07:27:00 GMT"),
                ],
                60,
            ),
            (&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], 30),
            (&[("x-ratelimit-reset", "1445412480"), ("date", "Wed, 21 Oct 2015 07:27:00 GMT")], 60),
            (&[], 30),
        ] {
            let mut response = Response::builder().status(429);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            let error = crate::json_body(&response.body("").unwrap(), &[]).unwrap_err();
            let after = Duration::from_secs(after);
            assert_eq!(error.remedy(), Remedy::Retry { after }, "{headers:?}");
        }
    }

    #[test]
    fn waits_as_long_as_the_server_asks() {
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
            // A server fault is unrelated to a limit that is not exhausted.
            (503, None, reset(1060, Some(7)), None),
            (503, None, reset(1060, Some(0)), Some(minute)),
            (503, delay, reset(1060, Some(7)), Some(Duration::from_secs(5))),
        ] {
            let rejection = Rejection { rate_limit, retry_after, ..read(status, b"") };
            assert_eq!(rejection.wait(now), wait, "{rejection:?}");
        }
    }
}
