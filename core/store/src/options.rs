//! The options of the adapters' sessions.

use std::time::Duration;

use dropbox_sign_oauth::{RetryPolicy, session::SessionPolicy};

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
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SessionOptions {
    /// When tokens are refreshed, and what happens when that fails.
    pub policy: SessionPolicy,
    /// How `Session::send` retries a failed call. Defaults to `None`: no retries.
    pub retry: Option<RetryPolicy>,
    /// How long `flush` waits for new tokens to be stored. Defaults to 20 s, because service
    /// managers commonly allow 30 s for a shutdown.
    pub flush_timeout: Duration,
    /// How many idle sessions stay in memory. Defaults to 10,000, which take less than 14 MB. An
    /// evicted session is loaded from the store when it is next used.
    pub idle_limit: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            policy: SessionPolicy::default(),
            retry: None,
            flush_timeout: Duration::from_secs(20),
            idle_limit: 10_000,
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
}
