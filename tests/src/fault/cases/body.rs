//! The head is right, and the body is incomplete, endless, too large or encoded.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};

use super::{
    BODY_LIMIT, Case, DRIP, Group, JSON, MALFORMED, MALFORMED_OR_UNKNOWN, OK, OK_OR_UNKNOWN,
    Outcome, PACE, REDIRECT, REJECTED, SERVER_FAULT, Script, THROTTLED, TOKENS, TOO_LARGE, UNKNOWN,
    UNKNOWN_OR_TOO_LARGE, responds, response, tokens,
};
use crate::peer::Values;

/// A body that ends with the connection.
const CLOSE_DELIMITED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                               Connection: close\r\n\r\n";

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                       Transfer-Encoding: chunked\r\n\r\n";

/// The start of an object with tokens.
const HALF: &str = r#"{"access_token":"{access_token}","refresh_"#;

/// Tokens without a template, to be compressed.
const COMPRESSIBLE: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer"}"#;

pub(super) fn cases() -> Vec<Case> {
    [incomplete(), complete_objects(), chunks(), sizes(), codings(), of_errors()].concat()
}

fn case(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    Case::new(Group::Body, name, expected, [script])
}

fn whole(name: &'static str, expected: &'static [Outcome], response: impl Into<Vec<u8>>) -> Case {
    case(name, expected, responds(response))
}

/// The peer sends `response`, and then the same bytes without end.
fn endless(response: impl Into<Vec<u8>>, bytes: &str) -> Script {
    responds(response).repeat(bytes.repeat(16 * 1024 / bytes.len()), PACE)
}

/// A response whose declared length is ten times the length of `body`.
fn short(body: &str) -> Script {
    responds(response("200 OK", JSON, body).replace("{length}", "{length}0"))
}

/// One chunk of a chunked body.
fn chunk(extension: &str, bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}{extension}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

/// The only variation, whose lengths are known once the values are.
fn once(n: usize, script: impl FnOnce() -> Script) -> Option<Vec<Script>> {
    (n == 0).then(|| vec![script()])
}

fn incomplete() -> Vec<Case> {
    let half = || responds(CLOSE_DELIMITED).send(HALF);
    let drip = responds(CLOSE_DELIMITED).send_in_chunks(TOKENS, 1, DRIP);
    vec![
        case("body-stalls", UNKNOWN, short(HALF)).waits(),
        case("body-drip", UNKNOWN, drip).waits(),
        case("close-delimited-cut", MALFORMED_OR_UNKNOWN, half().close()),
        case("close-delimited-empty", MALFORMED, responds(CLOSE_DELIMITED).close()),
        whole("body-empty", MALFORMED, response("200 OK", JSON, "")),
        whole("body-empty-chunked", MALFORMED, [CHUNKED, "0\r\n\r\n"].concat()),
    ]
}

/// The delivery breaks off after a complete object: nothing that could follow changes its meaning.
fn complete_objects() -> Vec<Case> {
    vec![
        case("close-delimited", OK, responds(CLOSE_DELIMITED).send(TOKENS).close()),
        case("complete-object-then-drip", OK, short(TOKENS).repeat(" ", DRIP)).waits(),
        case("complete-object-then-silence", OK, short(TOKENS)).waits(),
        case("complete-object-then-any-fault", OK, Script::new())
            .varies(|n, values| broken_after(&object(values), n, false)),
        case("complete-object-then-any-fault-over-tls", OK, Script::new())
            .varies(|n, values| broken_after(&object(values), n, true))
            .over_tls(),
        case("object-cut-by-any-fault", UNKNOWN, Script::new())
            .varies(|n, values| broken_after(&almost(values), n, false)),
        case("object-cut-by-any-fault-over-tls", UNKNOWN, Script::new())
            .varies(|n, values| broken_after(&almost(values), n, true))
            .over_tls(),
        case("complete-object-then-half-an-end", OK, Script::new()).varies(|n, values| {
            let body = [&chunk("", &object(values))[..], b"0\r\n"].concat();
            once(n, || responds(CHUNKED).send(body).close())
        }),
        case(
            "complete-object-then-broken-record",
            OK_OR_UNKNOWN,
            short(TOKENS).send_below_tls(BROKEN_RECORD),
        )
        .over_tls(),
        Case::new(Group::Body, "bytes-after-the-body", OK, []).varies(|n, values| {
            let response = values.render(tokens().as_bytes());
            once(n, || responds([&response[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat()))
        }),
    ]
}

fn object(values: &Values) -> Vec<u8> {
    values.render(TOKENS.as_bytes())
}

/// The object without its last byte.
fn almost(values: &Values) -> Vec<u8> {
    let mut object = object(values);
    object.pop();
    object
}

/// Long enough for a client to read what was sent.
const UNTIL_READ: Duration = Duration::from_millis(100);

/// A record of TLS (RFC 8446 §5.1) that cannot be decrypted.
const BROKEN_RECORD: [u8; 9] = [23, 3, 3, 0, 4, 0, 0, 0, 0];

/// The nth way in which a response breaks off after `body`.
fn broken_after(body: &[u8], n: usize, tls: bool) -> Option<Vec<Script>> {
    let size = format!("{:x}\r\n", body.len());
    let chunked = [CHUNKED, &size].concat();
    let declared = response("200 OK", JSON, "").replace("{length}", "9999");
    let starts = [
        ("HTTP/1.0 200 OK\r\n\r\n", ""),
        (CLOSE_DELIMITED, ""),
        (&declared, ""),
        (&chunked, ""),
        (&chunked, "\r\n"),
        (&chunked, "\r\nzz\r\n"),
        (&chunked, "!!!!\r\n"),
    ];
    let ends = |(index, (head, rest)): (usize, (&str, &str))| {
        let sent = responds([head.as_bytes(), body, rest.as_bytes()].concat());
        let read = sent.clone().pause(UNTIL_READ);
        let mut ends = vec![read.clone().reset()];
        if tls {
            ends.push(sent.fin());
            ends.push(read.clone().send_below_tls(BROKEN_RECORD));
            ends.push(read.send_below_tls(CLOSE_DELIMITED));
        } else if index > 1 {
            // No end of the connection is the end of these bodies.
            ends.push(sent.close());
        }
        ends
    };
    let mut scripts = starts.into_iter().enumerate().flat_map(ends);
    scripts.nth(n).map(|script| vec![script])
}

fn chunks() -> Vec<Case> {
    let chunked = |chunks: &str| [CHUNKED, chunks].concat();
    vec![
        Case::new(Group::Body, "chunked", OK, []).varies(|n, values| {
            let pieces: Vec<_> =
                object(values).chunks(7).map(|piece| chunk(";x=y", piece)).collect();
            let trailers = b"0\r\nX: longer than any size\r\n\r\n";
            let body = [&pieces.concat()[..], trailers].concat();
            once(n, || responds(CHUNKED).send(body))
        }),
        whole("chunk-size-garbage", UNKNOWN, chunked("zz\r\n{\r\n0\r\n\r\n")),
        whole("chunk-size-overflow", UNKNOWN, chunked("10000000000000002\r\n{\r\n0\r\n\r\n")),
        whole("chunk-without-line-end", UNKNOWN, chunked("1\r\n{0\r\n\r\n")),
        case("chunked-drip", UNKNOWN, responds(CHUNKED).repeat("1\r\n \r\n", DRIP)).waits(),
        case("chunk-extension-endless", UNKNOWN_OR_TOO_LARGE, endless(chunked("1;"), "x")),
        Case::new(Group::Body, "trailers-endless", OK_OR_UNKNOWN, [])
            .varies(|n, values| {
                let chunks = [chunk("", &values.render(TOKENS.as_bytes())), b"0\r\n".into()];
                once(n, || endless([CHUNKED.as_bytes(), &chunks.concat()].concat(), "X: x\r\n"))
            })
            .waits(),
    ]
}

fn sizes() -> Vec<Case> {
    let declared = |length| tokens().replace("{length}", length);
    let spaces = String::from_utf8_lossy(&chunk("", &[b' '; 4096])).into_owned();
    vec![
        whole("content-length-10^12", TOO_LARGE, declared("1000000000000")),
        whole(
            "content-length-10^30",
            UNKNOWN_OR_TOO_LARGE,
            declared("1000000000000000000000000000000"),
        ),
        case("1-gib-of-spaces", TOO_LARGE, endless(declared("1073741824"), " ")),
        case("endless-body", TOO_LARGE, endless(CLOSE_DELIMITED, " ")),
        case("endless-body-over-tls", TOO_LARGE, endless(CLOSE_DELIMITED, " ")).over_tls(),
        case("endless-chunks", TOO_LARGE, endless(CHUNKED, &spaces)),
        Case::new(Group::Body, "body-of-the-limit", OK, [])
            .varies(|n, values| once(n, || padded(BODY_LIMIT, values))),
        Case::new(Group::Body, "body-above-the-limit", TOO_LARGE, [])
            .varies(|n, values| once(n, || padded(BODY_LIMIT + 1, values))),
    ]
}

/// Tokens and spaces of `len` bytes, which are not declared.
fn padded(len: usize, values: &Values) -> Script {
    let mut body = values.render(TOKENS.as_bytes());
    body.resize(len, b' ');
    responds(CHUNKED).send([&chunk("", &body)[..], b"0\r\n\r\n"].concat())
}

fn codings() -> Vec<Case> {
    let encoding = |coding| format!("{JSON}Content-Encoding: {coding}\r\n");
    let coded = |coding| response("200 OK", &encoding(coding), TOKENS);
    let gzipped = |body: &str| {
        let head = response("200 OK", &encoding("gzip"), "");
        [head.into_bytes(), gzip(body)].concat()
    };
    let bomb = [COMPRESSIBLE, &" ".repeat(8 * 1024 * 1024)].concat();
    vec![
        whole("gzip", MALFORMED, gzipped(COMPRESSIBLE)),
        whole("gzip-bomb", MALFORMED, gzipped(&bomb)),
        whole("gzip-only-declared", MALFORMED, coded("gzip")),
        whole("content-encoding-identity", OK, coded("identity")),
    ]
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes());
    let bytes = written.and_then(|()| encoder.finish());
    bytes.expect("a vector accepts all bytes")
}

/// An error status is enough, whatever happens to the body.
fn of_errors() -> Vec<Case> {
    let short = |status| responds(response(status, "", "<html>").replace("{length}", "999"));
    let unbounded = |status, header| endless(format!("HTTP/1.1 {status}\r\n{header}\r\n"), " ");
    let huge = response("500 Internal Server Error", "", "").replace("{length}", "1000000000000");
    vec![
        case("body-of-400-cut", REJECTED, short("400 Bad Request").close()),
        case("body-of-400-reset", REJECTED, short("400 Bad Request").reset()),
        case("body-of-400-stalls", REJECTED, short("400 Bad Request")).waits(),
        case("body-of-429-stalls", THROTTLED, short("429 Too Many Requests")).waits(),
        whole("body-of-500-declared-10^12", SERVER_FAULT, huge),
        case("body-of-503-endless", SERVER_FAULT, unbounded("503 Service Unavailable", "")),
        case(
            "body-of-307-endless",
            REDIRECT,
            unbounded("307 Temporary Redirect", "Location: {trap}/oauth/token\r\n"),
        )
        .with_trap(),
    ]
}
