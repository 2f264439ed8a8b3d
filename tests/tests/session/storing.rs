//! New tokens are stored before they are used, by the process that received them.

use std::{error::Error as _, sync::Arc, thread, time::Duration};

use dropbox_sign_oauth::session::SessionError;

use crate::{
    ADAPTERS, KEY, LONG, Session, Sessions, ask_until_ok, expired, exposed, options, policy,
    refresh::wait_for,
    service::Service,
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
fn tokens_that_are_not_stored_are_not_used() {
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
fn a_failed_write_is_retried_without_callers_and_handles() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        let asking = sessions.get(KEY).ask();
        let asked = service.next();
        store.set(Fault::FailsToSwap);
        asked.refresh("r0", 1);
        assert_store_failed(&asking.join().unwrap().unwrap_err());
        // The runtime of the async adapter lives on.
        let runtime = match &sessions {
            Sessions::Hyper(_, runtime) => Some(Arc::clone(runtime)),
            Sessions::Ureq(_) => None,
        };
        drop(sessions);
        store.set(Fault::None);
        wait_until_stored(&store, "a1");
        drop(runtime);
        service.is_done();
    }
}

#[test]
fn flush_waits_until_new_tokens_are_stored() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        let session = sessions.get(KEY);
        let asking = session.ask();
        let asked = service.next();
        store.set(Fault::FailsToSwap);
        asked.refresh("r0", 1);
        assert_store_failed(&asking.join().unwrap().unwrap_err());
        let flushing = {
            let sessions = sessions.clone();
            thread::spawn(move || sessions.flush())
        };
        store.set(Fault::None);
        flushing.join().unwrap().unwrap();
        assert_eq!(access_token(&store), "a1", "{adapter}");
        assert_eq!(session.access_token().unwrap().expose(), "a1");
        session.flush().unwrap();
        service.is_done();
    }
}

#[test]
fn a_lost_acknowledgement_costs_no_second_refresh() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::LosesAcknowledgement);
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let asking = ask_until_ok(&session);
        // The session recognizes its own claim, long before it expires, and its own tokens.
        let asked = service.next();
        store.set(Fault::LosesAcknowledgement);
        asked.refresh("r0", 1);
        assert_eq!(exposed(asking.join()), "a1", "{adapter}");
        assert_eq!(access_token(&store), "a1");
        service.is_done();
    }
}

#[test]
fn a_store_that_hangs_fails_callers_after_the_time_limit() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Hangs);
        let limit = Duration::from_millis(50);
        let options = options(LONG).policy(policy(LONG).store_timeout(limit));
        let sessions = Sessions::with_options(adapter, &service.app, Arc::clone(&store), options);
        let session = sessions.get(KEY);
        let error = session.access_token().unwrap_err();
        assert!(matches!(error, SessionError::Store(_)), "{error}");
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "the store did not respond within 50ms", "{adapter}");
        assert!(session.replace_tokens(tokens("a5")).is_err());
        store.set(Fault::None);
        wait_until_stored(&store, "a5");
        assert_eq!(exposed(ask_until_ok(&session).join()), "a5");
        service.is_done();
    }
}

#[test]
fn a_store_that_always_reports_a_conflict_is_not_called_in_a_loop() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Conflicts);
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let asking = session.ask();
        let started = std::time::Instant::now();
        thread::sleep(Duration::from_secs(1));
        let calls = store.loads.load(std::sync::atomic::Ordering::SeqCst);
        // Pauses of 50 ms and more; a slow machine makes fewer calls.
        let most = 10 + started.elapsed().as_millis() / 50;
        assert!((calls as u128) < most, "{adapter}: {calls} loads");
        store.set(Fault::None);
        let asked = service.next();
        asked.refresh("r0", 1);
        drop(asking.join());
        wait_for(&session, "a1");
    }
}

#[test]
fn a_new_authorization_is_kept_although_the_store_is_down() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Fails);
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        assert_store_failed(&sessions.get(KEY).replace_tokens(tokens("a5")).unwrap_err());
        store.set(Fault::None);
        sessions.flush().unwrap();
        assert_eq!(access_token(&store), "a5", "{adapter}");
        assert_eq!(exposed(sessions.get(KEY).ask().join()), "a5");
        service.is_done();
    }
}
