//! The request goes out, at least in part, and what then happens is no answer to it.

use super::{
    Case, DRIP, Group, OK, Outcome, REJECTED, Script, UNKNOWN, UNKNOWN_OR_NOT_SENT, honest,
    response,
};
use crate::{
    fault::case::{Kind, Origin},
    tls::Leaf,
};

const REJECTED_OR_UNKNOWN: &[Outcome] = &[Outcome::Rejected, Outcome::Unknown];

/// A refresh may ride on a kept connection, and then its fate is that connection's.
const OK_OR_LOST: &[Outcome] = &[Outcome::Ok, Outcome::Unknown, Outcome::NotSent];

/// An answer that nobody asked for, with tokens of somebody else.
const OF_ANOTHER_CALL: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                               Content-Length: {length}\r\n\r\n{\"access_token\":\"another's\"}";

pub(super) fn cases() -> Vec<Case> {
    [single(), early_answers(), sequences()].concat()
}

fn case(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    Case::new(Group::Exchange, name, expected).plays([script])
}

fn over_tls(name: &'static str, expected: &'static [Outcome], script: Script) -> Case {
    case(name, expected, script).at(Origin::Https(Leaf::Valid))
}

fn request() -> Script {
    Script::new().read_request()
}

fn exchange() -> Script {
    request().send(honest())
}

fn single() -> Vec<Case> {
    let slowly = Script::new().read(1).read(1).read_request();
    let mid_request = || Script::new().read(20).reset();
    vec![
        case("honest", OK, exchange()),
        case(
            "honest-slowly",
            OK,
            slowly.send_in_chunks(honest(), 64, DRIP / 25),
        ),
        over_tls("honest-over-tls", OK, exchange().close()),
        over_tls("honest-over-tls-without-close-notify", OK, exchange().fin()),
        case("fin-on-accept", UNKNOWN_OR_NOT_SENT, Script::new().fin()),
        case(
            "reset-on-accept",
            UNKNOWN_OR_NOT_SENT,
            Script::new().reset(),
        ),
        case("reset-in-the-request-head", UNKNOWN, mid_request()),
        case(
            "reset-in-the-request-body",
            UNKNOWN,
            Script::new().read_head().reset(),
        ),
        over_tls("reset-in-the-request-over-tls", UNKNOWN, mid_request()),
        case("fin-before-the-head", UNKNOWN, request().fin()),
        case("reset-before-the-head", UNKNOWN, request().reset()),
        case("silence", UNKNOWN, request()).waits(),
        over_tls("silence-over-tls", UNKNOWN, request()).waits(),
        case("caller-gives-up", UNKNOWN, request())
            .waits()
            .gives_up(),
    ]
}

fn early_answers() -> Vec<Case> {
    let answer = response("400 Bad Request", "Connection: close\r\n", "");
    let after_head = Script::new().read_head().send(answer.clone());
    let after_method = Script::new().read(5).send(answer);
    vec![
        case(
            "early-400-before-the-body-is-read",
            REJECTED,
            after_head.close(),
        ),
        case(
            "early-400-before-the-head-is-read",
            REJECTED,
            after_method.clone().close(),
        ),
        case(
            "early-400-then-reset",
            REJECTED_OR_UNKNOWN,
            after_method.reset(),
        ),
    ]
}

/// Two calls by one client. A code does not ride on the connection that the first call left; what
/// a refresh does is the transport's choice.
fn sequences() -> Vec<Case> {
    let code = |name, expected, scripts: [Script; 2]| {
        Case::new(Group::Exchange, name, expected)
            .calls(&[Kind::Generate, Kind::Generate])
            .plays(scripts)
    };
    let refresh = |name, expected, scripts| {
        code(name, expected, scripts).calls(&[Kind::Generate, Kind::Refresh])
    };
    let stale = || [exchange().close(), exchange()];
    let dying = || [exchange().read_request().fin(), request().fin()];
    // In one write: what came after the request was sent could not be told from its answer.
    let talkative = |case: Case| {
        case.varies(|n, values| {
            let answer = values.render(honest().as_bytes());
            let both = [answer, values.render(OF_ANOTHER_CALL.as_bytes())].concat();
            (n == 0).then(|| vec![request().send(both), exchange()])
        })
    };
    vec![
        code("stale-kept-connection", OK, stale()),
        code(
            "stale-kept-connection-reset",
            OK,
            [exchange().reset(), exchange()],
        ),
        refresh("stale-kept-connection-refresh", OK_OR_LOST, stale()),
        code("kept-connection-fin-after-request", UNKNOWN, dying()),
        refresh("kept-connection-fin-after-refresh", UNKNOWN, dying()),
        talkative(code("kept-connection-answers-unasked", OK, stale())),
        talkative(refresh(
            "kept-connection-answers-refresh-unasked",
            OK_OR_LOST,
            stale(),
        )),
    ]
}
