//! When a session refreshes, and how it goes on when that fails.

use core::time::Duration;

use super::record::{Content, RefreshState};
use crate::{
    call_error::CallError,
    retry::{RetryPolicy, fraction},
    time::UnixTime,
    token_set::TokenSet,
};

/// When a [`Session`](super::Session) refreshes its tokens, and how it goes on when that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionPolicy {
    /// How long before its expiry an access token is refreshed at the latest. An outage of the
    /// service that is shorter than this fails nobody who uses the session meanwhile.
    pub margin: Duration,
    /// The span, before the margin, over which refreshes are spread at random, so that sessions
    /// that began together do not refresh together.
    ///
    /// Margin and spread are at most a quarter of a token's lifetime each.
    pub spread: Duration,
    /// How long nobody else refreshes after a session has claimed it. It is longer than a refresh
    /// can take, which is [`retry`](Self::retry)'s total time and the transport's deadline: a
    /// process that died in the middle is waited for so long by those whose token is no longer
    /// good. At least a second, and the same for all who share a store.
    pub lease: Duration,
    /// The longest pause after a refresh that failed, and at least half of which is kept; it
    /// doubles with each failure in a row, as long as the old access token is good.
    pub pause: Duration,
    /// The most that the longest pause grows to.
    pub longest_pause: Duration,
    /// How often one refresh is sent before it counts as failed, when there is no good token; ahead
    /// of expiry it is sent once, for nobody needs to wait for it.
    pub retry: RetryPolicy,
}

/// For tokens that live a day: they are refreshed after 16 to 22 hours, on the first use.
impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(2 * 60 * 60),
            spread: Duration::from_secs(6 * 60 * 60),
            lease: Duration::from_secs(2 * 60),
            pause: Duration::from_secs(30),
            longest_pause: Duration::from_secs(15 * 60),
            retry: RetryPolicy::default(),
        }
    }
}

/// The shortest lifetime that is believed. A token that expires as it arrives would be refreshed
/// without end; it is used until the service refuses it, as one whose lifetime is not known.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(10);

impl SessionPolicy {
    /// What is to be stored of tokens that were received at `now`.
    pub(super) fn content(
        &self,
        now: UnixTime,
        entropy: u64,
        grant: u64,
        mut tokens: TokenSet,
    ) -> Content {
        let believed = |at: &UnixTime| at.saturating_since(now) >= SHORTEST_LIFETIME;
        // In whole seconds, as it is stored: what is loaded again must be the same.
        let whole = |at: UnixTime| UnixTime::from_secs(at.as_secs());
        tokens.expires_at = tokens.expires_at.filter(believed).map(whole);
        let refresh = match tokens.expires_at {
            Some(expires_at) => RefreshState::Due(whole(self.due(now, entropy, expires_at))),
            None => RefreshState::OnRefusal,
        };
        Content {
            grant,
            tokens,
            refresh,
            failures: 0,
        }
    }

    /// When a token that was received at `now` is to be refreshed.
    fn due(&self, now: UnixTime, entropy: u64, expires_at: UnixTime) -> UnixTime {
        let most = expires_at.saturating_since(now) / 4;
        let margin = self.margin.min(most);
        let spread = fraction(self.spread.min(most), entropy);
        expires_at.saturating_sub(margin).saturating_sub(spread)
    }

    /// Until when no refresh is begun, after one that failed with `error`: `failures` of them in a
    /// row, while the old token is good for another `left`.
    pub(super) fn paused_until(
        &self,
        now: UnixTime,
        entropy: u64,
        error: &CallError,
        failures: u32,
        left: Duration,
    ) -> UnixTime {
        let doublings = failures.saturating_sub(1).min(31);
        let longest = self.pause.saturating_mul(1 << doublings);
        // Not beyond the expiry, from which on users wait for it.
        let longest = longest
            .min(self.longest_pause)
            .min(left)
            .max(self.pause)
            .min(self.longest_pause);
        let asked = match error {
            CallError::Answered(error) => error.rejection().and_then(|said| said.wait(now)),
            CallError::NotSent(_) | CallError::Unknown(_) => None,
        };
        now.saturating_add(asked.unwrap_or_default())
            .saturating_add(longest / 2)
            .saturating_add(fraction(longest / 2, entropy))
            .ceil()
    }
}
