//! Tests blocking stores with the async adapter.

use std::{
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use dropbox_sign_oauth::session::SessionError;
use dropbox_sign_oauth_hyper::{Blocking, Store as _};
use tokio::runtime::{self, Handle};

use crate::{
    DEADLINE, EXPIRED, KEY, LONG_LEASE, hyper_sessions, options, service::Service,
    store::TestStore, wait_until,
};

#[test]
fn store_that_owns_a_runtime_can_be_dropped_in_async_context() {
    let own = || runtime::Builder::new_current_thread().build().unwrap();
    let store = || {
        let mut store = TestStore::default();
        store.runtime = Some(own());
        Arc::new(store)
    };
    let dropped = own().block_on(async {
        let direct = store();
        let weak = Arc::downgrade(&direct);
        let blocking = Blocking::new(direct);
        assert_eq!(blocking.load(KEY).await.unwrap(), None);
        drop(blocking);

        let of_sessions = store();
        let dropped = [weak, Arc::downgrade(&of_sessions)];
        drop(hyper_sessions(&Service::start().app, of_sessions, options(LONG_LEASE)));
        dropped
    });
    wait_until(|| dropped.iter().all(|store| Weak::strong_count(store) == 0));
}

/// Returns the handle of a runtime that has shut down.
fn dead() -> Handle {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    runtime.shutdown_timeout(DEADLINE);
    handle
}

#[test]
fn call_fails_if_the_runtime_shuts_down() {
    let blocking = Blocking::new(TestStore::default());
    let handle = dead();
    let _context = handle.enter();
    let error = poll_once(pin!(blocking.load(KEY))).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the runtime is shutting down");
}

#[test]
fn returns_shut_down_if_the_runtime_has_shut_down() {
    let service = Service::start();
    let store = TestStore::default();
    store.put(KEY, EXPIRED);
    let sessions = hyper_sessions(&service.app, store, options(LONG_LEASE));
    {
        let handle = dead();
        let _context = handle.enter();
        let session = sessions.get(KEY);
        let outcome = poll_once(pin!(session.access_token()));
        assert!(matches!(outcome, Some(Err(SessionError::ShutDown))));
    }
    // The same session works in another runtime.
    let alive = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let waiting = alive.spawn(async move { sessions.get(KEY).access_token().await });
    service.next_request().respond_with_tokens(1);
    let token = alive.block_on(waiting).unwrap().unwrap();
    assert_eq!(token.expose(), "a1");
}

fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}
