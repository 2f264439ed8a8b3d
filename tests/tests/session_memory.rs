//! Measures the memory of 100,000 sessions.
//!
//! `cargo test -p dropbox-sign-oauth-testkit --test session_memory -- --nocapture` prints the
//! figures.
#![cfg(target_os = "linux")]

use std::{fs, sync::Arc};

use dropbox_sign_oauth::{App, session::Record};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_ureq::{self as ureq, MemoryStore, Store as _};
use tokio::runtime;

const SESSIONS: usize = 100_000;

/// The limit for one session: 1.3 KiB.
const MAX_BYTES: usize = 1331;

/// Returns a store with a record for each session, so that only the sessions are measured.
fn store() -> Arc<MemoryStore> {
    // This token is as long as the vendor's tokens.
    let token = "NWNiOTMxOGFkOGVjMDhhNTAxZN2NkNjgxMjMwOWJiYTEzZTBmZGUzMjMThhMzYyMzc=";
    let text = format!(
        r#"{{"format":2,"version":9,"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"due","at":4000000000,"claim":null,"failures":0,"rejections":0,"access_token":"{token}","refresh_token":"{token}","expires_at":5000000000}}"#
    );
    let record = Record::from_json(&text).unwrap();
    let store = MemoryStore::default();
    for number in 0..=SESSIONS {
        let Ok(_) = store.compare_and_swap(&key(number), None, &record);
    }
    Arc::new(store)
}

fn key(number: usize) -> String {
    format!("user-{number}")
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

/// Opens all sessions, measures them, and returns them.
fn check<S>(adapter: &str, open: impl Fn(&str) -> S) -> Vec<S> {
    let mut held = Vec::with_capacity(SESSIONS + 1);
    held.push(open(&key(SESSIONS)));
    let before = resident();
    held.extend((0..SESSIONS).map(|number| open(&key(number))));
    let each = resident().saturating_sub(before) / SESSIONS;
    println!("{adapter}: {each} bytes for each of {SESSIONS} sessions");
    assert!(each <= MAX_BYTES, "{adapter}: {each} bytes");
    held
}

#[test]
fn a_session_takes_less_than_the_limit() {
    let app = App::new("client-id", "client-secret").unwrap();
    let store = store();
    let transport = hyper::Transport::new().unwrap();
    let sessions = hyper::Sessions::new(app.clone(), transport, Arc::clone(&store));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Both are kept, so that the second cannot reuse the memory of the first.
    let _held = check("hyper", |key| {
        let session = sessions.get(key);
        runtime.block_on(session.access_token()).unwrap();
        session
    });
    let sessions = ureq::Sessions::new(app, ureq::Transport::new().unwrap(), store);
    let _held = check("ureq", |key| {
        let session = sessions.get(key);
        session.access_token().unwrap();
        session
    });
}
