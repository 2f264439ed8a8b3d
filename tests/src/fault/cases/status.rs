//! The response is well-formed HTTP, and its status determines the outcome.

use super::{
    Case, JSON, MALFORMED, OAUTH_ERROR, OK, Outcome, REDIRECT, REJECTED, SERVER_FAULT, THROTTLED,
    TOKENS, case, request, responds, response, tokens, whole,
};

/// The shape of the rest of the API.
const API_ERROR: &str = r#"{"error":{"error_msg":"Parameter client_id is missing","error_name":"bad_request","error_path":"client_id"}}"#;

/// What a client says of it.
const API_ERROR_SAYS: &str = "400 bad_request (Parameter client_id is missing) at `client_id`";

/// The vendor's published sample, with its trailing comma.
const BROKEN_ERROR: &str = r#"{"error":{"error_msg":"Invalid","error_name":"bad_request",}}"#;

const ODD_ERROR: &str = r#"{"error":"invalid_grant","error_description":["used"]}"#;

/// In Latin-1.
const LATIN_1: &[u8] = b"{\"error\":\"invalid_grant\",\"error_description\":\"caf\xe9\"}";

const HTML: &str = "<!doctype html><title>No</title><p>Something in between responded.";

/// All secrets that a server knows of a call.
const ECHO: &str =
    r#"{"error":"invalid_grant","error_description":"{code} {client_secret} {api_key} {state}"}"#;

const HTML_TYPE: &str = "Content-Type: text/html\r\n";
const CHALLENGE: &str = "WWW-Authenticate: Basic realm=\"x\"\r\n";

/// The longest wait that a caller is asked for.
const AN_HOUR: Option<u64> = Some(60 * 60);

/// Name, outcome, status, headers, body, and what the error must say.
type Row =
    (&'static str, &'static [Outcome], &'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("201", OK, "201 Created", JSON, TOKENS, ""),
    ("202", MALFORMED, "202 Accepted", JSON, TOKENS, "202"),
    ("200-oauth-error", REJECTED, "200 OK", JSON, OAUTH_ERROR, "invalid_grant"),
    ("200-api-error", REJECTED, "200 OK", JSON, API_ERROR, "client_id is missing"),
    ("302-without-location", REDIRECT, "302 Found", "", "", "302"),
    ("400-oauth-error", REJECTED, "400", JSON, OAUTH_ERROR, "invalid_grant (The code was used.)"),
    ("400-api-error", REJECTED, "400", JSON, API_ERROR, API_ERROR_SAYS),
    ("400-invalid-json", REJECTED, "400", JSON, BROKEN_ERROR, "400"),
    ("400-description-of-another-type", REJECTED, "400", JSON, ODD_ERROR, "400 invalid_grant"),
    ("400-echo", REJECTED, "400", JSON, ECHO, "invalid_grant"),
    ("400-empty", REJECTED, "400", "", "", "400"),
    ("401-html", REJECTED, "401", HTML_TYPE, HTML, "401"),
    ("401-challenge", REJECTED, "401", CHALLENGE, "", "401"),
    ("402", REJECTED, "402", HTML_TYPE, HTML, "402"),
    ("403", REJECTED, "403", HTML_TYPE, HTML, "403"),
    ("404", REJECTED, "404", HTML_TYPE, HTML, "404"),
    ("407", REJECTED, "407", HTML_TYPE, HTML, "407"),
    // Some clients send the request again.
    ("408", REJECTED, "408", "Connection: close\r\n", "", "408"),
    ("409", REJECTED, "409", HTML_TYPE, HTML, "409"),
    ("410", REJECTED, "410", HTML_TYPE, HTML, "410"),
    ("421", REJECTED, "421", HTML_TYPE, HTML, "421"),
    ("422", REJECTED, "422", JSON, API_ERROR, "422 bad_request"),
    ("425", REJECTED, "425", HTML_TYPE, HTML, "425"),
    ("429-html", THROTTLED, "429", HTML_TYPE, HTML, "429"),
    ("499", REJECTED, "499", HTML_TYPE, HTML, "499"),
    ("500-oauth-error", SERVER_FAULT, "500", JSON, r#"{"error":"server_error"}"#, "server_error"),
    ("502-html", SERVER_FAULT, "502", HTML_TYPE, HTML, "502"),
    // Some clients send the request again.
    ("503-empty", SERVER_FAULT, "503", "Retry-After: 0\r\n", "", "503"),
    ("503-tokens", SERVER_FAULT, "503", JSON, TOKENS, "503"),
];

pub(super) fn cases() -> Vec<Case> {
    let rows = ROWS.iter().map(|&(name, expected, status, headers, body, says)| {
        whole(name, expected, response(status, headers, body)).says(says)
    });
    let redirects = ["300", "301", "302", "303", "307", "308"];
    let redirect = |name, status, path: &str| {
        let location = format!("Location: {{trap}}/{path}\r\n");
        whole(name, REDIRECT, response(status, &location, HTML))
    };
    let redirects = redirects.map(|status| redirect(status, status, "oauth/token"));
    let to_itself = responds(response("307", "Location: /oauth/token\r\n", ""));
    let throttled = |name, headers: &str, wait| {
        let body = r#"{"error":{"error_name":"exceeded_rate"}}"#;
        let response = response("429", &[JSON, headers].concat(), body);
        whole(name, THROTTLED, response).says("429 exceeded_rate").requests_wait(wait)
    };
    let latin_1 = [response("400", JSON, "").as_bytes(), LATIN_1].concat();
    let byte_order_mark = response("400", JSON, &["\u{feff}", OAUTH_ERROR].concat());
    let close_delimited = request().send("HTTP/1.0 400 Bad Request\r\n\r\n").close();
    let others = [
        whole("204", MALFORMED, "HTTP/1.1 204 No Content\r\n\r\n"),
        whole("304", MALFORMED, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        redirect("302-echo", "302", "{client_secret}/{code}?{state}#{api_key}"),
        // A second request to the same server would succeed.
        case("307-to-itself", REDIRECT, to_itself.read_request().send(tokens())),
        whole("400-byte-order-mark", REJECTED, byte_order_mark).says("400 invalid_grant"),
        whole("400-latin-1", REJECTED, latin_1).says("400 invalid_grant"),
        case("400-empty-close-delimited", REJECTED, close_delimited),
        throttled("429", "", None),
        throttled("429-seconds", "Retry-After: 120\r\n", Some(120)),
        throttled("429-date", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n", AN_HOUR),
        throttled("429-garbage", "Retry-After: later\r\n", None),
        throttled("429-10^30", "Retry-After: 1000000000000000000000000000000\r\n", AN_HOUR),
        throttled("429-reset", "X-Ratelimit-Reset: 4102444800\r\n", AN_HOUR),
    ];
    rows.chain(redirects).chain(others).collect()
}
