//! Sending again, when that is safe: a state machine over any operation.
//!
//! ```text
//!                         handle
//!   Retry::new ──▶ Retry ────────▶ Break(the result, or the last error)
//!                    ▲  │
//!             resume │  │ handle
//!                    │  ▼
//!                 RetryWait    until a time, or for a delay
//! ```

use alloc::vec::Vec;
use core::{ops::ControlFlow, time::Duration};

use http::{Request, Response, StatusCode};

use crate::{
    call_error::{CallError, CauseKind},
    error::Error,
    operation::{Operation, Replay},
    rate_limit::{self, RateLimit, RetryAfter},
    time::UnixTime,
};

/// How often, and for how long, an operation is sent again.
///
/// What may be sent again at all is no matter of policy: an operation that says
/// [`Replay::Never`] is, only when its request was provably not sent, or was turned away with a
/// 429; one that says [`Replay::Safe`] also when its delivery is unknown, or after a 5xx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// The most times that a request is sent, the first one among them.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each attempt. A wait is chosen
    /// at random between zero and that ("full jitter"), so that clients that failed together do
    /// not come back together.
    pub base: Duration,
    /// The most that the longest wait grows to.
    pub cap: Duration,
    /// The most time from the first attempt to the last one. A wait that would exceed it, be it by
    /// the server's wish, is not begun.
    pub total: Duration,
}

/// Four attempts within a minute: a user waits for most of them.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(10),
            total: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// A wait after the attempt of this number, counted from 1 on.
    fn backoff(&self, attempt: u32, entropy: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.base.saturating_mul(1 << doublings).min(self.cap);
        fraction(longest, entropy)
    }
}

/// A share of `duration`, from nothing to almost all of it, that `entropy` chooses uniformly.
pub(crate) fn fraction(duration: Duration, entropy: u64) -> Duration {
    let nanos = duration.as_nanos().min(u128::from(u64::MAX));
    // Both are below 2^64, so that their product fits, and its upper half too.
    let share = (nanos * u128::from(entropy)) >> 64;
    Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
}

/// An operation whose request is to be sent, and to be sent again where that is safe. No IO, no
/// clock, no randomness: whoever drives it brings them.
///
/// Send [`request`](Self::request), and give [`handle`](Self::handle) what comes of it. Both
/// adapters have it as `send_with_retry`.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use dropbox_sign_oauth::{App, CallError, Retry, RetryPolicy, Token, UnixTime};
/// use http::Response;
///
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let operation = app.refresh(&Token::new("hNTI2MTFm")?);
/// let mut now = UnixTime::from_secs(1_700_000_000);
/// let mut answers = [(503, "<html>"), (200, r#"{"access_token":"NWNiOTMx"}"#)].into_iter();
/// let mut send = |_request| answers.next().unwrap(); // in earnest, by a client
///
/// let mut retry = Retry::new(operation, RetryPolicy::default(), now);
/// let tokens = loop {
///     let (status, body) = send(retry.request());
///     let outcome: Result<_, CallError> = Ok(Response::builder().status(status).body(body)?);
///     let entropy = 0x5e5e_5e5e_5e5e_5e5e; // in earnest, from a random source
///     match retry.handle(now, entropy, outcome) {
///         ControlFlow::Break(result) => break result?,
///         ControlFlow::Continue(wait) => {
///             now = wait.until(); // in earnest, by sleeping
///             retry = wait.resume();
///         }
///     }
/// };
/// assert_eq!(tokens.access_token.expose(), "NWNiOTMx");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an operation does nothing until its request is sent"]
pub struct Retry<O> {
    operation: O,
    policy: RetryPolicy,
    started: UnixTime,
    /// Which attempt this is, from 1 on.
    attempt: u32,
}

impl<O: Operation> Retry<O> {
    /// Begins at `now`, from which the policy's total time counts.
    pub fn new(operation: O, policy: RetryPolicy, now: UnixTime) -> Self {
        Self {
            operation,
            policy,
            started: now,
            attempt: 1,
        }
    }

    /// The request of this attempt, to be sent once.
    #[must_use]
    pub fn request(&self) -> Request<Vec<u8>> {
        self.operation.request()
    }

    /// Takes what came, at `now`, of this attempt's request. `entropy` is 64 random bits, for the
    /// wait.
    ///
    /// `Break` with the result, or with the last error if the operation is not sent again;
    /// `Continue` with the wait before its next attempt.
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

    /// How long to wait before the request is sent again; `None` if it is not.
    fn wait<B>(
        &self,
        now: UnixTime,
        entropy: u64,
        outcome: &Result<Response<B>, CallError>,
    ) -> Option<Duration> {
        let replay = self.operation.replay();
        if self.attempt >= self.policy.attempts || !may_be_sent_again(replay, outcome) {
            return None;
        }
        // What the server asks for, and a share of the backoff on top: those who were told the
        // same time do not come at the same time.
        let asked = match outcome {
            Ok(response) => rate_limit::wait(
                response.status(),
                RetryAfter::from_headers(response.headers()),
                RateLimit::from_headers(response.headers()),
                now,
            ),
            Err(CallError::Answered(error)) => error.rejection().and_then(|said| said.wait(now)),
            Err(_) => None,
        };
        let backoff = self.policy.backoff(self.attempt, entropy);
        let wait = asked.unwrap_or_default().saturating_add(backoff);
        let elapsed = now.saturating_since(self.started);
        (elapsed.saturating_add(wait) <= self.policy.total).then_some(wait)
    }
}

/// The wait before an operation's next attempt.
#[derive(Debug)]
#[must_use = "an operation that is not resumed is not sent again"]
pub struct RetryWait<O> {
    retry: Retry<O>,
    until: UnixTime,
    delay: Duration,
}

impl<O> RetryWait<O> {
    /// When to resume.
    #[must_use]
    pub fn until(&self) -> UnixTime {
        self.until
    }

    /// How long it is until then: the better measure to sleep by, for a clock may be set.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// The next attempt.
    pub fn resume(self) -> Retry<O> {
        let attempt = self.retry.attempt.saturating_add(1);
        Retry {
            attempt,
            ..self.retry
        }
    }
}

/// Whether an operation may be sent again after this outcome of its request.
fn may_be_sent_again<B>(replay: Replay, outcome: &Result<Response<B>, CallError>) -> bool {
    let safe = replay == Replay::Safe;
    match outcome {
        Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => true,
        Ok(response) => safe && response.status().is_server_error(),
        // An address that no secret may be sent to stays one.
        Err(CallError::NotSent(cause)) => !matches!(cause.kind(), CauseKind::Insecure(_)),
        Err(CallError::Unknown(_) | CallError::Answered(Error::ServerFault(_))) => safe,
        Err(CallError::Answered(error)) => matches!(error, Error::Throttled(_)),
    }
}
