//! The options of the adapters' sessions.

use std::{fmt, sync::Arc, time::Duration};

use dropbox_sign_oauth::{RetryPolicy, UnixTime, session::SessionPolicy};

/// Options of an adapter's `Sessions`.
///
/// ```
/// use std::time::Duration;
/// use dropbox_sign_oauth::RetryPolicy;
/// use dropbox_sign_oauth_store::SessionOptions;
///
/// let options = SessionOptions::default()
///     .retry(RetryPolicy::default())
///     .flush_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionOptions {
    /// When tokens are refreshed, and what happens when that fails.
    pub policy: SessionPolicy,
    /// How `Session::send` and `Session::exchange` retry a failed call. Defaults to `None`: no
    /// retries.
    pub retry: Option<RetryPolicy>,
    /// How long `flush` waits for new tokens to be stored. Defaults to 20 s, because service
    /// managers commonly allow 30 s for a shutdown.
    pub flush_timeout: Duration,
    /// How many idle sessions stay in memory. Defaults to 10,000, which take less than 14 MB. An
    /// evicted session is loaded from the store when it is next used.
    pub idle_limit: usize,
    /// The clock. Defaults to the system clock.
    pub clock: Clock,
}

/// A clock, for tests that do not wait until tokens expire.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixTime + Send + Sync>);

impl Clock {
    /// Returns a clock whose time is that of `now`. A session reads it when it is called and when it
    /// has slept; it sleeps by the system's clock, at most a minute at a time.
    #[must_use]
    pub fn new(now: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.0()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(UnixTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            policy: SessionPolicy::default(),
            retry: None,
            flush_timeout: Duration::from_secs(20),
            idle_limit: 10_000,
            clock: Clock::default(),
        }
    }
}

impl SessionOptions {
    /// Sets [`policy`](Self::policy).
    #[must_use]
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets [`flush_timeout`](Self::flush_timeout).
    #[must_use]
    pub fn flush_timeout(mut self, limit: Duration) -> Self {
        self.flush_timeout = limit;
        self
    }

    /// Sets [`idle_limit`](Self::idle_limit).
    #[must_use]
    pub fn idle_limit(mut self, sessions: usize) -> Self {
        self.idle_limit = sessions;
        self
    }

    /// Sets [`clock`](Self::clock).
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}
