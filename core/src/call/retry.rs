//! Retries where they are safe: a state machine over any operation.
//!
//! ```text
//!                         handle
//!   Retry::new ──▶ Retry ────────▶ Break(the result or the last error)
//!                    ▲  │
//!             resume │  │ handle
//!                    │  ▼
//!                 RetryWait    until a time or for a delay
//! ```

use alloc::vec::Vec;
use core::{ops::ControlFlow, time::Duration};

use http::{Request, Response, StatusCode};

use super::CallError;
use crate::{
    operation::{Operation, Replay},
    response::{
        error::Error,
        rate_limit::{self, Timing},
    },
    setters::setters,
    time::UnixTime,
};

/// How often and for how long a request is retried.
///
/// The policy does not decide whether a retry is safe. A request that is [`Replay::Never`] is
/// retried only if it was provably not sent or was rate-limited (429); one that is
/// [`Replay::Safe`] also if its delivery is unknown, and after a 5xx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first. Defaults to 4.
    pub attempts: u32,
    /// The maximum backoff before the second attempt. Defaults to 500 ms.
    ///
    /// It doubles with each attempt. The backoff is chosen at random between zero and the maximum
    /// ("full jitter"), so that clients that failed together do not retry together.
    pub base_delay: Duration,
    /// The limit of the doubled backoff. Defaults to 10 s.
    pub max_delay: Duration,
    /// The maximum time from the first to the last attempt. Defaults to 60 s. A wait that would
    /// exceed it is not started, even if the server asks for it.
    pub total: Duration,
}

/// Four attempts within a minute, because a user usually waits for the result.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(10),
            total: Duration::from_secs(60),
        }
    }
}

setters! {
    RetryPolicy { attempts: u32, base_delay: Duration, max_delay: Duration, total: Duration }
}

impl RetryPolicy {
    /// The backoff after the attempt with this number, counted from 1.
    fn backoff(&self, attempt: u32, entropy: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.base_delay.saturating_mul(1 << doublings).min(self.max_delay);
        fraction(longest, entropy)
    }
}

/// A part of `duration`, from zero to almost all of it, chosen uniformly by `entropy`.
pub(crate) fn fraction(duration: Duration, entropy: u64) -> Duration {
    let nanos = duration.as_nanos().min(u128::from(u64::MAX));
    // Both factors are below 2^64, so the product fits, and so does its upper half.
    let share = (nanos * u128::from(entropy)) >> 64;
    Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
}

#[doc = include_str!("retry.md")]
#[derive(Debug)]
#[must_use = "an operation does nothing until its request is sent"]
pub struct Retry<O> {
    operation: O,
    policy: RetryPolicy,
    started: UnixTime,
    /// The number of this attempt, counted from 1.
    attempt: u32,
}

impl<O: Operation> Retry<O> {
    /// Returns the first attempt. The total time of the policy starts at `now`.
    pub fn new(operation: O, policy: RetryPolicy, now: UnixTime) -> Self {
        Self { operation, policy, started: now, attempt: 1 }
    }

    /// Returns the request of this attempt, to be sent once.
    #[must_use]
    pub fn request(&self) -> Request<Vec<u8>> {
        self.operation.request()
    }

    /// The name of the operation, and how often its request was sent before this attempt.
    #[cfg(feature = "tracing")]
    pub(crate) fn name_and_resends(&self) -> (&'static str, u32) {
        (self.operation.name(), self.attempt - 1)
    }

    /// Handles the outcome of this attempt at `now`. `entropy` is 64 random bits for the backoff.
    ///
    /// Returns `Break` with the result or the last error, or `Continue` with the wait before the
    /// next attempt.
    pub fn handle<B: AsRef<[u8]>>(
        self,
        now: UnixTime,
        entropy: u64,
        outcome: Result<Response<B>, CallError>,
    ) -> ControlFlow<Result<O::Output, CallError>, RetryWait<O>> {
        match self.wait(now, entropy, &outcome) {
            Some(delay) => ControlFlow::Continue(RetryWait {
                retry: self,
                until: now.saturating_add(delay),
                delay,
            }),
            None => {
                ControlFlow::Break(outcome.and_then(|response| Ok(self.operation.parse(response)?)))
            }
        }
    }

    /// How long to wait before the next attempt; `None` if there is no next attempt.
    fn wait<B>(
        &self,
        now: UnixTime,
        entropy: u64,
        outcome: &Result<Response<B>, CallError>,
    ) -> Option<Duration> {
        let replay = self.operation.replay();
        if self.attempt >= self.policy.attempts || !may_retry(replay, outcome) {
            return None;
        }
        // The backoff is added to the wait that the server asks for, so that clients that were told
        // the same time do not retry together.
        let requested = match outcome {
            Ok(response) => {
                let Timing { rate_limit, retry_after, .. } =
                    Timing::from_headers(response.headers());
                rate_limit::wait(response.status(), retry_after, rate_limit, now)
            }
            Err(error) => error.retry_after(now),
        };
        let backoff = self.policy.backoff(self.attempt, entropy);
        let wait = requested.unwrap_or_default().saturating_add(backoff);
        let elapsed = now.saturating_since(self.started);
        (elapsed.saturating_add(wait) <= self.policy.total).then_some(wait)
    }
}

/// The wait before the next attempt of an operation.
#[derive(Debug)]
#[must_use = "an operation that is not resumed is not retried"]
pub struct RetryWait<O> {
    retry: Retry<O>,
    until: UnixTime,
    delay: Duration,
}

impl<O> RetryWait<O> {
    /// Returns when to resume.
    #[must_use]
    pub fn until(&self) -> UnixTime {
        self.until
    }

    /// Returns how long to wait. Unlike [`until`](Self::until), it does not depend on changes of
    /// the clock.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Returns the next attempt.
    pub fn resume(self) -> Retry<O> {
        let attempt = self.retry.attempt.saturating_add(1);
        Retry { attempt, ..self.retry }
    }
}

/// Whether a retry is safe after this outcome.
fn may_retry<B>(replay: Replay, outcome: &Result<Response<B>, CallError>) -> bool {
    let safe = replay == Replay::Safe;
    match outcome {
        Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => true,
        Ok(response) => safe && response.status().is_server_error(),
        // An insecure URI stays insecure.
        Err(CallError::NotSent(failure)) if failure.is_insecure() => false,
        Err(CallError::Unknown { .. } | CallError::Answered(Error::ServerFault(_))) => safe,
        Err(error) => error.had_no_effect(),
    }
}
