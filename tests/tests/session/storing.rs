//! Tests that new tokens are stored before they are used, even if the store fails.

use std::{
    error::Error as _,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::session::SessionError;

use crate::{
    EXPIRED, Fixture, LONG_LEASE, NONE, Sessions, each_adapter, each_adapter_with, options, policy,
    store::Fault, wait_until,
};

fn assert_store_failed(error: &SessionError) {
    assert!(matches!(error, SessionError::Store(_)), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "no space is left");
}

/// Refreshes the token while the store fails to swap, which the caller is told.
fn refresh_without_storing(Fixture { service, store, session, .. }: &Fixture) {
    let waiting = session.spawn_access_token();
    let request = service.next_request();
    store.set(Fault::FailsToSwap);
    request.respond_with_tokens(1);
    assert_store_failed(&waiting.join().unwrap().unwrap_err());
}

#[test]
fn uses_tokens_only_if_they_are_stored() {
    each_adapter(NONE, |Fixture { store, session, .. }| {
        assert!(session.access_token().unwrap_err().needs_authorization());
        store.set(Fault::FailsToSwap);
        assert_store_failed(&session.replace_tokens("a5").unwrap_err());
        assert_store_failed(&session.access_token().unwrap_err());

        store.set(Fault::None);
        session.replace_tokens("a6").unwrap();
        assert_eq!(session.token(), "a6");
        assert_eq!(store.token().unwrap(), "a6");
    });
}

#[test]
fn retries_a_failed_write_after_all_handles_are_dropped() {
    each_adapter(EXPIRED, |fixture| {
        refresh_without_storing(&fixture);
        let Fixture { store, sessions, session, .. } = fixture;
        // The background tasks of the async adapter need the runtime.
        let _runtime = match &sessions {
            Sessions::Hyper(_, runtime) => Some(Arc::clone(runtime)),
            Sessions::Ureq(_) => None,
        };
        drop((sessions, session));
        store.set(Fault::None);
        wait_until(|| store.token().as_deref() == Some("a1"));
    });
}

#[test]
fn flush_waits_until_new_tokens_are_stored() {
    each_adapter(EXPIRED, |fixture| {
        refresh_without_storing(&fixture);
        let Fixture { store, sessions, session, .. } = fixture;
        let flushing = thread::spawn(move || sessions.flush());
        store.set(Fault::None);
        flushing.join().unwrap().unwrap();
        assert_eq!(store.token().unwrap(), "a1");
        assert_eq!(session.token(), "a1");
        session.flush().unwrap();
    });
}

#[test]
fn sends_one_refresh_if_an_acknowledgement_is_lost() {
    each_adapter(EXPIRED, |Fixture { service, store, session, .. }| {
        store.set(Fault::LosesAcknowledgement);
        let waiting = session.spawn_token();
        // The session recognizes its own claim and its own tokens in the store, so it does not wait
        // for the claim to expire.
        let request = service.next_request();
        store.set(Fault::LosesAcknowledgement);
        request.respond_with_tokens(1);
        assert_eq!(waiting.join().unwrap(), "a1");
        assert_eq!(store.token().unwrap(), "a1");
    });
}

#[test]
fn fails_calls_after_the_timeout_if_the_store_hangs() {
    let limit = Duration::from_millis(50);
    let options = options(LONG_LEASE).policy(policy(LONG_LEASE).store_timeout(limit));
    each_adapter_with(&options, EXPIRED, |Fixture { store, session, .. }| {
        store.set(Fault::Hangs);
        let error = session.access_token().unwrap_err();
        assert!(matches!(error, SessionError::Store(_)), "{error}");
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "the store did not respond within 50ms");
        assert!(session.replace_tokens("a5").is_err());
        store.set(Fault::None);
        wait_until(|| store.token().as_deref() == Some("a5"));
        assert_eq!(session.spawn_token().join().unwrap(), "a5");
    });
}

#[test]
fn pauses_between_calls_if_the_store_always_returns_a_conflict() {
    each_adapter(EXPIRED, |Fixture { service, store, session, .. }| {
        store.set(Fault::Conflicts);
        let waiting = session.spawn_access_token();
        let started = Instant::now();
        thread::sleep(Duration::from_secs(1));
        let calls = store.loads.load(Ordering::SeqCst);
        // Each pause is at least 50 ms, and a slow machine makes fewer calls.
        let most = 10 + started.elapsed().as_millis() / 50;
        assert!((calls as u128) < most, "{calls} loads");
        store.set(Fault::None);
        service.next_request().respond_with_tokens(1);
        drop(waiting.join());
        wait_until(|| session.token() == "a1");
    });
}
