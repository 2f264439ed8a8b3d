//! All cases, by group.

mod body;
mod connect;
mod exchange;
mod head;
mod http2;
mod json;
mod proxy;
mod status;
mod torture;

use std::time::Duration;

use super::{
    Outcome,
    case::{Case, Kind},
};
use crate::peer::{Script, Values};

/// The body limit that the cases are written for, in bytes.
pub(crate) const BODY_LIMIT: usize = 16 * 1024;

/// Returns all cases, in the order of an exchange.
///
/// Their templates use the values `access_token`, `refresh_token`, `state`, `code`,
/// `client_secret` and `api_key` of the call, `escaped_access_token`, which is the first in JSON's
/// escapes, and `trap` and `target`, the URL and the address of a second server, to which nothing may be sent.
pub(crate) fn cases() -> Vec<Case> {
    let groups = [
        ("connect", connect::cases()),
        ("proxy", proxy::cases()),
        ("exchange", exchange::cases()),
        ("head", head::cases()),
        ("body", body::cases()),
        ("status", status::cases()),
        ("json", json::cases()),
        ("http2", http2::cases()),
        ("torture", torture::cases()),
    ];
    let cases = groups
        .into_iter()
        .flat_map(|(group, cases)| cases.into_iter().map(move |case| Case { group, ..case }));
    cases.collect()
}

const OK: &[Outcome] = &[Outcome::Ok];
const NOT_SENT: &[Outcome] = &[Outcome::NotSent];
const UNKNOWN: &[Outcome] = &[Outcome::Unknown];
const MALFORMED: &[Outcome] = &[Outcome::Malformed];
const TOO_LARGE: &[Outcome] = &[Outcome::TooLarge];
const REDIRECT: &[Outcome] = &[Outcome::Redirect];
const REJECTED: &[Outcome] = &[Outcome::Rejected];
const THROTTLED: &[Outcome] = &[Outcome::Throttled];
const SERVER_FAULT: &[Outcome] = &[Outcome::ServerFault];
const STATE_MISMATCH: &[Outcome] = &[Outcome::StateMismatch];

// Where two are right, `tests/tests/conformance.rs` says which adapter gives which.
const OK_OR_UNKNOWN: &[Outcome] = &[Outcome::Ok, Outcome::Unknown];
const MALFORMED_OR_UNKNOWN: &[Outcome] = &[Outcome::Malformed, Outcome::Unknown];
const UNKNOWN_OR_NOT_SENT: &[Outcome] = &[Outcome::Unknown, Outcome::NotSent];
const OK_OR_LOST: &[Outcome] = &[Outcome::Ok, Outcome::Unknown, Outcome::NotSent];
const UNKNOWN_OR_TOO_LARGE: &[Outcome] = &[Outcome::Unknown, Outcome::TooLarge];
const REJECTED_OR_UNKNOWN: &[Outcome] = &[Outcome::Rejected, Outcome::Unknown];

const CODES: &[Kind] = &[Kind::Generate, Kind::Generate];
const REFRESHES: &[Kind] = &[Kind::Refresh, Kind::Refresh];

/// The body of an ordinary response.
const TOKENS: &str = r#"{"access_token":"{access_token}","token_type":"Bearer","refresh_token":"{refresh_token}","expires_in":86400,"state":"{state}"}"#;

/// The header of an ordinary response.
const JSON: &str = "Content-Type: application/json\r\n";

/// The shape of the token endpoint's errors (RFC 6749 §5.2).
const OAUTH_ERROR: &str = r#"{"error":"invalid_grant","error_description":"The code was used."}"#;

/// A pause that exceeds no deadline by itself, but every deadline if it is repeated.
const DRIP: Duration = Duration::from_millis(50);

/// The pause after each part of an endless response. A client keeps up with it, so that the peer
/// has written about what the client has read, and the other cases get their share of the CPU.
const PACE: Duration = Duration::from_millis(1);

/// A complete response. Each header line has its end.
fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {{length}}\r\n\r\n{body}")
}

/// An ordinary response with tokens.
fn tokens() -> String {
    response("200 OK", JSON, TOKENS)
}

/// The bytes of [`TOKENS`].
fn object(values: &Values) -> Vec<u8> {
    values.render(TOKENS.as_bytes())
}

/// The peer reads the request.
fn request() -> Script {
    Script::new().read_request()
}

/// The peer reads the request and sends a response, or the start of one.
fn responds(response: impl Into<Vec<u8>>) -> Script {
    request().send(response)
}

/// A case in which the peer plays `script` to every connection.
fn case(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    Case::new(name, expected, move |_| vec![script.clone()])
}

/// A case in which the peer sends `response` to every request.
fn whole(name: &'static str, expected: &'static [Outcome], response: impl Into<Vec<u8>>) -> Case {
    case(name, expected, responds(response))
}

/// A case whose script depends on the lengths of the values.
fn sized(name: &'static str, expected: &'static [Outcome], script: fn(&Values) -> Script) -> Case {
    Case::new(name, expected, move |values| vec![script(values)])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_case_has_a_name_and_a_script() {
        let mut names = HashSet::new();
        for case in cases() {
            assert!(names.insert(case.name), "{}", case.name);
            assert!(!case.variations(&Values::new()).is_empty(), "{}", case.name);
        }
    }
}
