//! Recognizes states that were seen before.

use core::{
    hash::{Hash, Hasher},
    mem,
    time::Duration,
};
use std::{format, hash::DefaultHasher};

use super::{
    exhaustive::State,
    world::{CallResult, World},
};
use crate::{
    UnixTime,
    session::{Job, Outcome, Record, RefreshState, Session, record::Content, stage::Stage},
};

impl State {
    /// Returns a hash that is equal for states with the same future.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.faults.hash(&mut hasher);
        self.world.hash(&mut hasher);
        hasher.finish()
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, to: &mut H) {
        for family in &self.service.families {
            (family.generation, family.is_revoked, family.is_excused).hash(to);
        }
        self.hash_record(self.stored.as_ref(), to);
        self.hash_record(self.previous.as_ref(), to);
        for process in &self.processes {
            let Session {
                app: _,
                policy: _,
                record,
                is_rejected,
                stage,
                active,
                last_job: _,
                claim,
                is_claim_in_doubt,
                may_repeat,
                superseded,
                refresh_failure,
                store,
                label: _,
            } = &process.session;
            (process.is_stopped, process.incarnation).hash(to);
            self.hash_record(record.as_ref(), to);
            (is_rejected, claim, is_claim_in_doubt, may_repeat, superseded).hash(to);
            refresh_failure.is_some().hash(to);
            store.hash_relative(self.time, to);
            mem::discriminant(stage).hash(to);
            if let Stage::Verifying { until, .. } = stage {
                self.hash_time(*until, to);
            }
            let change = match stage {
                Stage::Loading(change) => change.as_ref(),
                Stage::Storing(change) | Stage::Verifying { change, .. } => Some(change),
                Stage::Resting | Stage::Refreshing | Stage::Ending => None,
            };
            change.is_some().hash(to);
            if let Some(change) = change {
                self.hash_content(&change.content, to);
                change.in_doubt.hash(to);
                format!("{:?}", change.origin).hash(to);
            }
            let active_call = active.map(|active| {
                self.hash_time(active.until, to);
                process.calls.iter().position(|call| call.job.id() == active.id)
            });
            active_call.hash(to);
            for call in &process.calls {
                (call.is_orphan, call.is_dead, mem::discriminant(&call.job)).hash(to);
                match &call.job {
                    Job::Swap(swap) => {
                        self.hash_version(swap.expected(), to);
                        self.hash_record(Some(swap.record()), to);
                    }
                    Job::Refresh(refresh) => refresh.of.access_token.expose().hash(to),
                    Job::Load(_) | Job::Remove(_) => {}
                }
                match &call.result {
                    None => 0.hash(to),
                    Some(CallResult::Loaded(record)) => self.hash_record(record.as_ref(), to),
                    Some(CallResult::Swapped(outcome)) => (*outcome == Outcome::Stored).hash(to),
                    Some(CallResult::Refreshed(status, body)) => (status, body).hash(to),
                    Some(CallResult::Removed) => {}
                }
            }
        }
    }
}

impl World {
    fn hash_record(&self, record: Option<&Record>, to: &mut impl Hasher) {
        record.is_some().hash(to);
        if let Some(record) = record {
            self.hash_version(Some(record.version()), to);
            self.hash_content(record.content(), to);
        }
    }

    /// Hashes the difference from the stored version, because the values of versions have no
    /// effect.
    fn hash_version(&self, version: Option<u64>, to: &mut impl Hasher) {
        let stored = self.stored.as_ref().map_or(0, Record::version);
        version.map(|version| version.wrapping_sub(stored)).hash(to);
    }

    fn hash_content(&self, content: &Content, to: &mut impl Hasher) {
        let tokens = &content.tokens;
        (content.grant, content.replaced, content.failures, content.rejections).hash(to);
        (tokens.access_token.expose(), content.refreshed_at.is_some()).hash(to);
        tokens.expires_at.is_some_and(|at| at <= self.time).hash(to);
        mem::discriminant(&content.refresh).hash(to);
        // The time of an authorization that is older than this has no effect.
        self.hash_time(content.authorized_at.saturating_add(Duration::from_secs(10)), to);
        match content.refresh {
            RefreshState::InProgress { until, claim } => {
                let until = until.saturating_add(Duration::from_secs(10));
                (self.hash_time(until, to), claim).hash(to);
            }
            RefreshState::Paused(until) => self.hash_time(until, to),
            RefreshState::Due(at) => (at <= self.time).hash(to),
            RefreshState::OnRejection | RefreshState::Revoked => {}
        }
    }

    /// Hashes how long a time is ahead; all past times are the same.
    fn hash_time(&self, time: UnixTime, to: &mut impl Hasher) {
        time.saturating_since(self.time).hash(to);
    }
}
