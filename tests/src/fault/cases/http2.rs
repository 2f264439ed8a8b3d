//! HTTP/2, over TLS.

use super::{Case, Group, OK, Outcome, Script, TOKENS, UNKNOWN, UNKNOWN_OR_NOT_SENT};
use crate::{
    fault::{
        case::{Kind, Origin},
        http2::{
            CANCEL, FIRST_STREAM, NO_ERROR, REFUSED_STREAM, goaway, json, preface, rst_stream,
        },
    },
    peer::Values,
};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, expected: &'static [Outcome], script| {
        Case::new(Group::Http2, name, expected, [script]).at(Origin::Http2)
    };
    let begun = |frame: Vec<u8>| request().send(frame);
    vec![
        case("h2-ordinary", OK, Script::new())
            .varies(|n, values| once(n, &[json(FIRST_STREAM, &[], &tokens(values))])),
        case(
            "h2-refused-stream",
            UNKNOWN_OR_NOT_SENT,
            begun(rst_stream(FIRST_STREAM, REFUSED_STREAM)),
        ),
        case("h2-goaway-below", UNKNOWN_OR_NOT_SENT, begun(goaway(0, NO_ERROR)).close()),
        case("h2-rst-cancel", UNKNOWN, begun(rst_stream(FIRST_STREAM, CANCEL))),
        case("h2-goaway-above-then-fin", UNKNOWN, begun(goaway(FIRST_STREAM, NO_ERROR)).close()),
        case("h2-goaway-above-then-reset", UNKNOWN, begun(goaway(FIRST_STREAM, NO_ERROR)).reset()),
        case("h2-fin", UNKNOWN, request().close()),
        case("h2-silence", UNKNOWN, request()).waits(),
        case("h2-graceful-goaway", OK, Script::new()).varies(|n, values| {
            let response = json(FIRST_STREAM, &[], &tokens(values));
            once(n, &[goaway(FIRST_STREAM, NO_ERROR), response])
        }),
        case("h2-100-headers", OK, Script::new())
            .varies(|n, values| once(n, &[json(FIRST_STREAM, &[("x", "y"); 99], &tokens(values))])),
        case("h2-101-headers", UNKNOWN, Script::new()).varies(|n, values| {
            once(n, &[json(FIRST_STREAM, &[("x", "y"); 100], &tokens(values))])
        }),
        // Of 98 headers, which HTTP/2 counts as 180 bytes each.
        case("h2-head-of-17000-bytes", UNKNOWN, Script::new()).varies(|n, values| {
            let (name, value) = ("x".repeat(22), "y".repeat(126));
            once(n, &[json(FIRST_STREAM, &[(&*name, &*value); 98], &tokens(values))])
        }),
        case("h2-pooled-connection-fin", OK, Script::new())
            .calls(&[Kind::Refresh, Kind::Refresh])
            .varies(|n, values| {
                let first = || request().send(json(FIRST_STREAM, &[], &tokens(values)));
                (n == 0).then(|| vec![first().read_request().close(), first()])
            }),
    ]
}

fn request() -> Script {
    Script::http2().send(preface()).read_request()
}

fn tokens(values: &Values) -> Vec<u8> {
    values.render(TOKENS.as_bytes())
}

/// The only variation: the lengths of frames are known once the values are.
fn once(n: usize, frames: &[Vec<u8>]) -> Option<Vec<Script>> {
    (n == 0).then(|| vec![request().send(frames.concat())])
}
