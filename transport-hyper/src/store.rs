//! Async storage for session records.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    thread,
    time::Duration,
};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_store::{self as blocking, MemoryStore};
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Async storage for session records.
///
/// This is the counterpart of the [blocking trait](dropbox_sign_oauth_store), whose documentation
/// has the statements for PostgreSQL and Redis. [`Blocking`] turns a blocking store into an async
/// one.
///
/// A call is dropped after the policy's
/// [`store_timeout`](dropbox_sign_oauth::session::SessionPolicy::store_timeout).
///
/// ```
/// use dropbox_sign_oauth_hyper::{Store, session::{Record, Outcome}};
///
/// # struct Client;
/// # type ClientError = std::io::Error;
/// # impl Client {
/// #     async fn row(&self, _: &str, _: &str) -> Result<Option<String>, ClientError> { Ok(None) }
/// #     async fn swap(&self, _: &str, _: Option<u64>, _: u64, _: &str) -> Result<u64, ClientError> { Ok(0) }
/// #     async fn delete(&self, _: &str) -> Result<(), ClientError> { Ok(()) }
/// # }
/// /// A table with the sessions of all users.
/// struct Table {
///     client: Client,
/// }
///
/// impl Store for Table {
///     type Error = Box<dyn std::error::Error + Send + Sync>;
///
///     async fn load(&self, key: &str) -> Result<Option<Record>, Self::Error> {
///         let text = self.client.row("SELECT …", key).await?;
///         Ok(text.as_deref().map(Record::from_json).transpose()?)
///     }
///
///     async fn compare_and_swap(
///         &self,
///         key: &str,
///         expected: Option<u64>,
///         new: &Record,
///     ) -> Result<Outcome, Self::Error> {
///         let text = new.to_exposed_json();
///         // INSERT … if `expected` is `None`, else UPDATE … WHERE version = expected
///         let rows = self.client.swap(key, expected, new.version(), &text).await?;
///         Ok(if rows == 1 { Outcome::Stored } else { Outcome::Conflict })
///     }
///
///     async fn remove(&self, key: &str) -> Result<(), Self::Error> {
///         Ok(self.client.delete(key).await?)
///     }
/// }
/// ```
pub trait Store: Send + Sync + 'static {
    /// The error of a failed call.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Returns the record stored under `key`, if there is one.
    ///
    /// # Errors
    /// If the record cannot be read, or if [`Record::from_json`] rejects it. The method must not
    /// change the stored text.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Record>, Self::Error>> + Send;

    /// Stores `new` under `key` if the stored record has the version `expected`, or if there is no
    /// record and `expected` is `None`. Otherwise changes nothing and returns
    /// [`Outcome::Conflict`].
    ///
    /// # Errors
    /// If it is not known whether the record was stored. The session then loads the record to find
    /// out.
    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;

    /// Removes the record stored under `key`, if there is one, regardless of its version.
    ///
    /// # Errors
    /// If it is not known whether the record was removed.
    fn remove(&self, key: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl<S: Store> Store for Arc<S> {
    type Error = S::Error;

    async fn load(&self, key: &str) -> Result<Option<Record>, S::Error> {
        (**self).load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, S::Error> {
        (**self).compare_and_swap(key, expected, new).await
    }

    async fn remove(&self, key: &str) -> Result<(), S::Error> {
        (**self).remove(key).await
    }
}

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
            let store = guard.0.as_ref().ok_or(RuntimeShutDown)?;
            call(store).map_err(Into::into)
        });
        match running.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => Err(Panicked.into()),
            Err(_) => Err(RuntimeShutDown.into()),
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
            thread::spawn(move || drop(store));
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

/// Runs on the caller's thread, because the calls are short.
impl Store for MemoryStore {
    type Error = <Self as blocking::Store>::Error;

    async fn load(&self, key: &str) -> Result<Option<Record>, Self::Error> {
        blocking::Store::load(self, key)
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error> {
        blocking::Store::compare_and_swap(self, key, expected, new)
    }

    async fn remove(&self, key: &str) -> Result<(), Self::Error> {
        blocking::Store::remove(self, key)
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
        Err(_) => Err(StoreTimedOut(limit).into()),
    }
}

/// Awaits a future and converts a panic into an error.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(Err(Panicked)), |polled| polled.map(Ok))
    })
    .await
}

#[derive(Debug)]
struct StoreTimedOut(Duration);

impl fmt::Display for StoreTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store did not respond within {:?}", self.0)
    }
}

impl StdError for StoreTimedOut {}

/// The error if a store or a transport panics.
#[derive(Debug)]
pub(crate) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call panicked")
    }
}

impl StdError for Panicked {}

#[derive(Debug)]
struct RuntimeShutDown;

impl fmt::Display for RuntimeShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime is shutting down")
    }
}

impl StdError for RuntimeShutDown {}
