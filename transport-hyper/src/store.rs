//! Where a session is kept, for callers that must not block.

use std::{error::Error as StdError, future::Future, panic, pin::Pin, sync::Arc};

use dropbox_sign_oauth::session::{Record, Swapped};
use dropbox_sign_oauth_store::{self as blocking, MemoryStore};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The place of one session's record, for callers that must not block.
///
/// What it has to do, with the SQL for PostgreSQL and the commands for Redis, is what its
/// [blocking sister](dropbox_sign_oauth_store) has to; [`Blocking`] makes one of that.
///
/// ```
/// use dropbox_sign_oauth_hyper::{Store, core::session::{Record, Swapped}};
///
/// # struct Client;
/// # #[derive(Debug)] struct ClientError;
/// # impl std::fmt::Display for ClientError {
/// #     fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) }
/// # }
/// # impl std::error::Error for ClientError {}
/// # impl Client {
/// #     async fn row(&self, _: &str, _: &str) -> Result<Option<String>, ClientError> { Ok(None) }
/// #     async fn swap(&self, _: &str, _: Option<u64>, _: u64, _: &str) -> Result<u64, ClientError> { Ok(0) }
/// # }
/// /// The record of one user, in a table.
/// struct UserStore {
///     client: Client,
///     user_id: String,
/// }
///
/// impl Store for UserStore {
///     type Error = Box<dyn std::error::Error + Send + Sync>;
///
///     async fn load(&self) -> Result<Option<Record>, Self::Error> {
///         let text = self.client.row("SELECT …", &self.user_id).await?;
///         Ok(text.as_deref().map(Record::from_json).transpose()?)
///     }
///
///     async fn compare_and_swap(
///         &self,
///         expected: Option<u64>,
///         new: Record,
///     ) -> Result<Swapped, Self::Error> {
///         let text = new.to_exposed_json();
///         // INSERT … if none is expected, else UPDATE … WHERE version = expected
///         let rows = self.client.swap(&self.user_id, expected, new.version(), &text).await?;
///         Ok(if rows == 1 { Swapped::Yes } else { Swapped::No })
///     }
/// }
/// ```
pub trait Store: Send + Sync + 'static {
    /// Why a store fails.
    type Error: Into<Box<dyn StdError + Send + Sync>> + Send;

    /// The record that is stored, if there is one.
    ///
    /// # Errors
    /// If it cannot be told, or is not one that this version reads.
    fn load(&self) -> impl Future<Output = Result<Option<Record>, Self::Error>> + Send;

    /// Stores `new` if the record that is stored has the version `expected`, or if there is none and
    /// `None` is expected; and changes nothing otherwise.
    ///
    /// # Errors
    /// If it is not known to be stored. It may be, for all that: the session finds out by itself.
    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: Record,
    ) -> impl Future<Output = Result<Swapped, Self::Error>> + Send;
}

impl<S: Store> Store for Arc<S> {
    type Error = S::Error;

    async fn load(&self) -> Result<Option<Record>, S::Error> {
        (**self).load().await
    }

    async fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: Record,
    ) -> Result<Swapped, S::Error> {
        (**self).compare_and_swap(expected, new).await
    }
}

/// A store that blocks, on tokio's threads for such: a file, say.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::{Blocking, FileStore};
///
/// let store = Blocking::new(FileStore::new("session.json")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Blocking<S>(Arc<S>);

impl<S: blocking::Store + 'static> Blocking<S> {
    /// Puts a store on tokio's threads for what blocks.
    pub fn new(store: S) -> Self {
        Self(Arc::new(store))
    }

    async fn on_thread<T: Send + 'static>(&self, work: impl FnOnce(&S) -> T + Send + 'static) -> T {
        let store = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                // The runtime is shutting down, and nobody waits for this any more.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl<S: blocking::Store + 'static> Store for Blocking<S> {
    type Error = S::Error;

    async fn load(&self) -> Result<Option<Record>, S::Error> {
        self.on_thread(S::load).await
    }

    async fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: Record,
    ) -> Result<Swapped, S::Error> {
        self.on_thread(move |store| store.compare_and_swap(expected, &new))
            .await
    }
}

/// It does not block for long enough to need a thread.
impl Store for MemoryStore {
    type Error = <Self as blocking::Store>::Error;

    async fn load(&self) -> Result<Option<Record>, Self::Error> {
        blocking::Store::load(self)
    }

    async fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: Record,
    ) -> Result<Swapped, Self::Error> {
        blocking::Store::compare_and_swap(self, expected, &new)
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// A [`Store`] of any error.
pub(crate) trait AnyStore: Send + Sync {
    fn load(&self) -> BoxFuture<'_, Option<Record>>;
    fn compare_and_swap(&self, expected: Option<u64>, new: Record) -> BoxFuture<'_, Swapped>;
}

impl<S: Store> AnyStore for S {
    fn load(&self) -> BoxFuture<'_, Option<Record>> {
        Box::pin(async { Store::load(self).await.map_err(Into::into) })
    }

    fn compare_and_swap(&self, expected: Option<u64>, new: Record) -> BoxFuture<'_, Swapped> {
        Box::pin(async move {
            let swapped = Store::compare_and_swap(self, expected, new).await;
            swapped.map_err(Into::into)
        })
    }
}
