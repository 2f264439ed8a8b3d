//! Chooses the next job.

use core::time::Duration;

use super::{ActiveJob, MIN_WAIT, Session, has_passed};
use crate::{
    session::{
        Background, Job, JobId, Load, Record, Refresh, RefreshState, Remove, Swap,
        record::Content,
        stage::{Origin, Stage},
    },
    time::UnixTime,
};

impl Session {
    /// Returns the next job, if one is due and none is active. Every caller that needs a token
    /// calls this first. `entropy` is 64 random bits; they identify the claims of this session.
    pub fn next_job(&mut self, now: UnixTime, entropy: u64) -> Option<Job> {
        match self.active {
            Some(job) if !has_passed(job.until, now, job.longest) => return None,
            Some(job) => self.abandon(job.id),
            None => {}
        }
        if matches!(self.stage, Stage::Refreshing) {
            if let Some(refresh) = self.refresh(now) {
                return Some(Job::Refresh(refresh));
            }
            // Too little of the lease is left: claim the refresh again.
            self.stage = Stage::Resting;
        }
        if self.store.is_paused(now) {
            return None;
        }
        if let Stage::Verifying { until, .. } = self.stage {
            let longest = self.policy.lease_time();
            if has_passed(until, now, longest) {
                if let Stage::Verifying { change, .. } = self.take_stage() {
                    self.stage = Stage::Storing(change);
                }
            }
        }
        match &self.stage {
            Stage::Loading(_) => Some(self.load(now)),
            Stage::Storing(change) => {
                let mut content = change.content.clone();
                if let Origin::Authorization { .. } = change.origin {
                    content.replaced = self.record.as_ref().map(|record| record.content().grant);
                }
                Some(self.swap(now, content))
            }
            Stage::Ending => {
                let id = self.start_store_job(now, false);
                Some(Job::Remove(Remove { id }))
            }
            Stage::Verifying { .. } => self.store.may_reload(now).then(|| self.load(now)),
            Stage::Resting | Stage::Refreshing => self.resting_job(now, entropy),
        }
    }

    fn resting_job(&mut self, now: UnixTime, entropy: u64) -> Option<Job> {
        let content = self.record.as_ref().map(Record::content);
        if let Some(content) = content.filter(|content| self.is_due(content, now)) {
            let until = now.saturating_add(self.policy.lease_time()).ceil();
            let own_claim = self.claim.unwrap_or(entropy);
            let may_repeat = self.has_foreign_claim() || content.failures > 0;
            let content = Content {
                refresh: RefreshState::InProgress { until, claim: own_claim },
                ..content.clone()
            };
            self.may_repeat = may_repeat;
            self.claim = Some(own_claim);
            return Some(self.swap(now, content));
        }
        let may_reload = self.valid_token(now).is_none() && self.store.may_reload(now);
        may_reload.then(|| self.load(now))
    }

    /// Returns the rest of the work that has begun: storing tokens, removing a record, or sending a
    /// claimed refresh. The task that ran a job calls it until it returns `Idle`, even if no caller
    /// waits.
    pub fn background(&mut self, now: UnixTime, entropy: u64) -> Background {
        if !self.has_begun() {
            return Background::Idle;
        }
        match self.next_job(now, entropy) {
            Some(job) => Background::Job(job),
            None if !self.has_begun() => Background::Idle,
            None => Background::Wait(match &self.active {
                Some(job) => job.until,
                None => self.wake_at().max(now.saturating_add(MIN_WAIT)),
            }),
        }
    }
}

impl Session {
    fn start_job(&mut self, is_swap: bool, until: UnixTime, longest: Duration) -> JobId {
        self.last_job = self.last_job.wrapping_add(1);
        let id = JobId(self.last_job);
        self.active = Some(ActiveJob { id, is_swap, until, longest });
        id
    }

    fn start_store_job(&mut self, now: UnixTime, is_swap: bool) -> JobId {
        // The driver enforces the time limit. This longer one applies if the driver died.
        let limit = self.policy.store_timeout.saturating_mul(2);
        self.start_job(is_swap, now.saturating_add(limit), limit.saturating_mul(2))
    }

    fn load(&mut self, now: UnixTime) -> Job {
        let id = self.start_store_job(now, false);
        Job::Load(Load { id })
    }

    fn swap(&mut self, now: UnixTime, content: Content) -> Job {
        let id = self.start_store_job(now, true);
        let previous = self.record.as_ref();
        Job::Swap(Swap {
            id,
            expected: previous.map(Record::version),
            record: Record::following(previous, now, content),
        })
    }

    /// The claimed refresh, if enough of the lease is left for all its attempts.
    fn refresh(&mut self, now: UnixTime) -> Option<Refresh> {
        let record = self.record.as_ref()?;
        let RefreshState::InProgress { until, .. } = record.refresh() else {
            return None;
        };
        let lease = self.policy.lease_time();
        let left = until.saturating_since(now);
        // `until` is rounded up to a second.
        if left < lease / 4 * 3 || left > lease.saturating_add(Duration::from_secs(1)) {
            return None;
        }
        let of = record.tokens().clone();
        let operation = self.app.refresh(of.refresh_token.as_ref()?);
        let mut retry = self.policy.retry;
        if self.valid_token(now).is_some() {
            retry.attempts = 1;
        }
        // A clock that jumps must not cause a second refresh while the first is in progress.
        let tolerance = self.policy.clock_tolerance;
        let id = self.start_job(
            false,
            until.saturating_add(tolerance),
            // The end of the claim is rounded up to a second.
            lease
                .saturating_add(tolerance.saturating_mul(3))
                .saturating_add(Duration::from_secs(1)),
        );
        self.label.refresh_started();
        Some(Refresh { id, operation, retry, of })
    }
}
