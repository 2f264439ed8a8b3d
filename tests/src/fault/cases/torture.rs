//! The same exchange, cut or interrupted at every byte: the outcome must not depend on where.

use std::time::Duration;

use super::{Case, Group, JSON, OK, REJECTED, Script, UNKNOWN, honest, response};
use crate::fault::script::Values;

/// Long enough for the client to be woken by the first part of an answer before the second comes,
/// most of the time.
const APART: Duration = Duration::from_millis(1);

/// A request has more bytes than this, whichever client makes it.
const BYTES_OF_EVERY_REQUEST: usize = 250;

const REJECTION: &str = r#"{"error":"invalid_grant","error_description":"The code was used."}"#;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, expected| Case::new(Group::Torture, name, expected);
    vec![
        case("split-at-every-byte", OK).varies(|n, values| split(&honest(), n, values)),
        case("rejection-split-at-every-byte", REJECTED)
            .varies(|n, values| split(&response("400 Bad Request", JSON, REJECTION), n, values))
            .says("400 invalid_grant (The code was used.)"),
        case("byte-by-byte", OK).plays([Script::new().read_request().send_in_chunks(
            honest(),
            1,
            APART,
        )]),
        case("fin-after-every-byte", UNKNOWN)
            .varies(|n, values| cut(n, values).map(|begun| vec![begun.close()])),
        case("reset-after-every-byte", UNKNOWN)
            .varies(|n, values| cut(n, values).map(|begun| vec![begun.reset()])),
        case("reset-at-every-byte-of-the-request", UNKNOWN).varies(|n, _| {
            (n < BYTES_OF_EVERY_REQUEST).then(|| vec![Script::new().read(n + 1).reset()])
        }),
    ]
}

/// An answer whose second part begins at byte `n + 1`.
fn split(answer: &str, n: usize, values: &Values) -> Option<Vec<Script>> {
    let answer = values.render(answer.as_bytes());
    let (first, second) = answer.split_at_checked(n + 1)?;
    let script = Script::new()
        .read_request()
        .send_in_chunks(first.to_vec(), first.len(), APART)
        .send(second.to_vec());
    Some(vec![script])
}

/// An answer that has `n` bytes, and lacks at least one.
fn cut(n: usize, values: &Values) -> Option<Script> {
    let answer = values.render(honest().as_bytes());
    let script = Script::new().read_request();
    (n < answer.len()).then(|| script.send(answer[..n].to_vec()))
}
