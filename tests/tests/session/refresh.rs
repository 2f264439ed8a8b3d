//! Tests that concurrent callers cause one refresh, and that a valid token is returned at once.

use std::sync::atomic::Ordering;

use crate::{
    DUE, EXPIRED, FRESH, Fixture, KEY, LONG_LEASE, Session, each_adapter, each_adapter_with,
    options, store::Fault, wait_until,
};

#[test]
fn sixty_four_callers_send_one_refresh() {
    each_adapter(EXPIRED, |Fixture { service, store, sessions, .. }| {
        let callers = [0; 64].map(|_| sessions.get(KEY).spawn_token());
        service.next_request().respond_with_tokens(1);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), "a1");
        }
        assert_eq!(store.token().unwrap(), "a1");
        // The session loaded the record once, and stored the claim and the new tokens.
        assert_eq!(store.loads.load(Ordering::SeqCst), 1);
        assert_eq!(store.swaps.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn returns_a_valid_token_while_a_refresh_is_in_progress_or_the_store_hangs() {
    each_adapter(DUE, |Fixture { service, store, session, .. }| {
        assert_eq!(session.token(), "a0");
        let request = service.next_request();
        assert_eq!(session.token(), "a0");
        store.set(Fault::Hangs);
        request.respond_with_tokens(1);
        for _ in 0..100 {
            // The new token is not stored yet, so it is not used yet.
            assert_eq!(session.token(), "a0");
        }
        store.set(Fault::None);
        wait_until(|| session.token() == "a1");
        assert_eq!(store.token().unwrap(), "a1");
    });
}

#[test]
fn sessions_of_two_keys_are_independent() {
    each_adapter(EXPIRED, |Fixture { service, store, sessions, session, .. }| {
        store.put("other", FRESH);
        let waiting = session.spawn_token();
        let request = service.next_request();
        let other = sessions.get("other");
        assert_eq!(other.token(), "a0");
        request.respond_with_tokens(1);
        assert_eq!(waiting.join().unwrap(), "a1");
        assert_eq!(other.token(), "a0");
        let error = sessions.get("third").access_token().unwrap_err();
        assert!(error.needs_authorization());
        other.end().unwrap();
        assert_eq!(store.token().unwrap(), "a1");
    });
}

#[test]
fn keeps_sessions_in_use_and_evicts_idle_ones() {
    let options = options(LONG_LEASE).idle_limit(0);
    each_adapter_with(&options, FRESH, |Fixture { store, sessions, .. }| {
        let get_others = || (0..1000).for_each(|key| drop(sessions.get(&key.to_string())));
        let used = sessions.get("used");
        store.put("used", FRESH);
        for _ in 0..2 {
            assert_eq!(sessions.get("used").token(), "a0");
            assert_eq!(store.loads.load(Ordering::SeqCst), 1);
            get_others();
        }
        drop(used);
        // The task that loaded the record may not have ended yet.
        wait_until(|| {
            get_others();
            assert_eq!(sessions.get("used").token(), "a0");
            store.loads.load(Ordering::SeqCst) > 1
        });
    });
}

#[test]
fn stores_new_tokens_after_the_caller_is_dropped() {
    each_adapter(EXPIRED, |Fixture { service, store, sessions, session }| {
        // A blocking call cannot be dropped.
        let Session::Hyper(session, runtime) = session else { return };
        let dropped = runtime.spawn(async move { session.access_token().await });
        let request = service.next_request();
        dropped.abort();
        assert!(runtime.block_on(dropped).unwrap_err().is_cancelled());
        request.respond_with_tokens(1);
        assert_eq!(sessions.get(KEY).token(), "a1");
        assert_eq!(store.token().unwrap(), "a1");
    });
}

#[test]
fn store_panic_fails_the_call_and_later_calls_succeed() {
    each_adapter(EXPIRED, |Fixture { service, store, session, .. }| {
        store.set(Fault::Panics);
        let error = session.access_token().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the call panicked");
        store.set(Fault::None);
        let next = session.spawn_token();
        service.next_request().respond_with_tokens(1);
        assert_eq!(next.join().unwrap(), "a1");
    });
}
