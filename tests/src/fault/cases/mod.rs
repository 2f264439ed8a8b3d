//! All cases, group by group.

mod body;
mod connect;
mod exchange;
mod head;
mod http2;
mod json;
mod status;
mod torture;

use std::time::Duration;

use super::{
    case::{Case, Group},
    outcome::Outcome,
    script::Script,
};

/// The limit for bodies that the cases are written for, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// All cases, in the order of an exchange.
///
/// Their templates use the values `access_token`, `refresh_token`, `state`, `code`,
/// `client_secret` and `api_key` of the call, `escaped_access_token`, which is the first in JSON's
/// escapes, and `trap`, the address of a second server.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        connect::cases(),
        exchange::cases(),
        head::cases(),
        body::cases(),
        status::cases(),
        json::cases(),
        http2::cases(),
        torture::cases(),
    ]
    .concat()
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
const MALFORMED_OR_UNKNOWN: &[Outcome] = &[Outcome::Malformed, Outcome::Unknown];
const UNKNOWN_OR_NOT_SENT: &[Outcome] = &[Outcome::Unknown, Outcome::NotSent];

/// The body of an honest answer.
const TOKENS: &str = r#"{"access_token":"{access_token}","token_type":"Bearer","refresh_token":"{refresh_token}","expires_in":86400,"state":"{state}"}"#;

/// The header of an honest answer.
const JSON: &str = "Content-Type: application/json\r\n";

/// A pause that outlasts no deadline by itself, but every deadline when it is made often enough.
const DRIP: Duration = Duration::from_millis(50);

/// The pause after each part of an endless answer. A client keeps up with that, so that the server
/// has written about what the client has read; and no core is kept busy beside the other cases.
const PACE: Duration = Duration::from_millis(1);

/// A whole answer; the header lines have their ends.
fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {{length}}\r\n\r\n{body}")
}

/// An honest answer.
fn honest() -> String {
    response("200 OK", JSON, TOKENS)
}

/// A case in which the server reads the request and gives one answer.
fn answered(
    group: Group,
    name: &'static str,
    answer: impl Into<Vec<u8>>,
    expected: &'static [Outcome],
) -> Case {
    Case::new(group, name, expected).plays([Script::new().read_request().send(answer)])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names = HashSet::new();
        for case in cases() {
            assert!(names.insert(case.name), "{}", case.name);
        }
    }
}
