//! The response is well-formed HTTP, and its status determines the outcome.

use super::{
    Case, Group, JSON, MALFORMED, OK, REDIRECT, REJECTED, SERVER_FAULT, THROTTLED, TOKENS, request,
    responds, response, tokens,
};
use crate::fault::Outcome;

/// The shape of the token endpoint's errors (RFC 6749 §5.2).
const OAUTH_ERROR: &str = r#"{"error":"invalid_grant","error_description":"The code was used."}"#;

/// The shape of the rest of the API.
const API_ERROR: &str = r#"{"error":{"error_msg":"Parameter client_id is missing","error_name":"bad_request","error_path":"client_id"}}"#;

/// The vendor's published sample, with its trailing comma.
const BROKEN_ERROR: &str = r#"{"error":{"error_msg":"Invalid","error_name":"bad_request",}}"#;

const HTML: &str = "<!doctype html><title>No</title><p>Something in between responded.";

/// All secrets that a server knows of a call.
const ECHO: &str =
    r#"{"error":"invalid_grant","error_description":"{code} {client_secret} {api_key} {state}"}"#;

pub(super) fn cases() -> Vec<Case> {
    [odd(), redirects(), rejections(), throttling(), faults()].concat()
}

fn case(name: &'static str, expected: &'static [Outcome], response: impl Into<Vec<u8>>) -> Case {
    Case::new(Group::Status, name, expected, [responds(response)])
}

fn json(name: &'static str, expected: &'static [Outcome], status: &str, body: &str) -> Case {
    case(name, expected, response(status, JSON, body))
}

fn html(name: &'static str, expected: &'static [Outcome], status: &str) -> Case {
    let headers = "Content-Type: text/html\r\n";
    case(name, expected, response(status, headers, HTML))
}

fn empty(name: &'static str, expected: &'static [Outcome], status: &str, headers: &str) -> Case {
    case(name, expected, response(status, headers, ""))
}

fn odd() -> Vec<Case> {
    vec![
        json("201", OK, "201 Created", TOKENS),
        json("202", MALFORMED, "202 Accepted", TOKENS),
        case("204", MALFORMED, "HTTP/1.1 204 No Content\r\n\r\n"),
        case("304", MALFORMED, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        json("200-oauth-error", REJECTED, "200 OK", OAUTH_ERROR).says("invalid_grant"),
        json("200-api-error", REJECTED, "200 OK", API_ERROR).says("client_id is missing"),
    ]
}

fn redirects() -> Vec<Case> {
    let to = |name, status: &str, location: &str| {
        let headers = format!("Location: {location}\r\n");
        case(name, REDIRECT, response(status, &headers, HTML)).with_trap()
    };
    let itself = response("307 Temporary Redirect", "Location: /oauth/token\r\n", "");
    vec![
        to("300", "300 Multiple Choices", "{trap}/oauth/token"),
        to("301", "301 Moved Permanently", "{trap}/oauth/token"),
        to("302", "302 Found", "{trap}/oauth/token"),
        to("303", "303 See Other", "{trap}/oauth/token"),
        to("307", "307 Temporary Redirect", "{trap}/oauth/token"),
        to("308", "308 Permanent Redirect", "{trap}/oauth/token"),
        to("302-echo", "302 Found", "{trap}/{client_secret}/{code}?{state}#{api_key}"),
        // A second request to the same server would succeed.
        Case::new(
            Group::Status,
            "307-to-itself",
            REDIRECT,
            [responds(itself).read_request().send(tokens())],
        ),
        empty("302-without-location", REDIRECT, "302 Found", ""),
    ]
}

fn rejections() -> Vec<Case> {
    let bad = |name, body: &str| json(name, REJECTED, "400 Bad Request", body);
    let latin_1 = {
        let head = response("400 Bad Request", JSON, "").into_bytes();
        let body = b"{\"error\":\"invalid_grant\",\"error_description\":\"caf\xe9\"}";
        [&head[..], body].concat()
    };
    let close_delimited = request().send("HTTP/1.0 400 Bad Request\r\n\r\n").close();
    let mut cases = vec![
        bad("400-oauth-error", OAUTH_ERROR).says("400 invalid_grant (The code was used.)"),
        bad("400-api-error", API_ERROR)
            .says("400 bad_request (Parameter client_id is missing) at `client_id`"),
        bad("400-invalid-json", BROKEN_ERROR).says("400"),
        bad("400-byte-order-mark", &["\u{feff}", OAUTH_ERROR].concat()).says("400 invalid_grant"),
        case("400-latin-1", REJECTED, latin_1).says("400 invalid_grant"),
        bad(
            "400-description-of-another-type",
            r#"{"error":"invalid_grant","error_description":["used"]}"#,
        )
        .says("400 invalid_grant"),
        bad("400-echo", ECHO).says("invalid_grant"),
        empty("400-empty", REJECTED, "400 Bad Request", "").says("400"),
        Case::new(Group::Status, "400-empty-close-delimited", REJECTED, [close_delimited]),
        html("401-html", REJECTED, "401 Unauthorized").says("401"),
        empty(
            "401-challenge",
            REJECTED,
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
        )
        .says("401"),
        // Some clients send the request again.
        empty("408", REJECTED, "408 Request Timeout", "Connection: close\r\n").says("408"),
        json("422", REJECTED, "422 Unprocessable Entity", API_ERROR).says("422 bad_request"),
    ];
    for status in ["402", "403", "404", "407", "409", "410", "421", "425", "499"] {
        cases.push(html(status, REJECTED, status).says(status));
    }
    cases
}

fn throttling() -> Vec<Case> {
    const AN_HOUR: Option<u64> = Some(60 * 60);
    let throttled = |name, headers: &str, wait| {
        let headers = [JSON, headers].concat();
        let body = r#"{"error":{"error_name":"exceeded_rate"}}"#;
        let response = response("429 Too Many Requests", &headers, body);
        case(name, THROTTLED, response).says("429 exceeded_rate").requests_wait(wait)
    };
    vec![
        throttled("429", "", None),
        throttled("429-seconds", "Retry-After: 120\r\n", Some(120)),
        throttled("429-date", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n", AN_HOUR),
        throttled("429-garbage", "Retry-After: later\r\n", None),
        throttled("429-10^30", "Retry-After: 1000000000000000000000000000000\r\n", AN_HOUR),
        throttled("429-reset", "X-Ratelimit-Reset: 4102444800\r\n", AN_HOUR),
        html("429-html", THROTTLED, "429 Too Many Requests").says("429"),
    ]
}

fn faults() -> Vec<Case> {
    vec![
        json(
            "500-oauth-error",
            SERVER_FAULT,
            "500 Internal Server Error",
            r#"{"error":"server_error"}"#,
        )
        .says("500 server_error"),
        html("502-html", SERVER_FAULT, "502 Bad Gateway").says("502"),
        // Some clients send the request again.
        empty("503-empty", SERVER_FAULT, "503 Service Unavailable", "Retry-After: 0\r\n")
            .says("503"),
        json("503-tokens", SERVER_FAULT, "503 Service Unavailable", TOKENS),
    ]
}
