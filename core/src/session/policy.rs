//! When a session refreshes its tokens, and how long it pauses after a failure.

use core::time::Duration;

use super::record::{Content, RefreshState};
use crate::{
    call::{
        CallError,
        retry::{RetryPolicy, fraction},
    },
    setters::setters,
    time::UnixTime,
    token_set::TokenSet,
};

/// When a [`Session`](super::Session) refreshes its tokens, and how long it pauses after a failure.
///
/// All processes that share a store should have the same policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SessionPolicy {
    /// The shortest time before the expiry of an access token at which its refresh becomes due.
    /// Defaults to 2 hours. An access token in regular use then stays valid during a shorter outage
    /// of the service.
    ///
    /// Limited to a quarter of the token's lifetime.
    pub margin: Duration,
    /// The length of the period before the margin in which the refresh becomes due, at a random
    /// time. Defaults to 6 hours, so that sessions that began together do not refresh together.
    ///
    /// Limited to a quarter of the token's lifetime.
    pub spread: Duration,
    /// How long a claim of a refresh is valid. Defaults to 2 minutes; at least a second.
    ///
    /// It has to be longer than a refresh can take: the total time of [`retry`](Self::retry), and
    /// the deadline of the transport.
    pub lease: Duration,
    /// How far apart the clocks of the processes that share a store may be, and how far a clock may
    /// jump. Defaults to 10 minutes.
    ///
    /// A claim of another process counts as expired this long after the end of its lease. If a
    /// process dies during a refresh, the others refresh after the lease and this time. Until then
    /// they use the old token while it is valid.
    pub clock_tolerance: Duration,
    /// The time limit of one call of the store. Defaults to 5 seconds.
    pub store_timeout: Duration,
    /// The longest pause after the first failed refresh. Defaults to 30 seconds. It doubles with
    /// each failure in a row. The pause is a random time between half of it and all of it.
    pub pause: Duration,
    /// The limit of the doubled pause. Defaults to 15 minutes.
    pub longest_pause: Duration,
    /// How a refresh is retried while there is no valid access token. While there is one, a refresh
    /// is sent once, because no caller waits for it.
    pub retry: RetryPolicy,
}

/// Suits tokens that are valid for a day: they are refreshed at the first use after a random time
/// of 16 to 22 hours.
impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(2 * 60 * 60),
            spread: Duration::from_secs(6 * 60 * 60),
            lease: Duration::from_secs(2 * 60),
            clock_tolerance: Duration::from_secs(10 * 60),
            store_timeout: Duration::from_secs(5),
            pause: Duration::from_secs(30),
            longest_pause: Duration::from_secs(15 * 60),
            retry: RetryPolicy::default(),
        }
    }
}

/// The shortest lifetime that is accepted. A token with a shorter one is used until the server
/// rejects it, as with an unknown lifetime. Otherwise a token that expires on arrival would be
/// refreshed in an endless loop.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(10);

/// The shortest lease: a claim that expires while it is being stored would be repeated in an
/// endless loop.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

setters! {
    SessionPolicy {
        margin: Duration,
        spread: Duration,
        lease: Duration,
        clock_tolerance: Duration,
        store_timeout: Duration,
        pause: Duration,
        longest_pause: Duration,
        retry: RetryPolicy,
    }
}

impl SessionPolicy {
    /// The lease, at least a second.
    pub(super) fn lease_time(&self) -> Duration {
        self.lease.max(SHORTEST_LEASE)
    }

    /// Returns the tokens as they are stored, and when they are refreshed, if they are received at
    /// `now`.
    pub(super) fn schedule(
        &self,
        now: UnixTime,
        entropy: u64,
        mut tokens: TokenSet,
    ) -> (TokenSet, RefreshState) {
        let is_accepted = |at: &UnixTime| at.saturating_since(now) >= SHORTEST_LIFETIME;
        // Whole seconds, as in the stored form: a loaded record must equal the stored one.
        let whole = |at: UnixTime| UnixTime::from_secs(at.as_secs());
        tokens.expires_at = tokens.expires_at.filter(is_accepted).map(whole);
        let refresh = match tokens.expires_at {
            Some(expires_at) => RefreshState::Due(whole(self.due(now, entropy, expires_at))),
            None => RefreshState::OnRejection,
        };
        (tokens, refresh)
    }

    /// When a token that is received at `now` is refreshed.
    fn due(&self, now: UnixTime, entropy: u64, expires_at: UnixTime) -> UnixTime {
        let quarter = expires_at.saturating_since(now) / 4;
        let margin = self.margin.min(quarter);
        let spread = fraction(self.spread.min(quarter), entropy);
        expires_at.saturating_sub(margin).saturating_sub(spread)
    }

    /// The pause after a refresh that failed with `error`. `content` has the number of failures;
    /// the old token is valid for another `left`.
    pub(super) fn pause_after(
        &self,
        now: UnixTime,
        entropy: u64,
        error: &CallError,
        content: &Content,
        left: Duration,
    ) -> RefreshState {
        let doublings = content.failures.saturating_sub(1).min(31);
        let mut longest = self.pause.saturating_mul(1 << doublings);
        if content.rejections == 0 {
            // Not beyond the expiry, because callers then wait for the refresh.
            longest = longest.min(left).max(self.pause);
        }
        let longest = longest.min(self.longest_pause);
        let until = now
            .saturating_add(error.retry_after(now).unwrap_or_default())
            .saturating_add(longest / 2)
            .saturating_add(fraction(longest / 2, entropy));
        RefreshState::Paused(until.ceil())
    }
}
