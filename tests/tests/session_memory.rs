//! Measures the memory of 100,000 sessions.
//!
//! `cargo test -p dropbox-sign-oauth-testkit --test session_memory -- --nocapture` prints the
//! figures.
#![cfg(target_os = "linux")]

use std::{convert::Infallible, fs};

use dropbox_sign_oauth::{
    App,
    session::{Outcome, Record},
};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_ureq as ureq;
use tokio::runtime;

const SESSIONS: usize = 100_000;

/// The limit for one session: 1.3 KiB.
const MAX_BYTES: usize = 1331;

/// A store with one record for all keys, so that only the sessions are measured.
struct OneRecord(Record);

impl OneRecord {
    fn new() -> Self {
        // This token is as long as the vendor's tokens.
        let token = "NWNiOTMxOGFkOGVjMDhhNTAxZN2NkNjgxMjMwOWJiYTEzZTBmZGUzMjMThhMzYyMzc=";
        let text = format!(
            r#"{{"format":2,"version":9,"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"due","at":4000000000,"claim":null,"failures":0,"rejections":0,"access_token":"{token}","refresh_token":"{token}","expires_at":5000000000}}"#
        );
        Self(Record::from_json(&text).unwrap())
    }
}

impl ureq::Store for OneRecord {
    type Error = Infallible;

    fn load(&self, _: &str) -> Result<Option<Record>, Infallible> {
        Ok(Some(self.0.clone()))
    }

    fn compare_and_swap(&self, _: &str, _: Option<u64>, _: &Record) -> Result<Outcome, Infallible> {
        Ok(Outcome::Stored)
    }

    fn remove(&self, _: &str) -> Result<(), Infallible> {
        Ok(())
    }
}

impl hyper::Store for OneRecord {
    type Error = Infallible;

    async fn load(&self, key: &str) -> Result<Option<Record>, Infallible> {
        ureq::Store::load(self, key)
    }

    async fn compare_and_swap(
        &self,
        _: &str,
        _: Option<u64>,
        _: &Record,
    ) -> Result<Outcome, Infallible> {
        Ok(Outcome::Stored)
    }

    async fn remove(&self, _: &str) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

fn assert_small(adapter: &str, before: usize) {
    let each = resident().saturating_sub(before) / SESSIONS;
    println!("{adapter}: {each} bytes for each of {SESSIONS} sessions");
    assert!(each <= MAX_BYTES, "{adapter}: {each} bytes");
}

#[test]
fn a_session_takes_less_than_the_limit() {
    let app = App::new("client-id", "client-secret").unwrap();
    let key = |number: usize| format!("user-{number}");

    // The sessions of both adapters are kept, so that the second cannot reuse the memory of the
    // first.
    let hyper_sessions =
        hyper::Sessions::new(app.clone(), hyper::Transport::new().unwrap(), OneRecord::new());
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let held_hyper = runtime.unwrap().block_on(async {
        let first = hyper_sessions.get("first");
        first.access_token().await.unwrap();
        let before = resident();
        let mut held = Vec::with_capacity(SESSIONS);
        for number in 0..SESSIONS {
            let session = hyper_sessions.get(&key(number));
            session.access_token().await.unwrap();
            held.push(session);
        }
        assert_small("hyper", before);
        held
    });

    let ureq_sessions = ureq::Sessions::new(app, ureq::Transport::new().unwrap(), OneRecord::new());
    ureq_sessions.get("first").access_token().unwrap();
    let before = resident();
    let held_ureq: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let session = ureq_sessions.get(&key(number));
            session.access_token().unwrap();
            session
        })
        .collect();
    assert_small("ureq", before);
    drop((held_hyper, held_ureq));
}
