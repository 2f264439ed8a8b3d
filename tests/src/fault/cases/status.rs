//! The answer is well-formed HTTP, and its status says what it means.

use super::{
    Case, Group, JSON, MALFORMED, OK, REDIRECT, REJECTED, SERVER_FAULT, Script, THROTTLED, TOKENS,
    answered, honest, response,
};
use crate::fault::Outcome;

/// The shape of the token endpoint's errors (RFC 6749 §5.2).
const OAUTH_ERROR: &str = r#"{"error":"invalid_grant","error_description":"The code was used."}"#;

/// The shape of the rest of the API.
const API_ERROR: &str = r#"{"error":{"error_msg":"Parameter client_id is missing","error_name":"bad_request","error_path":"client_id"}}"#;

/// The vendor's published sample, with its trailing comma.
const BROKEN_ERROR: &str = r#"{"error":{"error_msg":"Invalid","error_name":"bad_request",}}"#;

const HTML: &str = "<!doctype html><title>No</title><p>Something between answers.";

/// Everything that a server can know of a call.
const ECHO: &str =
    r#"{"error":"invalid_grant","error_description":"{code} {client_secret} {api_key} {state}"}"#;

pub(super) fn cases() -> Vec<Case> {
    [odd(), redirects(), rejections(), throttling(), faults()].concat()
}

fn answer(name: &'static str, expected: &'static [Outcome], answer: String) -> Case {
    answered(Group::Status, name, answer, expected)
}

fn json(name: &'static str, expected: &'static [Outcome], status: &str, body: &str) -> Case {
    answer(name, expected, response(status, JSON, body))
}

fn html(name: &'static str, expected: &'static [Outcome], status: &str) -> Case {
    answer(
        name,
        expected,
        response(status, "Content-Type: text/html\r\n", HTML),
    )
}

fn odd() -> Vec<Case> {
    vec![
        json("201", OK, "201 Created", TOKENS),
        json("202", MALFORMED, "202 Accepted", TOKENS),
        answer("204", MALFORMED, "HTTP/1.1 204 No Content\r\n\r\n".into()),
        json("206", MALFORMED, "206 Partial Content", TOKENS),
        answer(
            "304",
            MALFORMED,
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".into(),
        ),
        json("600", MALFORMED, "600 Odd", TOKENS),
        json("200-oauth-error", REJECTED, "200 OK", OAUTH_ERROR).says("invalid_grant"),
        json("200-api-error", REJECTED, "200 OK", API_ERROR).says("client_id is missing"),
        json(
            "200-error-beside-tokens",
            OK,
            "200 OK",
            r#"{"error":"x","access_token":"{access_token}"}"#,
        ),
    ]
}

fn redirects() -> Vec<Case> {
    let to = |name, status: &str, location: &str| {
        let headers = format!("Location: {location}\r\n");
        answer(name, REDIRECT, response(status, &headers, HTML)).with_trap()
    };
    vec![
        to("300", "300 Multiple Choices", "{trap}/oauth/token"),
        to("301", "301 Moved Permanently", "{trap}/oauth/token"),
        to("302", "302 Found", "{trap}/oauth/token"),
        to("303", "303 See Other", "{trap}/oauth/token"),
        to("307", "307 Temporary Redirect", "{trap}/oauth/token"),
        to("308", "308 Permanent Redirect", "{trap}/oauth/token"),
        to(
            "302-echo",
            "302 Found",
            "{trap}/{client_secret}/{code}?{state}#{api_key}",
        ),
        // The same server again, which would give tokens to a second request.
        Case::new(Group::Status, "307-to-itself", REDIRECT).plays([Script::new()
            .read_request()
            .send(response(
                "307 Temporary Redirect",
                "Location: /oauth/token\r\n",
                "",
            ))
            .read_request()
            .send(honest())]),
        answer(
            "302-without-location",
            REDIRECT,
            response("302 Found", "", ""),
        ),
    ]
}

fn rejections() -> Vec<Case> {
    vec![
        json("400-oauth-error", REJECTED, "400 Bad Request", OAUTH_ERROR)
            .says("400 invalid_grant (The code was used.)"),
        json("400-api-error", REJECTED, "400 Bad Request", API_ERROR)
            .says("400 bad_request (Parameter client_id is missing) at `client_id`"),
        json(
            "400-invalid-json",
            REJECTED,
            "400 Bad Request",
            BROKEN_ERROR,
        )
        .says("400"),
        json("400-echo", REJECTED, "400 Bad Request", ECHO).says("invalid_grant"),
        answer("400-empty", REJECTED, response("400 Bad Request", "", "")).says("400"),
        answer(
            "400-empty-close-delimited",
            REJECTED,
            "HTTP/1.0 400 Bad Request\r\n\r\n".into(),
        )
        .plays([Script::new()
            .read_request()
            .send("HTTP/1.0 400 Bad Request\r\n\r\n")
            .close()]),
        html("401-html", REJECTED, "401 Unauthorized").says("401"),
        answer(
            "401-challenge",
            REJECTED,
            response(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                "",
            ),
        )
        .says("401"),
        json(
            "402",
            REJECTED,
            "402 Payment Required",
            r#"{"error":{"error_name":"payment_required"}}"#,
        )
        .says("402 payment_required"),
        json("403", REJECTED, "403 Forbidden", r#"{"error":"forbidden"}"#).says("403 forbidden"),
        json("404", REJECTED, "404 Not Found", r#"{"error":"not_found"}"#).says("404 not_found"),
        html("407", REJECTED, "407 Proxy Authentication Required").says("407"),
        // Some clients take it as an invitation to send the request again.
        answer(
            "408",
            REJECTED,
            response("408 Request Timeout", "Connection: close\r\n", ""),
        )
        .says("408"),
        json("409", REJECTED, "409 Conflict", r#"{"error":"brand_new"}"#).says("409 brand_new"),
        json("410", REJECTED, "410 Gone", r#"{"error":"deleted"}"#).says("410 deleted"),
        html("418", REJECTED, "418 I'm a teapot").says("418"),
        html("421", REJECTED, "421 Misdirected Request").says("421"),
        json("422", REJECTED, "422 Unprocessable Entity", API_ERROR).says("422 bad_request"),
        html("425", REJECTED, "425 Too Early").says("425"),
        html("499", REJECTED, "499").says("499"),
    ]
}

fn throttling() -> Vec<Case> {
    const AN_HOUR: Option<u64> = Some(60 * 60);
    let throttled = |name, headers: &str, wait| {
        let headers = [JSON, headers].concat();
        let body = r#"{"error":{"error_name":"exceeded_rate"}}"#;
        answer(
            name,
            THROTTLED,
            response("429 Too Many Requests", &headers, body),
        )
        .says("429 exceeded_rate")
        .asks_to_wait(wait)
    };
    vec![
        throttled("429", "", None),
        throttled("429-seconds", "Retry-After: 120\r\n", Some(120)),
        throttled(
            "429-date",
            "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n",
            AN_HOUR,
        ),
        throttled(
            "429-past-date",
            "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
            Some(0),
        ),
        throttled("429-garbage", "Retry-After: later\r\n", None),
        throttled(
            "429-10^30",
            "Retry-After: 1000000000000000000000000000000\r\n",
            AN_HOUR,
        ),
        throttled("429-reset", "X-Ratelimit-Reset: 4102444800\r\n", AN_HOUR),
        throttled(
            "429-reset-past",
            "X-Ratelimit-Reset: 1430170900\r\n",
            Some(0),
        ),
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
        json(
            "500-api-error",
            SERVER_FAULT,
            "500 Internal Server Error",
            API_ERROR,
        )
        .says("500 bad_request"),
        html("502-html", SERVER_FAULT, "502 Bad Gateway").says("502"),
        // Some clients take it as an invitation to send the request again.
        answer(
            "503-empty",
            SERVER_FAULT,
            response("503 Service Unavailable", "Retry-After: 0\r\n", ""),
        )
        .says("503"),
        json(
            "503-tokens",
            SERVER_FAULT,
            "503 Service Unavailable",
            TOKENS,
        ),
        html("504-html", SERVER_FAULT, "504 Gateway Timeout").says("504"),
        answer("599-empty", SERVER_FAULT, response("599 Odd", "", "")).says("599"),
    ]
}
