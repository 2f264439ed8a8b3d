//! HTTP/2, over TLS.

use super::{
    Case, OK, Outcome, REFRESHES, Script, UNKNOWN, UNKNOWN_OR_NOT_SENT, Values, case, object, sized,
};
use crate::fault::{
    Origin,
    http2::{CANCEL, FIRST_STREAM, NO_ERROR, REFUSED_STREAM, goaway, json, preface, rst_stream},
};

fn request() -> Script {
    Script::http2().send(preface()).read_request()
}

/// The peer sends tokens, with this header so many times.
fn tokens(values: &Values, header: (&str, &str), count: usize) -> Script {
    request().send(json(FIRST_STREAM, &vec![header; count], &object(values)))
}

pub(super) fn cases() -> Vec<Case> {
    let sends = |name, expected: &'static [Outcome], frame: Vec<u8>| {
        case(name, expected, request().send(frame))
    };
    let graceful = || request().send(goaway(FIRST_STREAM, NO_ERROR));
    let below = request().send(goaway(0, NO_ERROR));
    let cases = [
        sized("h2-ordinary", OK, |values| tokens(values, ("", ""), 0)),
        sends("h2-refused-stream", UNKNOWN_OR_NOT_SENT, rst_stream(FIRST_STREAM, REFUSED_STREAM)),
        case("h2-goaway-below", UNKNOWN_OR_NOT_SENT, below.close()),
        sends("h2-rst-cancel", UNKNOWN, rst_stream(FIRST_STREAM, CANCEL)),
        case("h2-goaway-above-then-fin", UNKNOWN, graceful().close()),
        case("h2-goaway-above-then-reset", UNKNOWN, graceful().reset()),
        case("h2-fin", UNKNOWN, request().close()),
        case("h2-silence", UNKNOWN, request()).waits(),
        sized("h2-graceful-goaway", OK, |values| {
            let response = json(FIRST_STREAM, &[], &object(values));
            request().send([goaway(FIRST_STREAM, NO_ERROR), response].concat())
        }),
        sized("h2-100-headers", OK, |values| tokens(values, ("x", "y"), 99)),
        sized("h2-101-headers", UNKNOWN, |values| tokens(values, ("x", "y"), 100)),
        // Of 98 headers, which HTTP/2 counts as 180 bytes each.
        sized("h2-head-of-17000-bytes", UNKNOWN, |values| {
            tokens(values, (&"x".repeat(22), &"y".repeat(126)), 98)
        }),
        sized("h2-pooled-connection-fin", OK, |values| {
            tokens(values, ("", ""), 0).read_request().close()
        })
        .calls(REFRESHES),
    ];
    cases.map(|case| case.at(Origin::Http2)).into()
}
