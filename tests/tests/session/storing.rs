//! Tests that new tokens are stored before they are used, even if the store fails.

use std::{error::Error as _, sync::Arc, thread, time::Duration};

use dropbox_sign_oauth::session::SessionError;

use crate::{
    ADAPTERS, KEY, LONG_LEASE, Session, Sessions, expired, exposed, options, policy,
    refresh::wait_for,
    service::Service,
    spawn_access_token_until_ok,
    store::{Fault, TestStore, access_token},
    tokens,
};

/// Waits until the store has this access token.
fn wait_until_stored(store: &TestStore, token: &str) {
    let is_stored = || {
        let stored = store.stored();
        stored.is_some_and(|record| record.tokens().access_token.expose() == token)
    };
    while !is_stored() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn assert_store_failed(error: &SessionError) {
    assert!(matches!(error, SessionError::Store(_)), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "no space is left");
}

#[test]
fn uses_tokens_only_if_they_are_stored() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = Arc::new(TestStore::default());
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        assert!(session.access_token().unwrap_err().needs_authorization());
        store.set(Fault::FailsToSwap);
        assert_store_failed(&session.replace_tokens(tokens("a5")).unwrap_err());
        assert_store_failed(&session.access_token().unwrap_err());

        store.set(Fault::None);
        session.replace_tokens(tokens("a6")).unwrap();
        assert_eq!(session.access_token().unwrap().expose(), "a6");
        assert_eq!(access_token(&store), "a6");
    }
}

#[test]
fn retries_a_failed_write_after_all_handles_are_dropped() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        let waiting = sessions.get(KEY).spawn_access_token();
        let request = service.next_request();
        store.set(Fault::FailsToSwap);
        request.respond_with_tokens("r0", 1);
        assert_store_failed(&waiting.join().unwrap().unwrap_err());
        // The background tasks of the async adapter need the runtime.
        let runtime = match &sessions {
            Sessions::Hyper(_, runtime) => Some(Arc::clone(runtime)),
            Sessions::Ureq(_) => None,
        };
        drop(sessions);
        store.set(Fault::None);
        wait_until_stored(&store, "a1");
        drop(runtime);
        service.assert_no_more_requests();
    }
}

#[test]
fn flush_waits_until_new_tokens_are_stored() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        let session = sessions.get(KEY);
        let waiting = session.spawn_access_token();
        let request = service.next_request();
        store.set(Fault::FailsToSwap);
        request.respond_with_tokens("r0", 1);
        assert_store_failed(&waiting.join().unwrap().unwrap_err());
        let flushing = {
            let sessions = sessions.clone();
            thread::spawn(move || sessions.flush())
        };
        store.set(Fault::None);
        flushing.join().unwrap().unwrap();
        assert_eq!(access_token(&store), "a1", "{adapter}");
        assert_eq!(session.access_token().unwrap().expose(), "a1");
        session.flush().unwrap();
        service.assert_no_more_requests();
    }
}

#[test]
fn sends_one_refresh_if_an_acknowledgement_is_lost() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::LosesAcknowledgement);
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let waiting = spawn_access_token_until_ok(&session);
        // The session recognizes its own claim and its own tokens in the store, so it does not wait
        // for the claim to expire.
        let request = service.next_request();
        store.set(Fault::LosesAcknowledgement);
        request.respond_with_tokens("r0", 1);
        assert_eq!(exposed(waiting.join()), "a1", "{adapter}");
        assert_eq!(access_token(&store), "a1");
        service.assert_no_more_requests();
    }
}

#[test]
fn fails_calls_after_the_timeout_if_the_store_hangs() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Hangs);
        let limit = Duration::from_millis(50);
        let options = options(LONG_LEASE).policy(policy(LONG_LEASE).store_timeout(limit));
        let sessions = Sessions::with_options(adapter, &service.app, Arc::clone(&store), options);
        let session = sessions.get(KEY);
        let error = session.access_token().unwrap_err();
        assert!(matches!(error, SessionError::Store(_)), "{error}");
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "the store did not respond within 50ms", "{adapter}");
        assert!(session.replace_tokens(tokens("a5")).is_err());
        store.set(Fault::None);
        wait_until_stored(&store, "a5");
        assert_eq!(exposed(spawn_access_token_until_ok(&session).join()), "a5");
        service.assert_no_more_requests();
    }
}

#[test]
fn pauses_between_calls_if_the_store_always_returns_a_conflict() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Conflicts);
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let waiting = session.spawn_access_token();
        let started = std::time::Instant::now();
        thread::sleep(Duration::from_secs(1));
        let calls = store.loads.load(std::sync::atomic::Ordering::SeqCst);
        // Each pause is at least 50 ms, and a slow machine makes fewer calls.
        let most = 10 + started.elapsed().as_millis() / 50;
        assert!((calls as u128) < most, "{adapter}: {calls} loads");
        store.set(Fault::None);
        let request = service.next_request();
        request.respond_with_tokens("r0", 1);
        drop(waiting.join());
        wait_for(&session, "a1");
    }
}

#[test]
fn keeps_a_new_authorization_while_the_store_fails() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Fails);
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        assert_store_failed(&sessions.get(KEY).replace_tokens(tokens("a5")).unwrap_err());
        store.set(Fault::None);
        sessions.flush().unwrap();
        assert_eq!(access_token(&store), "a5", "{adapter}");
        assert_eq!(exposed(sessions.get(KEY).spawn_access_token().join()), "a5");
        service.assert_no_more_requests();
    }
}
