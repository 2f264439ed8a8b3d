//! Maps responses to results and errors, for all operations.
//!
//! The status decides between a result and an error; the operation parses the body. A code can be
//! exchanged once: if the response to it is rejected, the user has to authorize again. So this
//! module rejects a successful response only where accepting it would be unsafe.

pub(crate) mod collector;
pub(crate) mod error;
pub(crate) mod error_code;
mod number;
pub(crate) mod problem;
pub(crate) mod rate_limit;
pub(crate) mod redact;
pub(crate) mod rejection;
pub(crate) mod token_response;

use alloc::{boxed::Box, string::String};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::de::DeserializeOwned;

use self::{
    error::Error,
    problem::Problem,
    redact::redact,
    rejection::{Endpoint, Rejection},
};
use crate::json::{self, Value};

/// Whether a status is a success: 200, or 201, which is accepted as well.
pub(crate) fn is_success(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED)
}

/// Returns whether a status means that the server rejected the access token (401).
///
/// A session then refreshes the token and resends the request once.
#[must_use]
pub fn rejects_access_token(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
}

/// Returns the JSON text of a successful response, the first step of
/// [`Operation::parse`](crate::Operation::parse).
///
/// `secrets` are the secrets of the request; an error shows `[redacted]` where the server echoes
/// one.
///
/// # Errors
/// The [`Error`] of the status, or [`Error::Malformed`] if the body cannot be JSON.
pub fn json_body<'r>(
    response: &'r Response<impl AsRef<[u8]>>,
    secrets: &[&str],
) -> Result<&'r str, Error> {
    body(response, Endpoint::Api, secrets)
}

/// Parses the JSON of a successful response, as an [`Operation`](crate::Operation) of the caller
/// does.
///
/// `secrets` are the secrets of the request; an error shows `[redacted]` where the server echoes
/// one.
///
/// # Errors
/// The [`Error`] of the status, or [`Error::Malformed`] if the body is not a `T`.
pub fn parse_json<T: DeserializeOwned>(
    response: &Response<impl AsRef<[u8]>>,
    secrets: &[&str],
) -> Result<T, Error> {
    let text = json_body(response, secrets)?;
    serde_json::from_str(text).map_err(|error| {
        if !error.is_data() {
            return not_json(response, error.into(), secrets);
        }
        let json::Position { line, column } = json::Position::from(&error);
        let error = json::object_lossy(text, &ERROR_MEMBERS);
        missing_result(response, Endpoint::Api, error, secrets)
            .unwrap_or_else(|| malformed(response, Problem::Schema { line, column }))
    })
}

/// The members of an error in the token endpoint's shape.
pub(crate) const ERROR_MEMBERS: [&str; 2] = ["error", "error_description"];

/// Returns the text of a successful response of this endpoint.
pub(crate) fn body<'r>(
    response: &'r Response<impl AsRef<[u8]>>,
    endpoint: Endpoint,
    secrets: &[&str],
) -> Result<&'r str, Error> {
    if !is_success(response.status()) {
        return Err(error(response, endpoint, secrets));
    }
    let mut encodings = response.headers().get_all(header::CONTENT_ENCODING).iter();
    if !encodings.all(is_identity) {
        return Err(malformed(response, Problem::ContentEncoding));
    }
    let body = response.body().as_ref();
    if body.is_empty() {
        return Err(malformed(response, Problem::EmptyBody));
    }
    core::str::from_utf8(body).map_err(|_| malformed(response, Problem::NotUtf8))
}

pub(crate) fn malformed<B>(response: &Response<B>, problem: Problem) -> Error {
    let status = response.status();
    Error::Malformed { status, problem }
}

/// The error of a successful response whose body could not be read as an object.
pub(crate) fn not_json<B>(response: &Response<B>, error: json::Error, secrets: &[&str]) -> Error {
    let mut problem = Problem::from(error);
    if let Problem::NotJson { content_type, .. } = &mut problem {
        let value = response.headers().get(header::CONTENT_TYPE);
        let value = value.and_then(|value| value.to_str().ok());
        *content_type = value.filter(|value| !is_json(value)).map(|value| redact(value, secrets));
    }
    malformed(response, problem)
}

/// The rejection of a successful response whose object has an `error` member instead of a result.
pub(crate) fn missing_result<B>(
    response: &Response<B>,
    endpoint: Endpoint,
    [error, description]: [Option<Value<'_>>; 2],
    secrets: &[&str],
) -> Option<Error> {
    error?;
    let rejection = Rejection::new(response, endpoint, [error, description], secrets);
    Some(Error::Rejected(Box::new(rejection)))
}

/// The error of a response, by its status.
fn error(response: &Response<impl AsRef<[u8]>>, endpoint: Endpoint, secrets: &[&str]) -> Error {
    let status = response.status();
    let rejection = || Box::new(Rejection::read(response, endpoint, secrets));
    match status.as_u16() {
        // A 304 has no target: it is the response to a conditional request, which this was not.
        300..=303 | 305..=399 => {
            Error::RedirectRefused { status, location: location(response.headers(), secrets) }
        }
        429 => Error::Throttled(rejection()),
        400..=499 => Error::Rejected(rejection()),
        500..=599 => Error::ServerFault(rejection()),
        _ => malformed(response, Problem::UnexpectedStatus),
    }
}

fn location(headers: &HeaderMap, secrets: &[&str]) -> Option<String> {
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    let location = location.split(['?', '#']).next()?;
    Some(redact(location, secrets))
}

/// Whether a media type is JSON, or has its structured syntax suffix (RFC 6839 §3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn is_identity(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|codings| {
        codings
            .split(',')
            .map(str::trim)
            .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    })
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    fn response(
        status: u16,
        headers: &[(&str, &str)],
        body: &'static [u8],
    ) -> Response<&'static [u8]> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(body).unwrap()
    }

    #[test]
    fn maps_every_status_to_a_result_or_an_error() {
        for status in 100..=999 {
            let class = match json_body(&response(status, &[], b"{}"), &[]) {
                Ok(_) => "success",
                Err(Error::Rejected(_)) => "rejected",
                Err(Error::Throttled(_)) => "throttled",
                Err(Error::ServerFault(_)) => "server fault",
                Err(Error::RedirectRefused { .. }) => "redirect",
                Err(Error::Malformed { .. }) => "malformed",
                Err(other) => panic!("{status}: {other:?}"),
            };
            let expected = match status {
                200 | 201 => "success",
                429 => "throttled",
                304 => "malformed",
                300..=399 => "redirect",
                400..=499 => "rejected",
                500..=599 => "server fault",
                _ => "malformed",
            };
            assert_eq!(class, expected, "{status}");
        }
    }

    #[test]
    fn names_a_content_type_that_is_not_json() {
        for (value, shown) in [
            ("text/html; charset=utf-8", " but `text/html; charset=utf-8`"),
            ("text/plain+c0de", " but `text/plain+[redacted]`"),
            ("Application/JSON; charset=utf-8", ""),
            ("application/problem+json", ""),
        ] {
            let response = response(200, &[("content-type", value)], b"<html>");
            let error = parse_json::<u8>(&response, &["c0de"]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid response (200): the body is not JSON (line 1, column 1){shown}")
            );
        }
    }

    #[test]
    fn rejects_content_encodings_other_than_identity() {
        for (values, accepted) in [
            (&["identity"][..], true),
            (&["Identity, identity"], true),
            (&[""], true),
            (&["gzip"], false),
            (&["identity, br"], false),
            (&["identity", "gzip"], false),
        ] {
            let headers: alloc::vec::Vec<_> =
                values.iter().map(|value| ("content-encoding", *value)).collect();
            let response = response(200, &headers, b"{}");
            assert_eq!(json_body(&response, &[]).is_ok(), accepted, "{values:?}");
        }
    }

    #[test]
    fn errors_state_what_happened() {
        let grant = br#"{"error":"invalid_grant","error_description":"Used: c0de"}"#;
        let evil = ("location", "https://evil.example/c0de/x?c0de#y");
        for (response, message) in [
            (
                response(400, &[], grant),
                "the server rejected the request: 400 invalid_grant (Used: [redacted])",
            ),
            (response(401, &[], b""), "the server rejected the request: 401 Unauthorized"),
            (
                response(429, &[], br#"{"error":{"error_name":"exceeded_rate"}}"#),
                "the request was rate-limited: 429 exceeded_rate",
            ),
            (response(503, &[], b"<html>"), "the server failed: 503 Service Unavailable"),
            (
                response(307, &[evil], b""),
                "refused to follow a redirect (307) to https://evil.example/[redacted]/x",
            ),
            (response(302, &[], b""), "refused to follow a redirect (302)"),
            (response(304, &[], b""), "invalid response (304): unexpected status"),
            (response(200, &[], b""), "invalid response (200): the body is empty"),
            (
                response(200, &[], b"{\"a\":\"\xff\"}"),
                "invalid response (200): the body is not UTF-8",
            ),
            (
                response(200, &[], b"\xff\xfe{\0}\0"),
                "invalid response (200): the body is not UTF-8",
            ),
        ] {
            let error = json_body(&response, &["c0de"]).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!format!("{error:?}").contains("c0de"));
        }
    }

    #[test]
    fn parses_json_or_states_the_mismatch() {
        for (body, outcome) in [
            ("7", Ok(7)),
            (
                "-1",
                Err(
                    "invalid response (200): the body does not match the schema (line 1, column 2)",
                ),
            ),
            ("7,", Err("invalid response (200): the body is not JSON (line 1, column 2)")),
            (r#"{"error":"bad_request"}"#, Err("the server rejected the request: 200 bad_request")),
        ] {
            let parsed = parse_json::<u8>(&Response::new(body), &[]);
            assert_eq!(parsed.map_err(|error| error.to_string()), outcome.map_err(String::from));
        }
    }
}
