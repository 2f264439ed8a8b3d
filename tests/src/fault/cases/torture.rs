//! The same exchange, split or interrupted at every byte: the outcome must not depend on where.

use std::time::Duration;

use super::{
    Case, JSON, OAUTH_ERROR, OK, REJECTED, Script, UNKNOWN, Values, case, request, response, tokens,
};

/// Long enough, most of the time, for the client to read the first part before the second arrives.
const APART: Duration = Duration::from_millis(1);

/// The request of every client is longer than this.
const MIN_REQUEST: usize = 250;

/// Scripts that send a response in two parts, one for each place to split it.
fn splits(response: &str, values: &Values) -> Vec<Script> {
    let response = values.render(response.as_bytes());
    let split = |at: usize| {
        let (first, second) = response.split_at(at);
        request().send_in_chunks(first, at, APART).send(second)
    };
    (1..=response.len()).map(split).collect()
}

/// Scripts that send too little of a response, from no byte to all but one.
fn cuts(values: &Values) -> impl Iterator<Item = Script> {
    let response = values.render(tokens().as_bytes());
    (0..response.len()).map(move |len| request().send(&response[..len]))
}

pub(super) fn cases() -> Vec<Case> {
    let byte_by_byte = request().send_in_chunks(tokens(), 1, APART);
    vec![
        Case::new("split-at-every-byte", OK, |values| splits(&tokens(), values)),
        Case::new("rejection-split-at-every-byte", REJECTED, |values| {
            splits(&response("400 Bad Request", JSON, OAUTH_ERROR), values)
        })
        .says("400 invalid_grant (The code was used.)"),
        case("byte-by-byte", OK, byte_by_byte),
        Case::new("fin-after-every-byte", UNKNOWN, |values| {
            cuts(values).map(Script::close).collect()
        }),
        Case::new("reset-after-every-byte", UNKNOWN, |values| {
            cuts(values).map(Script::reset).collect()
        }),
        Case::new("reset-at-every-byte-of-the-request", UNKNOWN, |_| {
            (1..=MIN_REQUEST).map(|len| Script::new().read(len).reset()).collect()
        }),
    ]
}
