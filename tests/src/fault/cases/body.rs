//! The head is right, and the body does not keep to it, has no end, or is not what it should be.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{
    BODY_LIMIT, Case, DRIP, Group, JSON, MALFORMED, MALFORMED_OR_UNKNOWN, OK, Outcome, PACE,
    REDIRECT, REJECTED, SERVER_FAULT, Script, THROTTLED, TOKENS, TOO_LARGE, UNKNOWN, answered,
    honest, response,
};
use crate::{
    fault::{case::Origin, script::Values},
    tls::Leaf,
};

const UNKNOWN_OR_TOO_LARGE: &[Outcome] = &[Outcome::Unknown, Outcome::TooLarge];

/// A body that ends with the connection.
const CLOSE_DELIMITED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                               Connection: close\r\n\r\n";

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                       Transfer-Encoding: chunked\r\n\r\n";

/// Tokens, but for their end.
const HALF: &str = r#"{"access_token":"{access_token}","refresh_"#;

/// Tokens without a template, to be compressed.
const COMPRESSIBLE: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer"}"#;

pub(super) fn cases() -> Vec<Case> {
    [
        lengths(),
        chunks(),
        close_delimited(),
        sizes(),
        codings(),
        of_errors(),
    ]
    .concat()
}

fn script(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    Case::new(Group::Body, name, expected).plays([script])
}

fn over_tls(name: &'static str, expected: &'static [Outcome], plays: Script) -> Case {
    script(name, expected, plays).at(Origin::Https(Leaf::Valid))
}

fn answer(name: &'static str, expected: &'static [Outcome], answer: impl Into<Vec<u8>>) -> Case {
    answered(Group::Body, name, answer, expected)
}

/// The server reads the request, and sends the beginning of its answer.
fn begun(answer: impl Into<Vec<u8>>) -> Script {
    Script::new().read_request().send(answer)
}

/// … and then the same bytes without end.
fn endless(answer: impl Into<Vec<u8>>, bytes: &str) -> Script {
    begun(answer).repeat(bytes.repeat(16 * 1024 / bytes.len()), PACE)
}

fn lengths() -> Vec<Case> {
    let short = || begun(honest().replace("{length}", "{length}0"));
    vec![
        script("body-cut", UNKNOWN, short().close()),
        over_tls("body-cut-over-tls", UNKNOWN, short().close()),
        script("body-reset", UNKNOWN, short().reset()),
        script("body-stalls", UNKNOWN, short()).waits(),
        answer("body-empty", MALFORMED, response("200 OK", JSON, "")),
        // The lengths of both answers are known once the values are.
        Case::new(Group::Body, "bytes-after-the-body", OK).varies(|n, values| {
            let answer = values.render(honest().as_bytes());
            let both = [&answer[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat();
            (n == 0).then(|| vec![begun(both)])
        }),
    ]
}

fn chunks() -> Vec<Case> {
    let chunked = |chunks: &str| [CHUNKED, chunks].concat();
    let cut = |chunks| begun(chunked(chunks)).close();
    vec![
        Case::new(Group::Body, "chunked", OK).varies(|n, values| {
            let body = values.render(TOKENS.as_bytes());
            let pieces: Vec<_> = body.chunks(7).map(|piece| chunk(";x=y", piece)).collect();
            let body = [&pieces.concat()[..], b"0\r\nX: x\r\n\r\n"].concat();
            (n == 0).then(|| vec![begun(CHUNKED).send(body)])
        }),
        answer(
            "chunk-size-garbage",
            UNKNOWN,
            chunked("zz\r\n{}\r\n0\r\n\r\n"),
        ),
        answer(
            "chunk-size-overflow",
            UNKNOWN,
            chunked("10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ),
        answer(
            "chunk-without-line-end",
            UNKNOWN,
            chunked("2\r\n{}0\r\n\r\n"),
        ),
        script("chunk-cut", UNKNOWN, cut("ff\r\n{\"access_token\":")),
        script("chunks-without-the-last", UNKNOWN, cut("2\r\n{}\r\n")),
        script(
            "chunked-drip",
            UNKNOWN,
            begun(CHUNKED).repeat("1\r\n \r\n", DRIP),
        )
        .waits(),
        script(
            "chunk-extension-endless",
            UNKNOWN_OR_TOO_LARGE,
            endless(chunked("1;"), "x"),
        ),
        script(
            "trailers-endless",
            UNKNOWN_OR_TOO_LARGE,
            endless(chunked("2\r\n{}\r\n0\r\n"), "X: x\r\n"),
        )
        .waits(),
        answer("body-empty-chunked", MALFORMED, chunked("0\r\n\r\n")),
    ]
}

fn chunk(extension: &str, bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}{extension}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

fn close_delimited() -> Vec<Case> {
    let half = || begun(CLOSE_DELIMITED).send(HALF);
    let drip = begun(CLOSE_DELIMITED).send_in_chunks(TOKENS, 1, DRIP);
    vec![
        script(
            "close-delimited",
            OK,
            begun(CLOSE_DELIMITED).send(TOKENS).close(),
        ),
        script("close-delimited-cut", MALFORMED_OR_UNKNOWN, half().close()),
        over_tls(
            "close-delimited-cut-over-tls",
            MALFORMED_OR_UNKNOWN,
            half().fin(),
        ),
        script(
            "close-delimited-reset",
            MALFORMED_OR_UNKNOWN,
            half().reset(),
        ),
        script(
            "close-delimited-empty",
            MALFORMED,
            begun(CLOSE_DELIMITED).close(),
        ),
        script("body-drip", UNKNOWN, drip).waits(),
    ]
}

fn sizes() -> Vec<Case> {
    let declared = |length| honest().replace("{length}", length);
    let spaces = String::from_utf8_lossy(&chunk("", &[b' '; 4096])).into_owned();
    vec![
        answer("content-length-10^12", TOO_LARGE, declared("1000000000000")),
        answer(
            "content-length-10^30",
            UNKNOWN_OR_TOO_LARGE,
            declared("1000000000000000000000000000000"),
        ),
        script(
            "1-gib-of-spaces",
            TOO_LARGE,
            endless(declared("1073741824"), " "),
        ),
        script("endless-body", TOO_LARGE, endless(CLOSE_DELIMITED, " ")),
        over_tls(
            "endless-body-over-tls",
            TOO_LARGE,
            endless(CLOSE_DELIMITED, " "),
        ),
        script("endless-chunks", TOO_LARGE, endless(CHUNKED, &spaces)),
        Case::new(Group::Body, "body-of-the-limit", OK)
            .varies(|n, values| padded(n, BODY_LIMIT, values)),
        Case::new(Group::Body, "body-above-the-limit", TOO_LARGE)
            .varies(|n, values| padded(n, BODY_LIMIT + 1, values)),
    ]
}

/// An honest body that is stretched to a length, which is not declared.
fn padded(n: usize, len: usize, values: &Values) -> Option<Vec<Script>> {
    let mut body = values.render(TOKENS.as_bytes());
    body.resize(len, b' ');
    let body = [&chunk("", &body)[..], b"0\r\n\r\n"].concat();
    (n == 0).then(|| vec![begun(CHUNKED).send(body)])
}

fn codings() -> Vec<Case> {
    let encoding = |coding| format!("{JSON}Content-Encoding: {coding}\r\n");
    let coded = |coding| response("200 OK", &encoding(coding), TOKENS);
    let gzipped = |headers: &str, body: &str| {
        [response("200 OK", headers, "").into_bytes(), gzip(body)].concat()
    };
    let bomb = [COMPRESSIBLE, &" ".repeat(8 * 1024 * 1024)].concat();
    vec![
        answer("gzip", MALFORMED, gzipped(&encoding("gzip"), COMPRESSIBLE)),
        answer("gzip-bomb", MALFORMED, gzipped(&encoding("gzip"), &bomb)),
        answer("gzip-undeclared", MALFORMED, gzipped(JSON, COMPRESSIBLE)),
        answer("gzip-only-declared", MALFORMED, coded("gzip")),
        answer("brotli-only-declared", MALFORMED, coded("br")),
        answer("content-encoding-identity", OK, coded("identity")),
    ]
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes());
    let bytes = written.and_then(|()| encoder.finish());
    bytes.expect("a vector takes all bytes")
}

/// A status that means an error stays one, whatever becomes of its body.
fn of_errors() -> Vec<Case> {
    let short = |status| begun(response(status, "", "<html>").replace("{length}", "999"));
    let unbounded = |status, header| endless(format!("HTTP/1.1 {status}\r\n{header}\r\n"), " ");
    vec![
        script(
            "body-of-400-cut",
            REJECTED,
            short("400 Bad Request").close(),
        ),
        script(
            "body-of-400-reset",
            REJECTED,
            short("400 Bad Request").reset(),
        ),
        script("body-of-400-stalls", REJECTED, short("400 Bad Request")).waits(),
        script(
            "body-of-429-stalls",
            THROTTLED,
            short("429 Too Many Requests"),
        )
        .waits(),
        script(
            "body-of-500-declared-10^12",
            SERVER_FAULT,
            begun(
                response("500 Internal Server Error", "", "").replace("{length}", "1000000000000"),
            ),
        ),
        script(
            "body-of-503-endless",
            SERVER_FAULT,
            unbounded("503 Service Unavailable", ""),
        ),
        script(
            "body-of-307-endless",
            REDIRECT,
            unbounded("307 Temporary Redirect", "Location: {trap}/oauth/token\r\n"),
        )
        .with_trap(),
    ]
}
