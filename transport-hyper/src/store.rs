//! Calls of stores: a blocking one on tokio's blocking pool, and any with a time limit.

use std::{
    error::Error as StdError,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    thread,
    time::Duration,
};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_store::{self as blocking, AsyncStore as Store};
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};

type BoxError = Box<dyn StdError + Send + Sync>;

const PANICKED: &str = "the call panicked";
const SHUT_DOWN: &str = "the runtime is shutting down";

/// An async store that runs a blocking one, such as a [`FileStore`](crate::FileStore), on tokio's
/// blocking pool.
///
/// At most 32 calls run at a time, so that a store that hangs does not use up the pool. A call
/// fails if its runtime shuts down. The blocking store is never dropped in an async context, where
/// a store that owns a runtime may panic.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::{Blocking, FileStore};
///
/// let store = Blocking::new(FileStore::open("sessions")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Blocking<S: Send + Sync + 'static> {
    store: Arc<Guard<S>>,
    permits: Arc<Semaphore>,
}

/// How many calls run at a time: a small part of the 512 threads of tokio's blocking pool.
const CONCURRENT_CALLS: usize = 32;

impl<S: blocking::Store + 'static> Blocking<S> {
    /// Returns an async store that runs `store` on the blocking pool.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(Guard(Some(store))),
            permits: Arc::new(Semaphore::new(CONCURRENT_CALLS)),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&S) -> Result<T, S::Error> + Send + 'static,
    ) -> Result<T, BoxError> {
        let guard = Arc::clone(&self.store);
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        let running = spawn_blocking(move || {
            let _permit = permit;
            let store = guard.0.as_ref().ok_or(SHUT_DOWN)?;
            call(store).map_err(Into::into)
        });
        match running.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => Err(PANICKED.into()),
            Err(_) => Err(SHUT_DOWN.into()),
        }
    }
}

/// Drops the store outside of async contexts.
#[derive(Debug)]
struct Guard<S: Send + 'static>(Option<S>);

impl<S: Send + 'static> Drop for Guard<S> {
    fn drop(&mut self) {
        let store = self.0.take();
        // Not on the blocking pool: a pool that is shutting down would drop the store right here.
        if Handle::try_current().is_ok() {
            // Without a thread it is dropped here, since a panic in a drop can abort the process.
            let _ = thread::Builder::new().spawn(move || drop(store));
        }
    }
}

impl<S: blocking::Store + 'static> Store for Blocking<S> {
    type Error = BoxError;

    async fn load(&self, key: &str) -> Result<Option<Record>, BoxError> {
        let key = key.to_owned();
        self.run(move |store| store.load(&key)).await
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, BoxError> {
        let (key, new) = (key.to_owned(), new.clone());
        self.run(move |store| store.compare_and_swap(&key, expected, &new)).await
    }

    async fn remove(&self, key: &str) -> Result<(), BoxError> {
        let key = key.to_owned();
        self.run(move |store| store.remove(&key)).await
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// An object-safe [`Store`] with a boxed error.
pub(crate) trait AnyStore: Send + Sync {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Record>>;
    fn compare_and_swap<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        new: &'a Record,
    ) -> BoxFuture<'a, Outcome>;
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()>;
}

impl<S: Store> AnyStore for S {
    fn load<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Record>> {
        Box::pin(async move { Store::load(self, key).await.map_err(Into::into) })
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        new: &'a Record,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let swapped = Store::compare_and_swap(self, key, expected, new).await;
            swapped.map_err(Into::into)
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { Store::remove(self, key).await.map_err(Into::into) })
    }
}

/// Awaits a call of a store, up to a time limit.
pub(crate) async fn call<T>(limit: Duration, call: BoxFuture<'_, T>) -> Result<T, BoxError> {
    match timeout(limit, catch_panic(call)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panicked)) => Err(panicked.into()),
        Err(_) => Err(format!("the store did not respond within {limit:?}").into()),
    }
}

/// Awaits a future and converts a panic into an error.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, &'static str> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(Err(PANICKED)), |polled| polled.map(Ok))
    })
    .await
}
