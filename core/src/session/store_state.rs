//! How the store of a session behaves, and the pauses that follow from it.

use alloc::{boxed::Box, sync::Arc};
#[cfg(test)]
use core::hash::{Hash, Hasher};
use core::{error::Error as StdError, time::Duration};

use crate::time::UnixTime;

/// The pause after the first failure of the store. It doubles with each failure in a row.
const FIRST_FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause after a failure of the store, which is then called about twice a minute while
/// it is down.
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_secs(30);

/// The pause after the second conflict in a row. There is none after the first. It doubles with
/// each further conflict.
const FIRST_CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause after a conflict.
const LONGEST_CONFLICT_PAUSE: Duration = Duration::from_secs(5);

/// The time before the record is read again while another process may change it. It doubles each
/// time that the record is unchanged.
const FIRST_RELOAD: Duration = Duration::from_millis(50);

/// The longest time between two reads of the record by a caller that waits.
const LONGEST_RELOAD: Duration = Duration::from_secs(1);

/// How many loads in a row that return an older record than the known one are attributed to a
/// lagging replica. The next one is accepted.
const MAX_LAGS: u32 = 5;

#[derive(Clone, Default, Debug)]
pub(super) struct StoreState {
    failure: Option<Arc<dyn StdError + Send + Sync>>,
    pub(super) failures: u32,
    conflicts: u32,
    lags: u32,
    reloads: u32,
    /// When the next job may start after a failure or a conflict.
    resume_at: Option<(UnixTime, Duration)>,
    /// When the record may be read again while there is nothing else to do.
    reload_at: Option<(UnixTime, Duration)>,
}

impl StoreState {
    /// Why the last call failed, if it did.
    pub(super) fn failure(&self) -> Option<Arc<dyn StdError + Send + Sync>> {
        self.failure.clone()
    }

    pub(super) fn is_paused(&self, now: UnixTime) -> bool {
        self.resume_at.is_some_and(|time| is_ahead(time, now))
    }

    pub(super) fn resume_at(&self) -> UnixTime {
        self.resume_at.map_or(UnixTime::from_secs(0), |(at, _)| at)
    }

    pub(super) fn may_reload(&self, now: UnixTime) -> bool {
        !self.reload_at.is_some_and(|time| is_ahead(time, now))
    }

    pub(super) fn reload_at(&self) -> UnixTime {
        self.reload_at.map_or(UnixTime::from_secs(0), |(at, _)| at)
    }

    /// Ends the pauses, for new work.
    pub(super) fn resume(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: UnixTime, error: Box<dyn StdError + Send + Sync>) {
        self.failure = Some(error.into());
        self.pause(now, doubled(FIRST_FAILURE_PAUSE, self.failures).min(LONGEST_FAILURE_PAUSE));
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn conflicted(&mut self, now: UnixTime) {
        self.succeeded();
        if let Some(doublings) = self.conflicts.checked_sub(1) {
            self.pause(now, doubled(FIRST_CONFLICT_PAUSE, doublings).min(LONGEST_CONFLICT_PAUSE));
        }
        self.conflicts = self.conflicts.saturating_add(1);
    }

    pub(super) fn stored(&mut self) {
        self.succeeded();
        self.conflicts = 0;
    }

    pub(super) fn loaded(&mut self, now: UnixTime, is_unchanged: bool) {
        self.succeeded();
        self.lags = 0;
        self.reloads = if is_unchanged { self.reloads.saturating_add(1) } else { 0 };
        let delay = doubled(FIRST_RELOAD, self.reloads).min(LONGEST_RELOAD);
        self.reload_at = Some((now.saturating_add(delay), delay));
    }

    /// Notes that a record was loaded that is older than the known one. Returns whether to read
    /// again instead of accepting it.
    pub(super) fn lags(&mut self, now: UnixTime) -> bool {
        self.succeeded();
        if self.lags >= MAX_LAGS {
            return false;
        }
        self.pause(now, doubled(FIRST_RELOAD, self.lags));
        self.lags += 1;
        true
    }

    /// Hashes what the next calls depend on. Times are relative to `now`.
    #[cfg(test)]
    pub(super) fn hash_relative(&self, now: UnixTime, to: &mut impl Hasher) {
        let ahead =
            |time: Option<(UnixTime, Duration)>| time.map(|(at, _)| at.saturating_since(now));
        self.failure.is_some().hash(to);
        (self.failures, self.conflicts, self.lags).hash(to);
        self.reloads.min(5).hash(to);
        (ahead(self.resume_at), ahead(self.reload_at)).hash(to);
    }

    fn succeeded(&mut self) {
        self.failure = None;
        self.failures = 0;
        self.resume_at = None;
    }

    fn pause(&mut self, now: UnixTime, delay: Duration) {
        self.resume_at = Some((now.saturating_add(delay), delay));
    }
}

fn doubled(delay: Duration, doublings: u32) -> Duration {
    delay.saturating_mul(1 << doublings.min(20))
}

/// Whether a time is ahead. A time that is farther ahead than when it was set does not count,
/// because the clock jumped.
fn is_ahead((at, delay): (UnixTime, Duration), now: UnixTime) -> bool {
    now < at && at.saturating_since(now) <= delay
}
