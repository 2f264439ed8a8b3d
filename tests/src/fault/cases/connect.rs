//! No connection is established, so nothing of the request is sent.

use super::{Case, Group, NOT_SENT, Script};
use crate::{
    fault::case::{Origin, Resolution},
    tls::Leaf,
};

/// The alert `handshake_failure` of TLS (RFC 8446 §6).
const HANDSHAKE_FAILURE: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

const PLAIN_HTTP: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n\
                          Client sent an HTTP request to an HTTPS server.\n";

pub(super) fn cases() -> Vec<Case> {
    let case = |name, origin| Case::new(Group::Connect, name, NOT_SENT, []).at(origin);
    // A peer that accepts the request anyway: what it receives is counted.
    let peer =
        |name, origin, script| Case::new(Group::Connect, name, NOT_SENT, [script]).at(origin);
    let certificate = |name, origin| peer(name, origin, Script::new());
    let handshake = |name, script| peer(name, Origin::HttpsWithoutTls, script);
    let hello = || Script::new().read(1);
    vec![
        case("refused", Origin::Refused),
        case("name-not-found", Origin::Unresolved(Resolution::NotFound)),
        case("resolver-hangs", Origin::Unresolved(Resolution::Hangs)).waits(),
        case("syn-black-hole", Origin::BlackHole).waits(),
        peer("http-to-another-host", Origin::NotLoopback, Script::new().read_request().fin()),
        peer("localhost-of-another-host", Origin::Localhost, Script::new().read_request().fin()),
        certificate("certificate-untrusted", Origin::HttpsUntrusted),
        certificate("certificate-expired", Origin::Https(Leaf::Expired)),
        certificate("certificate-of-another-host", Origin::Https(Leaf::OtherHost)),
        handshake("plain-text-on-the-tls-port", hello().send(PLAIN_HTTP).close()),
        handshake("tls-silence", Script::new()).waits(),
        handshake("tls-fin", hello().fin()),
        handshake("tls-reset", hello().reset()),
        handshake("tls-alert", hello().send(HANDSHAKE_FAILURE.to_vec()).close()),
    ]
}
