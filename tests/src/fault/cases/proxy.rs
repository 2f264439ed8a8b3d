//! The request goes through a proxy, which opens a tunnel or does not. The server behind it must not
//! be called directly.

use std::time::Duration;

use super::{Case, DRIP, Group, NOT_SENT, OK, OK_OR_LOST, Outcome, PACE, Script, tokens};
use crate::fault::case::Origin;

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

pub(super) fn cases() -> Vec<Case> {
    [tunnels(), failures(), silence()].concat()
}

fn case(name: &'static str, uri: &'static str, expected: &'static [Outcome], s: Script) -> Case {
    let case = Case::new(Group::Proxy, name, expected, [s]);
    case.at(Origin::Proxy(uri)).with_trap()
}

/// A proxy that has read a request for a tunnel.
fn asked() -> Script {
    Script::new().without_tls().read_request().expect(CONNECT)
}

/// A server behind a proxy that has opened a tunnel.
fn behind(proxy: Script) -> Script {
    proxy.start_tls().read_request().send(tokens())
}

/// The same, which dies after the nth step.
fn dying(n: usize) -> Script {
    behind(asked().send(CONNECTED).dies_after(n * STEP))
}

/// A SOCKS 5 proxy (RFC 1928), with user name and password if they are expected (RFC 1929).
fn socks(credentials: bool) -> Script {
    let greeted = Script::new().without_tls().read_some();
    let authenticated = if credentials {
        let asked = greeted.send([5, 2]).read_some();
        asked.expect(SOCKS_CREDENTIALS).send([1, 0])
    } else {
        greeted.send([5, 0])
    };
    let connected = authenticated.read_some().expect([5, 1, 0]);
    connected.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
}

fn tunnels() -> Vec<Case> {
    let tunnel = |name, uri, script| case(name, uri, OK, behind(script));
    let in_tls = Script::new().read_request().expect(CONNECT);
    let authenticated = asked().expect(CREDENTIALS).send(CONNECTED);
    let socks_user = "socks5://user:p%40ss@";
    vec![
        tunnel("proxy-http", "http://", asked().send(CONNECTED)),
        tunnel("proxy-https", "https://", in_tls.send(CONNECTED)),
        tunnel("proxy-credentials", "http://user:p%40ss@", authenticated),
        tunnel("proxy-socks5", "socks5://", socks(false)),
        tunnel("proxy-socks5h", "socks5h://", socks(false)),
        tunnel("proxy-socks5-credentials", socks_user, socks(true)),
        case("proxy-dies-at-every-byte", "http://", OK_OR_LOST, dying(0))
            .varies(|n, _| (n * STEP < MAX_TRANSFER).then(|| vec![dying(n)])),
    ]
}

fn failures() -> Vec<Case> {
    let fails = |name, uri, script| case(name, uri, NOT_SENT, script);
    let sends = |name, head: &str| fails(name, "http://", asked().send(head).close());
    let endless = |name, start: &str, rest: &str| {
        let script = asked().send(start).repeat(rest.repeat(64), PACE);
        fails(name, "http://", script)
    };
    let refused = |name, uri| fails(name, uri, Script::new()).at(Origin::ProxyRefused(uri));
    let greeted = || Script::new().without_tls().read_some();
    let wrong = greeted().send([5, 2]).read_some().send([1, 1]).close();
    let no_method = greeted().send([5, 0xff]).close();
    let in_tls = Script::new().read_request();
    // To a loopback host, which is another host to the proxy.
    let plain = Script::new().read_request().send(CONNECTED);
    let plain = plain.read_request().send(tokens());
    vec![
        sends("proxy-407", UNAUTHORIZED),
        sends("proxy-502", "HTTP/1.0 502 Bad Gateway\r\n\r\n"),
        sends("proxy-another-protocol", "220 smtp.example.com\r\n\r\n"),
        sends("proxy-head-cut", "HTTP/1.1 200 Conn"),
        sends("proxy-fin", ""),
        fails("proxy-reset", "http://", asked().reset()),
        fails("proxy-https-reset", "https://", in_tls.reset()),
        endless("proxy-endless-head", "HTTP/1.1 200 OK\r\n", "X: x\r\n"),
        endless("proxy-endless-100", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        fails("proxy-socks5-no-method", "socks5://", no_method),
        fails("proxy-socks5-wrong-user", "socks5://user:word@", wrong),
        refused("proxy-refused", "http://"),
        refused("proxy-https-refused", "https://"),
        refused("proxy-socks5-refused", "socks5://"),
        fails("proxy-plain-http", "", plain).at(Origin::ProxyToHttp),
    ]
}

fn silence() -> Vec<Case> {
    let late = |name, uri, script| {
        let case = case(name, uri, NOT_SENT, script).waits();
        case.says("connecting took longer than 1s")
    };
    let drip = asked().send_in_chunks(CONNECTED.repeat(9), 1, DRIP);
    let silent = || Script::new().without_tls().pause(Duration::from_secs(9));
    vec![
        late("proxy-silence", "http://", asked()),
        late("proxy-https-silence", "https://", silent()),
        late("proxy-tunnel-silence", "http://", asked().send(CONNECTED)),
        late("proxy-socks5-silence", "socks5://", silent()),
        late("proxy-drip", "http://", drip),
    ]
}
