//! The head of the answer is broken, endless, or only unusual.

use std::time::Duration;

use super::{
    Case, DRIP, Group, JSON, MALFORMED_OR_UNKNOWN, OK, Outcome, PACE, Script, TOKENS, UNKNOWN,
    answered, honest, response,
};

/// RFC 9112 §5.1 lets a proxy remove a space before the colon, and says nothing of clients.
const OK_OR_UNKNOWN: &[Outcome] = &[Outcome::Ok, Outcome::Unknown];

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                         Upgrade: websocket\r\n\r\n";

pub(super) fn cases() -> Vec<Case> {
    [unfinished(), oversized(), broken(), unusual()].concat()
}

fn script(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    Case::new(Group::Head, name, expected).plays([script])
}

fn answer(name: &'static str, expected: &'static [Outcome], answer: String) -> Case {
    answered(Group::Head, name, answer, expected)
}

fn request() -> Script {
    Script::new().read_request()
}

/// An honest answer with more header lines.
fn with_header(header: &str) -> String {
    response("200 OK", &[JSON, header].concat(), TOKENS)
}

fn unfinished() -> Vec<Case> {
    let begun = || request().send("HTTP/1.1 200 OK\r\nContent-Ty");
    let drip = |pause| request().send_in_chunks(honest(), 1, pause);
    let endless = |interim: String| request().repeat(interim, PACE);
    vec![
        script("head-cut", UNKNOWN, begun().close()),
        script("head-reset", UNKNOWN, begun().reset()),
        script("head-stalls", UNKNOWN, begun()).waits(),
        script(
            "head-one-byte-a-second",
            UNKNOWN,
            drip(Duration::from_secs(1)),
        )
        .waits(),
        // Faster than any timeout for a single read.
        script("head-drip", UNKNOWN, drip(DRIP)).waits(),
        script("endless-100", UNKNOWN, endless(CONTINUE.repeat(16))).waits(),
        script("endless-103", UNKNOWN, endless(EARLY_HINTS.into())).waits(),
    ]
}

fn oversized() -> Vec<Case> {
    let begun = |line: &str| request().send(format!("HTTP/1.1 200 OK\r\n{line}"));
    let long_line = format!("X: {}\r\n", "x".repeat(600 * 1024));
    vec![
        answer(
            "200-header-lines",
            UNKNOWN,
            with_header(&"X: x\r\n".repeat(200)),
        ),
        answer("header-of-600-kb", UNKNOWN, with_header(&long_line)),
        script(
            "endless-header",
            UNKNOWN,
            begun("X: ").repeat("x".repeat(16 * 1024), PACE),
        ),
        script(
            "endless-headers",
            UNKNOWN,
            begun("").repeat("X: x\r\n".repeat(1024), PACE),
        ),
    ]
}

fn broken() -> Vec<Case> {
    let length = |length| honest().replace("{length}", length);
    let other = |bytes: &[u8]| request().send(bytes).close();
    vec![
        answer("obs-fold", UNKNOWN, with_header("X: a\r\n b\r\n")),
        answer(
            "nul-in-a-header",
            UNKNOWN,
            with_header("X: {access_token}\0\r\n"),
        ),
        answer(
            "space-before-a-colon",
            OK_OR_UNKNOWN,
            with_header("X : a\r\n"),
        ),
        answer(
            "content-length-conflict",
            UNKNOWN,
            with_header("Content-Length: 5\r\n"),
        ),
        answer("content-length-negative", UNKNOWN, length("-{length}")),
        answer("content-length-hexadecimal", UNKNOWN, length("0x{length}")),
        answer("status-099", UNKNOWN, response("099 Odd", JSON, TOKENS)),
        answer(
            "status-of-two-digits",
            UNKNOWN,
            response("20 OK", JSON, TOKENS),
        ),
        script("http-0.9", UNKNOWN, other(TOKENS.as_bytes())),
        script(
            "another-protocol",
            UNKNOWN,
            other(b"SSH-2.0-OpenSSH_9.9\r\n"),
        ),
        script("binary", UNKNOWN, other(b"\xff\0\r\n\r\n")),
        answer(
            "switching-protocols",
            MALFORMED_OR_UNKNOWN,
            SWITCHING.into(),
        ),
        answer(
            "status-999",
            MALFORMED_OR_UNKNOWN,
            response("999 Odd", JSON, TOKENS),
        ),
    ]
}

fn unusual() -> Vec<Case> {
    let after = |interim: &str| [interim, &honest()].concat();
    let with_headers = CONTINUE.replace("\r\n\r\n", "\r\nX: x\r\n\r\n");
    let http_1_0 = format!("HTTP/1.0 200 OK\r\n{JSON}\r\n{TOKENS}");
    let closing = with_header("Connection: close\r\n");
    vec![
        answer("interim-100", OK, after(CONTINUE)),
        answer("interim-100-with-headers", OK, after(&with_headers)),
        answer("interim-103", OK, after(EARLY_HINTS)),
        answer("interim-several", OK, after(&EARLY_HINTS.repeat(3))),
        script(
            "http-1.0-close-delimited",
            OK,
            request().send(http_1_0).close(),
        ),
        answer("line-feeds-alone", OK, honest().replace("\r\n", "\n")),
        script("connection-close", OK, request().send(closing).close()),
        answer("no-reason-phrase", OK, response("200", JSON, TOKENS)),
        answer(
            "header-names-in-capitals",
            OK,
            honest().replace("Content-", "CONTENT-"),
        ),
    ]
}
