//! What a process does after it has loaded a record, and when tokens are refreshed.

use std::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};

use crate::{
    App, TokenSet, UnixTime,
    session::{Job, Record, RefreshState, Session, SessionPolicy, Step},
};

use super::service::token;

fn session() -> Session {
    let app = App::new("client-id", "client-secret").unwrap();
    Session::new(app, SessionPolicy::default())
}

/// What a process does at second 10,000 after it has loaded this record.
fn first_step(stored: &str) -> String {
    let now = UnixTime::from_secs(10_000);
    let mut session = session();
    let Some(Job::Load(load)) = session.next_job(now, 1) else {
        panic!("the first job is not a load");
    };
    let record = Record::from_json(stored).unwrap();
    session.handle_load(now, load, Ok::<_, String>(Some(record)));
    match session.next_job(now, 1) {
        Some(Job::Swap(swap)) => return format!("{:?}", swap.record().refresh()),
        Some(job) => panic!("{job:?}"),
        None => {}
    }
    match session.poll(now) {
        Step::Ready(token) => token.expose().to_owned(),
        Step::Wait(until) => format!("wait {:?}", until.saturating_since(now)),
        Step::Fail(error) => error.to_string(),
    }
}

#[test]
fn the_stored_record_decides_the_first_step() {
    let claim = "InProgress { until: UnixTime(10120s), claim: 1 }";
    let revoked = "the access token cannot be refreshed";
    let paused = "refreshing the access token failed; the next attempt starts at 10100 (Unix time)";
    for (refresh, at, refresh_token, expires_at, step) in [
        ("due", "10001", r#""ref""#, "20000", "acc"),
        ("due", "10000", r#""ref""#, "20000", claim),
        ("due", "15000", r#""ref""#, "10000", claim),
        ("due", "9000", "null", "20000", "acc"),
        ("due", "9000", "null", "10000", revoked),
        ("on_rejection", "null", r#""ref""#, "null", "acc"),
        ("on_rejection", "null", r#""ref""#, "9000", claim),
        // Another process refreshes: the old token is used while it is valid.
        ("in_progress", "10100", r#""ref""#, "20000", "acc"),
        ("in_progress", "10100", r#""ref""#, "9000", "wait 50ms"),
        // Its clock may be ten minutes ahead.
        ("in_progress", "9401", r#""ref""#, "9000", "wait 50ms"),
        ("in_progress", "9400", r#""ref""#, "20000", claim),
        // No clock within the tolerance sets such a time.
        ("in_progress", "11320", r#""ref""#, "20000", "acc"),
        ("in_progress", "11321", r#""ref""#, "20000", claim),
        ("paused", "10100", r#""ref""#, "20000", "acc"),
        ("paused", "10100", r#""ref""#, "9000", paused),
        ("paused", "10000", r#""ref""#, "20000", claim),
        ("revoked", "null", r#""ref""#, "20000", "acc"),
        ("revoked", "null", r#""ref""#, "9000", revoked),
    ] {
        let stored = format!(
            r#"{{"format":2,"version":9,"grant":5,"authorized_at":1,"refresh":"{refresh}","at":{at},"claim":7,"failures":0,"rejections":0,"access_token":"acc","refresh_token":{refresh_token},"expires_at":{expires_at}}}"#
        );
        assert_eq!(first_step(&stored), step, "{stored}");
    }
}

#[test]
fn refreshes_are_spread_before_the_margin() {
    let now = UnixTime::from_secs(1_700_000_000);
    for (lifetime, entropy, due) in [
        (86_400, 0, 86_400 - 7_200),
        (86_400, u64::MAX / 2, 86_400 - 7_200 - 3 * 3_600),
        (86_400, u64::MAX, 86_400 - 7_200 - 6 * 3_600),
        // At most a quarter each.
        (400, 0, 300),
        (400, u64::MAX, 200),
    ] {
        let mut session = session();
        let expires_at = UnixTime::from_secs(now.as_secs() + lifetime);
        let tokens = TokenSet {
            access_token: token("acc"),
            refresh_token: Some(token("ref")),
            expires_at: Some(expires_at),
        };
        session.replace_tokens(now, entropy, tokens);
        let Some(Job::Load(load)) = session.next_job(now, 1) else {
            panic!("the first job is not a load");
        };
        session.handle_load(now, load, Ok::<_, String>(None));
        let Some(Job::Swap(swap)) = session.next_job(now, 1) else {
            panic!("the tokens are not stored");
        };
        assert_eq!(swap.expected(), None);
        let RefreshState::Due(at) = swap.record().refresh() else {
            panic!("{:?}", swap.record());
        };
        // Rounding drops a fraction of a second.
        assert!(at.as_secs().abs_diff(now.as_secs() + due) <= 1, "{at:?}");
    }
}
