//! Two thousand codes through each adapter, 64 at a time, against a server that closes connections
//! at pseudo-random moments: no code is sent twice or on a pooled connection, and every failure
//! states correctly what is known about its request.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::clients::{Client, Settings};
use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{CLIENT_SECRET, app_at, code_of, ok},
};
use dropbox_sign_oauth_ureq::{CallError, Token, TokenResponse};
use serde_json::Value;

const EXCHANGES: usize = 2_000;
const CONCURRENCY: usize = 64;

/// Longer than any call takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// How many exchanges there are for each refresh. The refreshes leave pooled connections.
const REFRESH_EVERY: usize = 4;
const REFRESHES: usize = EXCHANGES / REFRESH_EVERY;

/// How the peer treats the connection of this number: the same in every run.
fn script(connection: usize) -> Script {
    let request = || Script::new().read_request();
    let script = match random(connection, "close") % 12 {
        // Closes a connection that was opened ahead, or one with a request.
        0 => Script::new().pause(Duration::from_millis(random(connection, "pause") as u64 % 8)),
        1 => Script::new().read(1 + random(connection, "bytes") % 400),
        2 => request(),
        3 => request().respond(|body| {
            let mut response = respond(body);
            response.truncate(response.len() / 2);
            response
        }),
        _ => (0..=random(connection, "responses") % 4)
            .fold(Script::new(), |script, _| script.read_request().respond(respond)),
    };
    match random(connection, "reset") % 2 {
        0 => script.reset(),
        _ => script.fin(),
    }
}

/// Returns a number without a pattern that depends only on the arguments.
fn random(connection: usize, what: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (connection, what).hash(&mut hasher);
    usize::try_from(hasher.finish() >> 33).unwrap()
}

/// The code or refresh token of a request, and whether it is a code.
fn secret(body: &[u8]) -> (String, bool) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let secret = body["code"].as_str().or(body["refresh_token"].as_str());
    (secret.unwrap().into(), body["code"].is_string())
}

/// A response whose access token is the code or refresh token of the request.
fn respond(body: &[u8]) -> Vec<u8> {
    let (secret, _) = secret(body);
    ok(&format!(r#"{{"access_token":"{secret}","token_type":"Bearer"}}"#)).into()
}

/// Sends all codes, each fourth after a refresh, and checks the outcomes against the requests that
/// the peer received.
fn check(client: &Client) {
    let connections = 2 * (EXCHANGES + REFRESHES);
    let peer = Peer::start((0..connections).map(script), None).unwrap();
    let app = app_at(&peer.http());
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(HashMap::new());
    // The peer leaves no call without an end.
    let stop_after = |timed_out: bool, what: &str| {
        if timed_out {
            next.store(EXCHANGES, Ordering::Relaxed);
            panic!("{what} took longer than {DEADLINE:?}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            scope.spawn(|| {
                let take = || Some(next.fetch_add(1, Ordering::Relaxed));
                while let Some(n) = take().filter(|n| *n < EXCHANGES) {
                    if n % REFRESH_EVERY == 0 {
                        let token = Token::new(&format!("refresh-{n}")).unwrap();
                        let refreshed = client.send(app.refresh(&token));
                        stop_after(refreshed.is_err_and(|it| it.is_timeout()), "a refresh");
                    }
                    let code = format!("code-{n:04}");
                    let outcome = client.send(app.generate(code_of(&code)));
                    stop_after(outcome.as_ref().is_err_and(CallError::is_timeout), &code);
                    outcomes.lock().unwrap().insert(code, outcome);
                }
            });
        }
    });
    check_outcomes(&peer, &outcomes.into_inner().unwrap());
}

fn check_outcomes(peer: &Peer, outcomes: &HashMap<String, Result<TokenResponse, CallError>>) {
    let mut times = HashMap::new();
    let mut used = HashSet::new();
    for request in peer.received() {
        let (secret, is_code) = secret(&request.body);
        let is_new = used.insert(request.connection);
        assert!(is_new || !is_code, "{secret} was sent on a pooled connection");
        *times.entry(secret).or_insert(0) += 1;
    }
    let mut not_sent = 0;
    for (code, outcome) in outcomes {
        let times = times.get(code).copied().unwrap_or_default();
        assert!(times <= 1, "{code} was sent {times} times");
        match outcome {
            Ok(tokens) => {
                assert_eq!(times, 1, "{code}");
                assert_eq!(tokens.access_token.expose(), code);
            }
            Err(error @ CallError::NotSent(_)) => {
                assert_eq!(times, 0, "{code} was received: {error}");
                not_sent += 1;
            }
            Err(error @ CallError::Unknown { .. }) => {
                assert!(!format!("{error} {error:?}").contains(CLIENT_SECRET));
            }
            Err(error @ CallError::Answered(_)) => panic!("{code}: {error}"),
        }
    }
    assert_eq!(outcomes.len(), EXCHANGES);
    // Each request that arrived in part belongs to a call that does not claim to be unsent. A
    // refresh may be sent twice.
    let requests = peer.tally().requests;
    let sent = EXCHANGES - not_sent + 2 * REFRESHES;
    assert!(requests <= sent, "{requests} requests for {sent} calls");
    let succeeded = outcomes.values().filter(|outcome| outcome.is_ok()).count();
    // Two of three connections last until the first response.
    assert!(succeeded > EXCHANGES / 2, "{succeeded} succeeded");
}

#[test]
fn adapters_lose_nothing() {
    for client in Client::both_with(Settings { deadline: DEADLINE, ..Settings::default() }) {
        check(&client);
    }
}
