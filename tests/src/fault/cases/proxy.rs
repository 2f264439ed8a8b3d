//! The request goes through a proxy, which opens a tunnel or does not. The server behind it must not
//! be called directly.

use std::time::Duration;

use super::{Case, DRIP, NOT_SENT, OK, OK_OR_LOST, Outcome, PACE, Script, case, tokens};
use crate::fault::Origin;

const CONNECT: &str = "CONNECT {target} HTTP/1.1\r\n";
const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";

const UNAUTHORIZED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                            Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";

/// Of the user `user` with the password `p@ss`.
const CREDENTIALS: &str = "\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n";
const SOCKS_CREDENTIALS: &[u8] = b"\x01\x04user\x04p@ss";

/// How many bytes an ordinary exchange through a tunnel transfers at most, and the step in which
/// they are counted.
const MAX_TRANSFER: usize = 8000;
const STEP: usize = 61;

/// A proxy that has read a request for a tunnel.
fn asked() -> Script {
    Script::new().without_tls().read_request().expect(CONNECT)
}

/// A server behind a proxy that has opened a tunnel.
fn behind(proxy: Script) -> Script {
    proxy.start_tls().read_request().send(tokens())
}

/// A SOCKS 5 proxy (RFC 1928) that has read the greeting.
fn greeted() -> Script {
    Script::new().without_tls().read_some()
}

/// The same, which reads a request for a tunnel and opens it.
fn connected(greeted: Script) -> Script {
    let asked = greeted.read_some().expect([5, 1, 0]);
    asked.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
}

pub(super) fn cases() -> Vec<Case> {
    let through = |name, uri, expected: &'static [Outcome], script: Script| {
        case(name, expected, script).at(Origin::Proxy(uri))
    };
    let tunnel = |name, uri, proxy| through(name, uri, OK, behind(proxy));
    let fails = |name, uri, script| through(name, uri, NOT_SENT, script);
    let sends = |name, head: &str| fails(name, "http://", asked().send(head).close());
    let refused = |name, uri| case(name, NOT_SENT, Script::new()).at(Origin::ProxyRefused(uri));
    let late =
        |name, uri, script| fails(name, uri, script).waits().says("connecting took longer than 1s");
    let in_tls = || Script::new().read_request();
    let socks = connected(greeted().send([5, 0]));
    // With user name and password (RFC 1929).
    let asks_password = greeted().send([5, 2]).read_some();
    let authenticated = asks_password.clone().expect(SOCKS_CREDENTIALS).send([1, 0]);
    let endless_head = asked().send("HTTP/1.1 200 OK\r\n").repeat("X: x\r\n".repeat(64), PACE);
    let endless_100 = asked().repeat("HTTP/1.1 100 Continue\r\n\r\n".repeat(64), PACE);
    let silent = || Script::new().without_tls().pause(Duration::from_secs(9));
    let drip = asked().send_in_chunks(CONNECTED.repeat(9), 1, DRIP);
    // To a loopback host, which is another host to the proxy.
    let plain = in_tls().send(CONNECTED).read_request().send(tokens());
    vec![
        tunnel("proxy-http", "http://", asked().send(CONNECTED)),
        tunnel("proxy-https", "https://", in_tls().expect(CONNECT).send(CONNECTED)),
        tunnel(
            "proxy-credentials",
            "http://user:p%40ss@",
            asked().expect(CREDENTIALS).send(CONNECTED),
        ),
        tunnel("proxy-socks5", "socks5://", socks.clone()),
        tunnel("proxy-socks5h", "socks5h://", socks),
        tunnel("proxy-socks5-credentials", "socks5://user:p%40ss@", connected(authenticated)),
        Case::new("proxy-dies-at-every-byte", OK_OR_LOST, |_| {
            let dies = |bytes| behind(asked().send(CONNECTED)).dies_after(bytes);
            (0..MAX_TRANSFER).step_by(STEP).map(dies).collect()
        })
        .at(Origin::Proxy("http://")),
        sends("proxy-407", UNAUTHORIZED),
        sends("proxy-502", "HTTP/1.0 502 Bad Gateway\r\n\r\n"),
        sends("proxy-another-protocol", "220 smtp.example.com\r\n\r\n"),
        sends("proxy-head-cut", "HTTP/1.1 200 Conn"),
        sends("proxy-fin", ""),
        fails("proxy-reset", "http://", asked().reset()),
        fails("proxy-https-reset", "https://", in_tls().reset()),
        fails("proxy-endless-head", "http://", endless_head),
        fails("proxy-endless-100", "http://", endless_100),
        fails("proxy-socks5-no-method", "socks5://", greeted().send([5, 0xff]).close()),
        fails("proxy-socks5-wrong-user", "socks5://user:word@", asks_password.send([1, 1]).close()),
        refused("proxy-refused", "http://"),
        refused("proxy-https-refused", "https://"),
        refused("proxy-socks5-refused", "socks5://"),
        case("proxy-plain-http", NOT_SENT, plain)
            .at(Origin::ProxyToHttp)
            .says("the URI is neither https nor http to a loopback host"),
        late("proxy-silence", "http://", asked()),
        late("proxy-https-silence", "https://", silent()),
        late("proxy-tunnel-silence", "http://", asked().send(CONNECTED)),
        late("proxy-socks5-silence", "socks5://", silent()),
        late("proxy-drip", "http://", drip),
    ]
}
