//! What is counted.

use std::time::Duration;

use crate::service::Fate;

/// What came of a week.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tally {
    /// Calls of the token endpoint, by what became of them.
    pub(crate) refreshed: u64,
    pub(crate) invalid_grant: u64,
    pub(crate) throttled: u64,
    pub(crate) server_fault: u64,
    pub(crate) not_sent: u64,
    pub(crate) per_minute: Vec<u32>,
    /// Refreshed tokens that nobody used.
    pub(crate) unused: u64,
    /// Uses of a session, by how they came to a token.
    pub(crate) uses: u64,
    pub(crate) at_once: u64,
    pub(crate) waited: u64,
    pub(crate) failed: u64,
    pub(crate) waiting: Duration,
    pub(crate) longest_wait: Duration,
    /// Access tokens that the service refused.
    pub(crate) refused: u64,
    /// Users who had to authorize again because they had taken their grant back.
    pub(crate) revoked: u64,
    /// Users who had to authorize again although their refresh token still worked.
    pub(crate) lost_good_grants: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, fate: Fate, second: u64) {
        let of_its_kind = match fate {
            Fate::Refreshed => &mut self.refreshed,
            Fate::InvalidGrant => &mut self.invalid_grant,
            Fate::Throttled => &mut self.throttled,
            Fate::ServerFault => &mut self.server_fault,
            Fate::NotSent => &mut self.not_sent,
        };
        *of_its_kind += 1;
        let minute = usize::try_from(second / 60).expect("a minute of some week");
        if self.per_minute.len() <= minute {
            self.per_minute.resize(minute + 1, 0);
        }
        self.per_minute[minute] += 1;
    }

    pub(crate) fn waited_for(&mut self, time: Duration) {
        self.waited += 1;
        self.waiting += time;
        self.longest_wait = self.longest_wait.max(time);
    }

    /// Calls of the token endpoint.
    pub(crate) fn calls(&self) -> u64 {
        self.refreshed + self.invalid_grant + self.throttled + self.server_fault + self.not_sent
    }

    /// The calls in a minute.
    pub(crate) fn mean(&self) -> f64 {
        let minutes = u32::try_from(self.per_minute.len()).unwrap_or(u32::MAX);
        let calls: f64 = self.per_minute.iter().copied().map(f64::from).sum();
        calls / f64::from(minutes.max(1))
    }

    /// In seconds, of those who waited.
    pub(crate) fn mean_wait(&self) -> f64 {
        let waited = u32::try_from(self.waited).unwrap_or(u32::MAX);
        self.waiting.as_secs_f64() / f64::from(waited.max(1))
    }

    /// The most calls in a minute.
    pub(crate) fn peak(&self) -> u32 {
        self.per_minute.iter().copied().max().unwrap_or_default()
    }
}
