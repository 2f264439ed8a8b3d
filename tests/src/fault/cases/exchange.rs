//! The request is sent, at least in part, and no response to it follows.

use std::time::Duration;

use super::{
    CODES, Case, DRIP, Kind, OK, OK_OR_UNKNOWN, REFRESHES, REJECTED, REJECTED_OR_UNKNOWN, Script,
    UNKNOWN, UNKNOWN_OR_NOT_SENT, Values, case, request, responds, response, sized, tokens,
};

/// A response that was not requested, with the tokens of another user.
const UNSOLICITED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                           Content-Length: {length}\r\n\r\n{\"access_token\":\"another's\"}";

/// The idle timeout of a server's pooled connections, and a longer pause of the client.
const IDLE_TIMEOUT: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_millis(300);

fn exchange() -> Script {
    responds(tokens())
}

/// In one write: a later one could not be told from the response to the next request.
fn unsolicited(values: &Values) -> Script {
    let both = [tokens(), UNSOLICITED.into()].map(|text| values.render(text.as_bytes()));
    responds(both.concat())
}

pub(super) fn cases() -> Vec<Case> {
    let slowly = Script::new().read(1).read(1).read_request();
    let slowly = slowly.send_in_chunks(tokens(), 64, DRIP / 25);
    let mid_request = || Script::new().read(20).reset();
    let rejection = response("400 Bad Request", "Connection: close\r\n", "");
    let after_head = Script::new().read_head().send(rejection.clone());
    let after_method = Script::new().read(5).send(rejection);
    // Two calls by one client. A code never reuses the connection of the first call. A refresh may,
    // and is sent once more on a new connection if the pooled one was closed.
    let codes = |name, expected, script| case(name, expected, script).calls(CODES);
    let refreshes = |name, expected, script| case(name, expected, script).calls(REFRESHES);
    let closed = || exchange().close();
    let times_out = || exchange().pause(IDLE_TIMEOUT).close();
    let again = || exchange().read_request();
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
        case("early-400-before-the-body-is-read", REJECTED, after_head.close()),
        case("early-400-before-the-head-is-read", REJECTED, after_method.clone().close()),
        case("early-400-then-reset", REJECTED_OR_UNKNOWN, after_method.reset()),
        codes("pooled-connection-closed-code", OK, closed()),
        codes("pooled-connection-reset-code", OK, exchange().reset()),
        codes("pooled-connection-timed-out-code", OK, times_out()).idle(IDLE),
        codes("pooled-connection-fin-after-code", OK, again().fin()),
        codes("second-connection-fin-after-code", UNKNOWN, exchange()).then(request().fin()),
        refreshes("pooled-connection-closed-refresh", OK, closed()),
        refreshes("pooled-connection-reset-refresh", OK, exchange().reset()),
        refreshes("pooled-connection-timed-out-refresh", OK, times_out()).idle(IDLE),
        refreshes("pooled-connection-reused", OK, again().send(tokens())),
        refreshes("pooled-connection-fin-after-refresh", OK, again().fin()),
        refreshes("pooled-connection-fin-over-tls", OK, again().close()).over_tls(),
        refreshes("pooled-connection-reset-after-refresh", OK, again().reset()),
        refreshes("pooled-connection-reset-over-tls", OK, again().reset()).over_tls(),
        // The server has begun to respond, so the request is not sent again.
        refreshes("pooled-connection-head-cut", UNKNOWN, again().send("H").close()),
        refreshes("pooled-connection-silence", UNKNOWN, again()).waits(),
        refreshes("every-connection-fin-after-refresh", UNKNOWN, again().fin())
            .then(request().fin()),
        // The second attempt fails in the handshake, but the first was sent.
        refreshes("pooled-connection-fin-then-no-other", UNKNOWN, again().close())
            .over_tls()
            .then(Script::new().without_tls().reset()),
        case("new-connection-fin-after-refresh", UNKNOWN, request().fin())
            .calls(&[Kind::Refresh])
            .then(exchange()),
        sized("unsolicited-response-code", OK, unsolicited).calls(CODES),
        sized("unsolicited-response-refresh", OK_OR_UNKNOWN, unsolicited).calls(REFRESHES),
    ]
}
