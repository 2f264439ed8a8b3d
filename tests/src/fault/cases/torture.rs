//! The same exchange, split or interrupted at every byte: the outcome must not depend on where.

use std::time::Duration;

use super::{Case, Group, JSON, OK, REJECTED, Script, UNKNOWN, request, response, tokens};
use crate::peer::Values;

/// Long enough, most of the time, for the client to read the first part before the second arrives.
const APART: Duration = Duration::from_millis(1);

/// The request of every client is longer than this.
const MIN_REQUEST: usize = 250;

const REJECTION: &str = r#"{"error":"invalid_grant","error_description":"The code was used."}"#;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, expected| Case::new(Group::Torture, name, expected, []);
    let byte_by_byte = request().send_in_chunks(tokens(), 1, APART);
    vec![
        case("split-at-every-byte", OK).varies(|n, values| split(&tokens(), n, values)),
        case("rejection-split-at-every-byte", REJECTED)
            .varies(|n, values| split(&response("400 Bad Request", JSON, REJECTION), n, values))
            .says("400 invalid_grant (The code was used.)"),
        Case::new(Group::Torture, "byte-by-byte", OK, [byte_by_byte]),
        case("fin-after-every-byte", UNKNOWN)
            .varies(|n, values| cut(n, values).map(|begun| vec![begun.close()])),
        case("reset-after-every-byte", UNKNOWN)
            .varies(|n, values| cut(n, values).map(|begun| vec![begun.reset()])),
        case("reset-at-every-byte-of-the-request", UNKNOWN)
            .varies(|n, _| (n < MIN_REQUEST).then(|| vec![Script::new().read(n + 1).reset()])),
    ]
}

/// A response whose second part starts at byte `n + 1`.
fn split(response: &str, n: usize, values: &Values) -> Option<Vec<Script>> {
    let response = values.render(response.as_bytes());
    let (first, second) = response.split_at_checked(n + 1)?;
    let first = request().send_in_chunks(first, first.len(), APART);
    Some(vec![first.send(second)])
}

/// A response of which only `n` bytes are sent, at least one too few.
fn cut(n: usize, values: &Values) -> Option<Script> {
    let response = values.render(tokens().as_bytes());
    (n < response.len()).then(|| request().send(&response[..n]))
}
