//! Tests blocking stores with the async adapter.

use std::{
    pin::{Pin, pin},
    sync::{Arc, mpsc},
    task::{Context, Poll, Waker},
    thread,
};

use dropbox_sign_oauth::session::{Outcome, Record, SessionError};
use dropbox_sign_oauth_hyper::{Blocking, Sessions, Store as _, Transport};
use dropbox_sign_oauth_ureq::{MemoryStore, Store};
use tokio::runtime::{self, Runtime};

use crate::{
    DEADLINE, KEY, LONG_LEASE, expired, hyper_sessions, options, service::Service, store::TestStore,
};

/// A store that owns a runtime, as some blocking database clients do.
struct OwnsRuntime(MemoryStore, Runtime, mpsc::Sender<()>);

impl Drop for OwnsRuntime {
    fn drop(&mut self) {
        self.2.send(()).unwrap();
    }
}

impl Store for OwnsRuntime {
    type Error = <MemoryStore as Store>::Error;

    fn load(&self, key: &str) -> Result<Option<Record>, Self::Error> {
        self.1.block_on(async { Store::load(&self.0, key) })
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error> {
        Store::compare_and_swap(&self.0, key, expected, new)
    }

    fn remove(&self, key: &str) -> Result<(), Self::Error> {
        Store::remove(&self.0, key)
    }
}

#[test]
fn store_that_owns_a_runtime_can_be_dropped_in_async_context() {
    let (dropped, drops) = mpsc::channel();
    let own = || runtime::Builder::new_current_thread().build().unwrap();
    own().block_on(async {
        let store = OwnsRuntime(MemoryStore::default(), own(), dropped.clone());
        let store = Blocking::new(store);
        assert_eq!(store.load(KEY).await.unwrap(), None);
        drop(store);

        let service = Service::start();
        let store = OwnsRuntime(MemoryStore::default(), own(), dropped.clone());
        let store = Blocking::new(store);
        let sessions = Sessions::new(service.app.clone(), Transport::new().unwrap(), store);
        drop(sessions);
    });
    for _ in 0..2 {
        drops.recv_timeout(DEADLINE).unwrap();
    }
}

#[test]
fn call_fails_if_the_runtime_shuts_down() {
    let store = Arc::new(TestStore::default());
    let blocking = Blocking::new(Arc::clone(&store));
    let dying = runtime::Builder::new_multi_thread().build().unwrap();
    let handle = dying.handle().clone();
    dying.shutdown_timeout(DEADLINE);
    // This call runs in the context of a runtime that has shut down.
    let caller = thread::spawn(move || {
        let _context = handle.enter();
        poll_once(pin!(blocking.load(KEY)))
    });
    let error = caller.join().unwrap().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the runtime is shutting down");
}

#[test]
fn returns_shut_down_if_the_runtime_has_shut_down() {
    let service = Service::start();
    let store = TestStore::with(&expired());
    let sessions = hyper_sessions(&service.app, Arc::clone(&store), options(LONG_LEASE));
    let dead = runtime::Builder::new_multi_thread().enable_all().build();
    let dead = dead.unwrap();
    let handle = dead.handle().clone();
    dead.shutdown_timeout(DEADLINE);
    {
        let _context = handle.enter();
        let session = sessions.get(KEY);
        let outcome = poll_once(pin!(session.access_token()));
        assert!(matches!(outcome, Some(Err(SessionError::ShutDown))));
    }
    // The same session works in another runtime.
    let alive = runtime::Builder::new_multi_thread().enable_all().build();
    let alive = alive.unwrap();
    let waiting = alive.spawn(async move { sessions.get(KEY).access_token().await });
    service.next_request().respond_with_tokens("r0", 1);
    let token = alive.block_on(waiting).unwrap().unwrap();
    assert_eq!(token.expose(), "a1");
}

fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}
