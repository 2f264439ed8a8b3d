//! The first look at a response, the same for every operation: which class its status belongs to,
//! and whether its body can be JSON.

use alloc::{boxed::Box, string::String};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::{
    error::Error,
    json::Value,
    malformed::{Malformed, Problem},
    presentable::presentable,
    rejection::Rejection,
};

/// The media type of every answer that has a result.
const JSON: &str = "application/json";

/// Whether a status promises a result: 200, and 201, which is tolerated.
pub(crate) fn is_success(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED)
}

/// The JSON text of a successful response, or the error that the response means: what
/// [`Operation::parse`](crate::Operation::parse) begins with.
///
/// `secrets` are what the request carried: where the server echoes one, the error shows
/// `[redacted]`.
///
/// # Errors
/// Every class of [`Error`] but the state mismatch and the limit.
pub fn success<'r>(
    response: &'r Response<impl AsRef<[u8]>>,
    secrets: &[&str],
) -> Result<&'r str, Error> {
    let status = response.status();
    if !is_success(status) {
        return Err(refusal(response, secrets));
    }
    let malformed = |problem| Error::Malformed(Malformed::new(status, problem));
    // To look at a few headers once takes less time than a lookup of each.
    for (name, value) in response.headers() {
        if name == header::CONTENT_TYPE && !is_json(value) {
            return Err(malformed(Problem::ContentType));
        }
        if name == header::CONTENT_ENCODING && !is_identity(value) {
            return Err(malformed(Problem::ContentEncoding));
        }
    }
    let body = response.body().as_ref();
    if body.is_empty() {
        return Err(malformed(Problem::EmptyBody));
    }
    core::str::from_utf8(body).map_err(|_| malformed(Problem::NotUtf8))
}

/// The error that a response means by its status.
fn refusal(response: &Response<impl AsRef<[u8]>>, secrets: &[&str]) -> Error {
    let status = response.status();
    let rejection = || Box::new(read_rejection(response, secrets));
    match status.as_u16() {
        // An answer to a question that was not asked, and no redirect.
        304 => Malformed::new(status, Problem::UnexpectedStatus).into(),
        300..=399 => Error::RedirectRefused {
            status,
            location: location(response.headers(), secrets),
        },
        429 => Error::Throttled(rejection()),
        400..=499 => Error::Rejected(rejection()),
        500..=599 => Error::ServerFault(rejection()),
        _ => Malformed::new(status, Problem::UnexpectedStatus).into(),
    }
}

/// The error of a successful status whose object lacks the member with the result: a rejection if
/// it has an `error` in its place, which `error` says.
pub(crate) fn no_result(
    response: &Response<impl AsRef<[u8]>>,
    error: Option<Value<'_>>,
    member: &'static str,
    secrets: &[&str],
) -> Error {
    if error.is_some() {
        Error::Rejected(Box::new(read_rejection(response, secrets)))
    } else {
        Malformed::new(response.status(), Problem::MissingMember(member)).into()
    }
}

fn read_rejection(response: &Response<impl AsRef<[u8]>>, secrets: &[&str]) -> Rejection {
    let body = response.body().as_ref();
    Rejection::read(response.status(), response.headers(), body, secrets)
}

fn location(headers: &HeaderMap, secrets: &[&str]) -> Option<String> {
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    let location = location.split(['?', '#']).next()?;
    Some(presentable(location, secrets))
}

/// Whether a content type is JSON in UTF-8.
fn is_json(value: &HeaderValue) -> bool {
    // What nearly every answer has takes no parsing.
    value == JSON || value.to_str().is_ok_and(is_json_type)
}

fn is_json_type(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let Some(essence) = parts.next() else {
        return false;
    };
    let json = essence.eq_ignore_ascii_case(JSON) || has_json_suffix(essence);
    let mut charsets = parts.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim_end().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    });
    json && charsets
        .all(|name| name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8"))
}

/// Whether a media type has the structured syntax suffix of RFC 6839 §3.1.
fn has_json_suffix(essence: &str) -> bool {
    const SUFFIX: &str = "+json";
    essence.contains('/')
        && essence
            .len()
            .checked_sub(SUFFIX.len())
            .and_then(|start| essence.get(start..))
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case(SUFFIX))
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
    fn every_status_has_a_class() {
        for status in 100..=999 {
            let class = match success(&response(status, &[], b"{}"), &[]) {
                Ok(_) => "success",
                Err(Error::Rejected(_)) => "rejected",
                Err(Error::Throttled(_)) => "throttled",
                Err(Error::ServerFault(_)) => "server fault",
                Err(Error::RedirectRefused { .. }) => "redirect",
                Err(Error::Malformed(_)) => "malformed",
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
    fn content_types() {
        for (value, accepted) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"; x=y", true),
            ("application/json; charset=utf8", true),
            ("application/json ; v", true),
            ("application/problem+json", true),
            ("application/vnd.x+JSON", true),
            ("application/json; charset=iso-8859-1", false),
            ("application/json; charset=utf-8; charset=utf-16", false),
            ("application/jsonp", false),
            ("text/json", false),
            ("text/html", false),
            ("+json", false),
            ("json", false),
            ("", false),
        ] {
            let response = response(200, &[("content-type", value)], b"{}");
            assert_eq!(success(&response, &[]).is_ok(), accepted, "{value}");
        }
        let two = [
            ("content-type", "application/json"),
            ("content-type", "text/html"),
        ];
        assert!(success(&response(200, &two, b"{}"), &[]).is_err());
    }

    #[test]
    fn content_encodings() {
        for (value, accepted) in [
            ("identity", true),
            ("Identity, identity", true),
            ("", true),
            ("gzip", false),
            ("identity, br", false),
        ] {
            let response = response(200, &[("content-encoding", value)], b"{}");
            assert_eq!(success(&response, &[]).is_ok(), accepted, "{value}");
        }
    }

    #[test]
    fn errors_are_sentences() {
        let json = ("content-type", "application/json");
        let grant = br#"{"error":"invalid_grant","error_description":"Used: c0de"}"#;
        for (response, sentence) in [
            (
                response(400, &[json], grant),
                "the server rejected the request: 400 invalid_grant (Used: [redacted]); the code \
                 or refresh token is wrong, spent, expired or revoked, so let the user authorize \
                 again",
            ),
            (
                response(401, &[], b""),
                "the server rejected the request: 401 Unauthorized; check the credentials, or \
                 refresh the token",
            ),
            (
                response(404, &[], b""),
                "the server rejected the request: 404 Not Found",
            ),
            (
                response(429, &[json], br#"{"error":{"error_name":"exceeded_rate"}}"#),
                "the server turned the request away because there are too many: 429 \
                 exceeded_rate; wait before the next",
            ),
            (
                response(503, &[], b"<html>"),
                "the server failed: 503 Service Unavailable; whether it acted on the request is \
                 not known",
            ),
            (
                response(
                    307,
                    &[("location", "https://evil.example/c0de/x?c0de#y")],
                    b"",
                ),
                "the server answered 307 with a redirect to https://evil.example/[redacted]/x, \
                 which is never followed because it would hand over the secret; check the endpoint",
            ),
            (
                response(302, &[], b""),
                "the server answered 302 with a redirect, which is never followed because it \
                 would hand over the secret; check the endpoint",
            ),
            (
                response(200, &[json], b""),
                "the server answered 200 but not as documented: the body is empty; check the \
                 endpoint, and whether something between answers in its place",
            ),
        ] {
            let error = success(&response, &["c0de"]).unwrap_err();
            assert_eq!(error.to_string(), sentence);
            assert!(!format!("{error:?}").contains("c0de"));
        }
    }

    #[test]
    fn a_body_must_be_utf8() {
        for body in [&b"{\"a\":\"\xff\"}"[..], b"\xff\xfe{\0}\0"] {
            assert!(matches!(
                success(&response(200, &[], body), &[]),
                Err(Error::Malformed(malformed)) if *malformed.problem() == Problem::NotUtf8
            ));
        }
    }
}
