//! The head of the response is broken, endless, or only unusual.

use std::time::Duration;

use super::{
    Case, DRIP, JSON, MALFORMED_OR_UNKNOWN, OK, OK_OR_UNKNOWN, PACE, TOKENS, UNKNOWN, case,
    request, responds, response, tokens, whole,
};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                         Upgrade: websocket\r\n\r\n";

const KIB: usize = 1024;
const SECOND: Duration = Duration::from_secs(1);

/// An ordinary response with more headers.
fn with(headers: &str) -> String {
    response("200 OK", &[JSON, headers].concat(), TOKENS)
}

pub(super) fn cases() -> Vec<Case> {
    let begun = |start: &str| responds(format!("HTTP/1.1 200 OK\r\n{start}"));
    let drip = |pause| request().send_in_chunks(tokens(), 1, pause);
    let endless = |interim: &str| request().repeat(interim, PACE);
    // `Content-Type` and `Content-Length` are two more.
    let lines = |count: usize| with(&"X: x\r\n".repeat(count - 2));
    let long = |bytes| with(&format!("X: {}\r\n", "x".repeat(bytes)));
    let length = |length| tokens().replace("{length}", length);
    let other = |bytes: &[u8]| responds(bytes).close();
    let after = |interim: &str| [interim, &tokens()].concat();
    let with_header = CONTINUE.replace("\r\n\r\n", "\r\nX: x\r\n\r\n");
    let http_1_0 = || responds(format!("HTTP/1.0 200 OK\r\n{JSON}\r\n{TOKENS}"));
    vec![
        case("head-cut", UNKNOWN, begun("Content-Ty").close()),
        case("head-reset", UNKNOWN, begun("Content-Ty").reset()),
        case("head-stalls", UNKNOWN, begun("Content-Ty")).waits(),
        case("head-one-byte-a-second", UNKNOWN, drip(SECOND)).waits(),
        // Faster than any timeout of a single read.
        case("head-drip", UNKNOWN, drip(DRIP)).waits(),
        case("endless-100", UNKNOWN, endless(&CONTINUE.repeat(16))).waits(),
        case("endless-103", UNKNOWN, endless(EARLY_HINTS)).waits(),
        whole("100-headers", OK, lines(100)),
        whole("101-headers", UNKNOWN, lines(101)),
        whole("200-headers", UNKNOWN, lines(200)),
        whole("head-of-16000-bytes", OK, long(15_900)),
        whole("head-of-17000-bytes", UNKNOWN, long(16_900)),
        whole("head-of-600-kib", UNKNOWN, long(600 * KIB)),
        case("endless-header", UNKNOWN, begun("X: ").repeat("x".repeat(16 * KIB), PACE)),
        case("endless-headers", UNKNOWN, begun("").repeat("X: x\r\n".repeat(KIB), PACE)),
        whole("obs-fold", UNKNOWN, with("X: a\r\n b\r\n")),
        whole("nul-in-a-header", UNKNOWN, with("X: {access_token}\0\r\n")),
        // RFC 9112 §5.1 lets a proxy remove a space before the colon, and says nothing of clients.
        whole("space-before-a-colon", OK_OR_UNKNOWN, with("X : a\r\n")),
        whole("content-length-conflict", UNKNOWN, with("Content-Length: 5\r\n")),
        whole("content-length-negative", UNKNOWN, length("-{length}")),
        whole("content-length-hexadecimal", UNKNOWN, length("0x{length}")),
        whole("status-099", UNKNOWN, response("099 Odd", JSON, TOKENS)),
        whole("status-of-two-digits", UNKNOWN, response("20 OK", JSON, TOKENS)),
        case("http-0.9", UNKNOWN, other(TOKENS.as_bytes())),
        case("another-protocol", UNKNOWN, other(b"SSH-2.0-OpenSSH_9.9\r\n")),
        case("binary", UNKNOWN, other(b"\xff\0\r\n\r\n")),
        whole("switching-protocols", MALFORMED_OR_UNKNOWN, SWITCHING),
        whole("status-999", MALFORMED_OR_UNKNOWN, response("999 Odd", JSON, TOKENS)),
        whole("interim-100", OK, after(CONTINUE)),
        whole("interim-100-with-headers", OK, after(&with_header)),
        whole("interim-103", OK, after(EARLY_HINTS)),
        whole("interim-several", OK, after(&EARLY_HINTS.repeat(3))),
        case("http-1.0-close-delimited", OK, http_1_0().close()),
        case("http-1.0-without-close-notify", OK, http_1_0().fin()).over_tls(),
        whole("line-feeds-alone", OK, tokens().replace("\r\n", "\n")),
        case("connection-close", OK, responds(with("Connection: close\r\n")).close()),
        whole("no-reason-phrase", OK, response("200", JSON, TOKENS)),
        whole("header-names-in-capitals", OK, tokens().replace("Content-", "CONTENT-")),
    ]
}
