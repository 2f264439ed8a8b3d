//! The request is sent, at least in part, and no response to it follows.

use std::time::Duration;

use super::{
    Case, DRIP, Group, OK, OK_OR_UNKNOWN, Outcome, REJECTED, REJECTED_OR_UNKNOWN, Script, UNKNOWN,
    UNKNOWN_OR_NOT_SENT, request, responds, response, tokens,
};
use crate::fault::case::Kind;

/// A response that was not requested, with the tokens of another user.
const UNSOLICITED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                           Content-Length: {length}\r\n\r\n{\"access_token\":\"another's\"}";

const CODES: &[Kind] = &[Kind::Generate, Kind::Generate];
const REFRESH: &[Kind] = &[Kind::Refresh, Kind::Refresh];

/// The idle timeout of a server's pooled connections, and a longer pause of the client.
const IDLE_TIMEOUT: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_millis(300);

pub(super) fn cases() -> Vec<Case> {
    [single(), early_responses(), sequences()].concat()
}

fn case(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    Case::new(Group::Exchange, name, expected, [script])
}

fn exchange() -> Script {
    responds(tokens())
}

fn single() -> Vec<Case> {
    let slowly = Script::new().read(1).read(1).read_request();
    let slowly = slowly.send_in_chunks(tokens(), 64, DRIP / 25);
    let mid_request = || Script::new().read(20).reset();
    vec![
        case("ordinary", OK, exchange()),
        case("ordinary-slowly", OK, slowly),
        case("ordinary-over-tls", OK, exchange().close()).over_tls(),
        case("ordinary-without-close-notify", OK, exchange().fin()).over_tls(),
        case("fin-on-accept", UNKNOWN_OR_NOT_SENT, Script::new().fin()),
        case("reset-on-accept", UNKNOWN_OR_NOT_SENT, Script::new().reset()),
        case("reset-in-the-request-head", UNKNOWN, mid_request()),
        case("reset-in-the-request-body", UNKNOWN, Script::new().read_head().reset()),
        case("reset-in-the-request-over-tls", UNKNOWN, mid_request()).over_tls(),
        case("fin-before-the-head", UNKNOWN, request().fin()),
        case("reset-before-the-head", UNKNOWN, request().reset()),
        case("silence", UNKNOWN, request()).waits(),
        case("silence-over-tls", UNKNOWN, request()).over_tls().waits(),
        case("caller-gives-up", UNKNOWN, request()).waits().gives_up(),
    ]
}

fn early_responses() -> Vec<Case> {
    let rejection = response("400 Bad Request", "Connection: close\r\n", "");
    let after_head = Script::new().read_head().send(rejection.clone());
    let after_method = Script::new().read(5).send(rejection);
    vec![
        case("early-400-before-the-body-is-read", REJECTED, after_head.close()),
        case("early-400-before-the-head-is-read", REJECTED, after_method.clone().close()),
        case("early-400-then-reset", REJECTED_OR_UNKNOWN, after_method.reset()),
    ]
}

/// Two calls by one client. A code never reuses the connection of the first call. A refresh may,
/// and is sent once more on a new connection if the pooled one was closed.
fn sequences() -> Vec<Case> {
    let pair = |name, expected, calls, first| {
        Case::new(Group::Exchange, name, expected, [first, exchange()]).calls(calls)
    };
    let closed = || exchange().close();
    let times_out = || exchange().pause(IDLE_TIMEOUT).close();
    let again = || exchange().read_request();
    let fin_after_request = || again().fin();
    let refreshes = |name, expected, first| pair(name, expected, REFRESH, first);
    let pooled = |name, expected, scripts: [Script; 2]| {
        Case::new(Group::Exchange, name, expected, scripts).calls(REFRESH)
    };
    // In one write: a later one could not be told from the response to the next request.
    let unsolicited = |case: Case| {
        case.varies(|n, values| {
            let both = [tokens(), UNSOLICITED.into()].map(|text| values.render(text.as_bytes()));
            (n == 0).then(|| vec![responds(both.concat()), exchange()])
        })
    };
    vec![
        pair("pooled-connection-closed-code", OK, CODES, closed()),
        pair("pooled-connection-reset-code", OK, CODES, exchange().reset()),
        pair("pooled-connection-timed-out-code", OK, CODES, times_out()).idle(IDLE),
        pair("pooled-connection-closed-refresh", OK, REFRESH, closed()),
        pair("pooled-connection-reset-refresh", OK, REFRESH, exchange().reset()),
        pair("pooled-connection-timed-out-refresh", OK, REFRESH, times_out()).idle(IDLE),
        pair("pooled-connection-fin-after-code", OK, CODES, fin_after_request()),
        pair("pooled-connection-fin-after-refresh", OK, REFRESH, fin_after_request()),
        Case::new(
            Group::Exchange,
            "second-connection-fin-after-code",
            UNKNOWN,
            [exchange(), request().fin()],
        )
        .calls(CODES),
        refreshes("pooled-connection-reused", OK, again().send(tokens())),
        refreshes("pooled-connection-fin-over-tls", OK, again().close()).over_tls(),
        refreshes("pooled-connection-reset-after-refresh", OK, again().reset()),
        refreshes("pooled-connection-reset-over-tls", OK, again().reset()).over_tls(),
        // The server has begun to respond, so the request is not sent again.
        refreshes("pooled-connection-head-cut", UNKNOWN, again().send("H").close()),
        refreshes("pooled-connection-silence", UNKNOWN, again()).waits(),
        pooled(
            "every-connection-fin-after-refresh",
            UNKNOWN,
            [fin_after_request(), request().fin()],
        ),
        // The second attempt fails in the handshake, but the first was sent.
        pooled(
            "pooled-connection-fin-then-no-other",
            UNKNOWN,
            [again().close(), Script::new().without_tls().reset()],
        )
        .over_tls(),
        pooled("new-connection-fin-after-refresh", UNKNOWN, [request().fin(), exchange()])
            .calls(&[Kind::Refresh]),
        unsolicited(pair("unsolicited-response-code", OK, CODES, closed())),
        unsolicited(pair("unsolicited-response-refresh", OK_OR_UNKNOWN, REFRESH, closed())),
    ]
}
