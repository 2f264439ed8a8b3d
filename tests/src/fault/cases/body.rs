//! The head is right, and the body is incomplete, endless, too large or encoded.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};

use super::{
    BODY_LIMIT, Case, DRIP, JSON, MALFORMED, MALFORMED_OR_UNKNOWN, OK, OK_OR_UNKNOWN, PACE,
    REDIRECT, REJECTED, SERVER_FAULT, Script, THROTTLED, TOKENS, TOO_LARGE, UNKNOWN,
    UNKNOWN_OR_TOO_LARGE, Values, case, object, responds, response, sized, tokens, whole,
};

/// A body that ends with the connection.
const CLOSE_DELIMITED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                               Connection: close\r\n\r\n";

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                       Transfer-Encoding: chunked\r\n\r\n";

/// The start of an object with tokens.
const HALF: &str = r#"{"access_token":"{access_token}","refresh_"#;

/// Tokens without a template, to be compressed.
const COMPRESSIBLE: &str = r#"{"access_token":"NWNiOTMx","token_type":"Bearer"}"#;

/// Long enough for a client to read what was sent.
const UNTIL_READ: Duration = Duration::from_millis(100);

/// A record of TLS (RFC 8446 §5.1) that cannot be decrypted.
const BROKEN_RECORD: [u8; 9] = [23, 3, 3, 0, 4, 0, 0, 0, 0];

/// The peer sends `response`, and then the same bytes without end.
fn endless(response: impl Into<Vec<u8>>, bytes: &str) -> Script {
    responds(response).repeat(bytes.repeat(16 * 1024 / bytes.len()), PACE)
}

/// A response whose declared length is ten times the length of `body`.
fn short(status: &str, body: &str) -> Script {
    responds(response(status, JSON, body).replace("{length}", "{length}0"))
}

/// One chunk of a chunked body.
fn chunk(extension: &str, bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}{extension}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

/// A chunked response of these bytes.
fn chunked(chunks: &[&[u8]]) -> Script {
    responds([CHUNKED.as_bytes(), &chunks.concat()].concat())
}

/// Tokens and spaces of `len` bytes, which are not declared.
fn padded(len: usize, values: &Values) -> Script {
    let mut body = object(values);
    body.resize(len, b' ');
    chunked(&[&chunk("", &body), b"0\r\n\r\n"])
}

/// The object without its last byte.
fn almost(values: &Values) -> Vec<u8> {
    let mut object = object(values);
    object.pop();
    object
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes());
    let bytes = written.and_then(|()| encoder.finish());
    bytes.expect("a vector accepts all bytes")
}

/// The ways in which a response breaks off after `body`.
fn broken_after(body: &[u8], tls: bool) -> Vec<Script> {
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
    let mut scripts = Vec::new();
    for (index, (head, rest)) in starts.into_iter().enumerate() {
        let sent = responds([head.as_bytes(), body, rest.as_bytes()].concat());
        let read = sent.clone().pause(UNTIL_READ);
        scripts.push(read.clone().reset());
        if tls {
            scripts.push(sent.fin());
            scripts.push(read.clone().send_below_tls(BROKEN_RECORD));
            scripts.push(read.send_below_tls(CLOSE_DELIMITED));
        } else if index > 1 {
            // No end of the connection is the end of these bodies.
            scripts.push(sent.close());
        }
    }
    scripts
}

pub(super) fn cases() -> Vec<Case> {
    [broken_off(), chunks(), sizes(), of_errors()].into_iter().flatten().collect()
}

fn broken_off() -> Vec<Case> {
    let closed = |body| responds(CLOSE_DELIMITED).send(body).close();
    let drip = responds(CLOSE_DELIMITED).send_in_chunks(TOKENS, 1, DRIP);
    let broken_record = short("200 OK", TOKENS).send_below_tls(BROKEN_RECORD);
    vec![
        case("body-stalls", UNKNOWN, short("200 OK", HALF)).waits(),
        case("body-drip", UNKNOWN, drip).waits(),
        case("close-delimited-cut", MALFORMED_OR_UNKNOWN, closed(HALF)),
        case("close-delimited-empty", MALFORMED, closed("")),
        whole("body-empty", MALFORMED, response("200 OK", JSON, "")),
        whole("body-empty-chunked", MALFORMED, [CHUNKED, "0\r\n\r\n"].concat()),
        // The delivery breaks off after a complete object: nothing that could follow changes its
        // meaning.
        case("close-delimited", OK, closed(TOKENS)),
        case("complete-object-then-drip", OK, short("200 OK", TOKENS).repeat(" ", DRIP)).waits(),
        case("complete-object-then-silence", OK, short("200 OK", TOKENS)).waits(),
        Case::new("complete-object-then-any-fault", OK, |v| broken_after(&object(v), false)),
        Case::new("complete-object-then-any-fault-over-tls", OK, |v| {
            broken_after(&object(v), true)
        })
        .over_tls(),
        Case::new("object-cut-by-any-fault", UNKNOWN, |v| broken_after(&almost(v), false)),
        Case::new("object-cut-by-any-fault-over-tls", UNKNOWN, |v| broken_after(&almost(v), true))
            .over_tls(),
        sized("complete-object-then-half-an-end", OK, |values| {
            chunked(&[&chunk("", &object(values)), b"0\r\n"]).close()
        }),
        case("complete-object-then-broken-record", OK_OR_UNKNOWN, broken_record).over_tls(),
        sized("bytes-after-the-body", OK, |values| {
            let response = values.render(tokens().as_bytes());
            responds([&response[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat())
        }),
    ]
}

fn chunks() -> Vec<Case> {
    let garbage = |name, chunks: &str| whole(name, UNKNOWN, [CHUNKED, chunks].concat());
    let extension = endless([CHUNKED, "1;"].concat(), "x");
    vec![
        sized("chunked", OK, |values| {
            let object = object(values);
            let pieces: Vec<_> = object.chunks(7).map(|piece| chunk(";x=y", piece)).collect();
            chunked(&[&pieces.concat(), b"0\r\nX: longer than any size\r\n\r\n"])
        }),
        garbage("chunk-size-garbage", "zz\r\n{\r\n0\r\n\r\n"),
        garbage("chunk-size-overflow", "10000000000000002\r\n{\r\n0\r\n\r\n"),
        garbage("chunk-without-line-end", "1\r\n{0\r\n\r\n"),
        case("chunked-drip", UNKNOWN, responds(CHUNKED).repeat("1\r\n \r\n", DRIP)).waits(),
        case("chunk-extension-endless", UNKNOWN_OR_TOO_LARGE, extension),
        sized("trailers-endless", OK_OR_UNKNOWN, |values| {
            let chunks = [CHUNKED.as_bytes(), &chunk("", &object(values)), b"0\r\n"];
            endless(chunks.concat(), "X: x\r\n")
        })
        .waits(),
    ]
}

fn sizes() -> Vec<Case> {
    let declared = |zeros| tokens().replace("{length}", &["1", &"0".repeat(zeros)].concat());
    let of_a_gib = tokens().replace("{length}", "1073741824");
    let spaces = String::from_utf8_lossy(&chunk("", &[b' '; 4096])).into_owned();
    let coded = |coding, body: &[u8]| {
        let headers = format!("{JSON}Content-Encoding: {coding}\r\n");
        [response("200 OK", &headers, "").as_bytes(), body].concat()
    };
    let bomb = [COMPRESSIBLE, &" ".repeat(8 * 1024 * 1024)].concat();
    vec![
        whole("content-length-10^12", TOO_LARGE, declared(12)),
        whole("content-length-10^30", UNKNOWN_OR_TOO_LARGE, declared(30)),
        case("1-gib-of-spaces", TOO_LARGE, endless(of_a_gib, " ")),
        case("endless-body", TOO_LARGE, endless(CLOSE_DELIMITED, " ")),
        case("endless-body-over-tls", TOO_LARGE, endless(CLOSE_DELIMITED, " ")).over_tls(),
        case("endless-chunks", TOO_LARGE, endless(CHUNKED, &spaces)),
        sized("body-of-the-limit", OK, |values| padded(BODY_LIMIT, values)),
        sized("body-above-the-limit", TOO_LARGE, |values| padded(BODY_LIMIT + 1, values)),
        whole("gzip", MALFORMED, coded("gzip", &gzip(COMPRESSIBLE))),
        whole("gzip-bomb", MALFORMED, coded("gzip", &gzip(&bomb))),
        whole("gzip-only-declared", MALFORMED, coded("gzip", TOKENS.as_bytes())),
        whole("content-encoding-identity", OK, coded("identity", TOKENS.as_bytes())),
    ]
}

/// An error status is enough, whatever happens to the body.
fn of_errors() -> Vec<Case> {
    let unbounded = |status, header| endless(format!("HTTP/1.1 {status}\r\n{header}\r\n"), " ");
    let huge = response("500", "", "").replace("{length}", "1000000000000");
    let location = "Location: {trap}/oauth/token\r\n";
    vec![
        case("body-of-400-cut", REJECTED, short("400", "<html>").close()),
        case("body-of-400-reset", REJECTED, short("400", "<html>").reset()),
        case("body-of-400-stalls", REJECTED, short("400", "<html>")).waits(),
        case("body-of-429-stalls", THROTTLED, short("429", "<html>")).waits(),
        whole("body-of-500-declared-10^12", SERVER_FAULT, huge),
        case("body-of-503-endless", SERVER_FAULT, unbounded("503", "")),
        case("body-of-307-endless", REDIRECT, unbounded("307", location)),
    ]
}
