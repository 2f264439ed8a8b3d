//! No connection is established, so nothing of the request is sent.

use super::{Case, NOT_SENT, Script, case, request};
use crate::{
    fault::{Origin, Resolution},
    tls::Leaf,
};

/// The alert `handshake_failure` of TLS (RFC 8446 §6).
const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n\
                          Client sent an HTTP request to an HTTPS server.\n";

pub(super) fn cases() -> Vec<Case> {
    let at = |name, origin| case(name, NOT_SENT, Script::new()).at(origin);
    // A peer that accepts the request anyway: what it receives is counted.
    let accepts = |name, origin| case(name, NOT_SENT, request().fin()).at(origin);
    let handshake = |name, script| case(name, NOT_SENT, script).at(Origin::HttpsWithoutTls);
    let hello = || Script::new().read(1);
    vec![
        at("refused", Origin::Refused),
        at("name-not-found", Origin::Unresolved(Resolution::NotFound)),
        at("resolver-hangs", Origin::Unresolved(Resolution::Hangs)).waits(),
        at("syn-black-hole", Origin::BlackHole).waits(),
        accepts("http-to-another-host", Origin::NotLoopback),
        accepts("localhost-of-another-host", Origin::Localhost),
        at("certificate-untrusted", Origin::HttpsUntrusted),
        at("certificate-expired", Origin::Https(Leaf::Expired)),
        at("certificate-of-another-host", Origin::Https(Leaf::OtherHost)),
        handshake("plain-text-on-the-tls-port", hello().send(PLAIN_HTTP).close()),
        handshake("tls-silence", Script::new()).waits(),
        handshake("tls-fin", hello().fin()),
        handshake("tls-reset", hello().reset()),
        handshake("tls-alert", hello().send(HANDSHAKE_FAILURE.to_vec()).close()),
    ]
}
