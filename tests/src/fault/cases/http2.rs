//! HTTP/2, over TLS.

use super::{Case, Group, OK, Outcome, Script, TOKENS, UNKNOWN, UNKNOWN_OR_NOT_SENT};
use crate::fault::{
    case::Origin,
    http2::{CANCEL, FIRST_STREAM, NO_ERROR, REFUSED_STREAM, goaway, json, preface, rst_stream},
    script::Values,
};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, expected: &'static [Outcome]| {
        Case::new(Group::Http2, name, expected).at(Origin::Http2)
    };
    let request = || Script::http2().send(preface()).read_request();
    vec![
        case("h2-honest", OK)
            .varies(|n, values| variation(n, &[json(FIRST_STREAM, &tokens(values))])),
        case("h2-refused-stream", UNKNOWN_OR_NOT_SENT)
            .plays([request().send(rst_stream(FIRST_STREAM, REFUSED_STREAM))]),
        case("h2-goaway-below", UNKNOWN_OR_NOT_SENT)
            .plays([request().send(goaway(0, NO_ERROR)).close()]),
        case("h2-rst-cancel", UNKNOWN).plays([request().send(rst_stream(FIRST_STREAM, CANCEL))]),
        case("h2-goaway-above-then-fin", UNKNOWN)
            .plays([request().send(goaway(FIRST_STREAM, NO_ERROR)).close()]),
        case("h2-goaway-above-then-reset", UNKNOWN)
            .plays([request().send(goaway(FIRST_STREAM, NO_ERROR)).reset()]),
        case("h2-fin", UNKNOWN).plays([request().close()]),
        case("h2-silence", UNKNOWN).plays([request()]).waits(),
        case("h2-graceful-goaway", OK).varies(|n, values| {
            let answer = json(FIRST_STREAM, &tokens(values));
            variation(n, &[goaway(FIRST_STREAM, NO_ERROR), answer])
        }),
    ]
}

fn tokens(values: &Values) -> Vec<u8> {
    values.render(TOKENS.as_bytes())
}

/// The only variation: the lengths of frames are known once the values are.
fn variation(n: usize, frames: &[Vec<u8>]) -> Option<Vec<Script>> {
    let script = Script::http2().send(preface()).read_request();
    (n == 0).then(|| vec![script.send(frames.concat())])
}
