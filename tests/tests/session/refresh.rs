//! Tests that concurrent callers cause one refresh, and that a valid token is returned at once.

use std::{
    sync::{Arc, Barrier, atomic::Ordering},
    thread,
    time::Duration,
};

use tokio::runtime;

use crate::{
    ADAPTERS, KEY, LONG_LEASE, Session, Sessions, due, expired, exposed, fresh, hyper_sessions,
    options,
    service::Service,
    spawn_access_token_until_ok,
    store::{Fault, TestStore, access_token},
    ureq_sessions,
};

#[test]
fn two_hundred_tasks_send_one_refresh() {
    const TASKS: usize = 200;
    let service = Service::start();
    let store = TestStore::with(&expired());
    let sessions = hyper_sessions(&service.app, Arc::clone(&store), options(LONG_LEASE));
    let tasks = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let sessions = sessions.clone();
                    tokio::spawn(async move { sessions.get(KEY).access_token().await })
                })
                .collect();
            let mut tokens = Vec::new();
            for task in tasks {
                tokens.push(task.await.unwrap().unwrap());
            }
            tokens
        })
    });
    service.next_request().respond_with_tokens("r0", 1);
    let tokens = tasks.join().unwrap();
    assert_eq!(tokens.len(), TASKS);
    assert!(tokens.iter().all(|token| token.expose() == "a1"));
    assert_eq!(access_token(&store), "a1");
    // The session loaded the record once, and `access_token` above once more. It stored the claim
    // and the new tokens.
    assert_eq!(store.loads.load(Ordering::SeqCst), 2);
    assert_eq!(store.swaps.load(Ordering::SeqCst), 2);
    service.assert_no_more_requests();
}

#[test]
fn sixty_four_threads_send_one_refresh() {
    const THREADS: usize = 64;
    let service = Service::start();
    let store = TestStore::with(&expired());
    let sessions = ureq_sessions(&service.app, Arc::clone(&store), options(LONG_LEASE));
    let start = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (sessions, start) = (sessions.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                sessions.get(KEY).access_token()
            })
        })
        .collect();
    service.next_request().respond_with_tokens("r0", 1);
    for thread in threads {
        assert_eq!(exposed(thread.join()), "a1");
    }
    assert_eq!(access_token(&store), "a1");
    service.assert_no_more_requests();
}

#[test]
fn returns_a_valid_token_while_a_refresh_is_in_progress() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&due());
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        assert_eq!(session.access_token().unwrap().expose(), "a0", "{adapter}");
        let request = service.next_request();
        assert_eq!(session.access_token().unwrap().expose(), "a0", "{adapter}");
        request.respond_with_tokens("r0", 1);
        wait_for(&session, "a1");
        assert_eq!(access_token(&store), "a1");
        service.assert_no_more_requests();
    }
}

/// Waits until the session returns this token.
pub(crate) fn wait_for(session: &Session, token: &str) {
    while session.access_token().unwrap().expose() != token {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn returns_a_valid_token_while_the_store_hangs() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&due());
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        assert_eq!(session.access_token().unwrap().expose(), "a0");
        let request = service.next_request();
        store.set(Fault::Hangs);
        request.respond_with_tokens("r0", 1);
        for _ in 0..100 {
            // The new token is not stored yet, so it is not used yet.
            assert_eq!(session.access_token().unwrap().expose(), "a0", "{adapter}");
        }
        store.set(Fault::None);
        wait_for(&session, "a1");
        service.assert_no_more_requests();
    }
}

#[test]
fn sessions_of_two_keys_are_independent() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.put("other", &fresh());
        let sessions = Sessions::new(adapter, &service.app, Arc::clone(&store));
        let waiting = sessions.get(KEY).spawn_access_token();
        let request = service.next_request();
        let other = sessions.get("other");
        assert_eq!(other.access_token().unwrap().expose(), "a0", "{adapter}");
        request.respond_with_tokens("r0", 1);
        assert_eq!(exposed(waiting.join()), "a1");
        assert_eq!(other.access_token().unwrap().expose(), "a0");
        let error = sessions.get("third").access_token().unwrap_err();
        assert!(error.needs_authorization());
        other.end().unwrap();
        assert_eq!(access_token(&store), "a1");
        service.assert_no_more_requests();
    }
}

#[test]
fn keeps_sessions_in_use_and_evicts_idle_ones() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&fresh());
        let options = options(LONG_LEASE).idle_limit(0);
        let sessions = Sessions::with_options(adapter, &service.app, Arc::clone(&store), options);
        let get_others = || (0..1000).for_each(|key| drop(sessions.get(&key.to_string())));
        let used = sessions.get(KEY);
        for _ in 0..2 {
            assert_eq!(sessions.get(KEY).access_token().unwrap().expose(), "a0");
            assert_eq!(store.loads.load(Ordering::SeqCst), 1, "{adapter}");
            get_others();
        }
        drop(used);
        // The task that loaded the record may not have ended yet.
        while store.loads.load(Ordering::SeqCst) == 1 {
            get_others();
            assert_eq!(sessions.get(KEY).access_token().unwrap().expose(), "a0");
        }
    }
}

#[test]
fn stores_new_tokens_after_the_caller_is_dropped() {
    let service = Service::start();
    let store = TestStore::with(&expired());
    let sessions = hyper_sessions(&service.app, Arc::clone(&store), options(LONG_LEASE));
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.unwrap();
    let dropped = {
        let session = sessions.get(KEY);
        runtime.spawn(async move { session.access_token().await })
    };
    let request = service.next_request();
    dropped.abort();
    assert!(runtime.block_on(dropped).unwrap_err().is_cancelled());
    request.respond_with_tokens("r0", 1);
    let token = runtime.block_on(sessions.get(KEY).access_token()).unwrap();
    assert_eq!(token.expose(), "a1");
    assert_eq!(access_token(&store), "a1");
    service.assert_no_more_requests();
}

#[test]
fn store_panic_fails_the_call_and_later_calls_succeed() {
    for adapter in ADAPTERS {
        let service = Service::start();
        let store = TestStore::with(&expired());
        store.set(Fault::Panics);
        let session = Session::new(adapter, &service.app, Arc::clone(&store));
        let error = session.access_token().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the call panicked", "{adapter}");
        store.set(Fault::None);
        let next = spawn_access_token_until_ok(&session);
        service.next_request().respond_with_tokens("r0", 1);
        assert_eq!(exposed(next.join()), "a1", "{adapter}");
    }
}
