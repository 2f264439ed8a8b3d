//! Handles the outcomes of the jobs.

use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;

use super::{BoxError, SHORT_VERIFICATION, Session};
use crate::{
    call::CallError,
    response::token_response::TokenResponse,
    session::{
        JobId, Load, Outcome, Record, Refresh, RefreshState, Remove, Swap,
        record::Content,
        stage::{Change, Origin, Stage},
        verdict::Verdict,
    },
    time::UnixTime,
    token_set::TokenSet,
};

impl Session {
    /// Handles the outcome of loading the record.
    #[expect(clippy::needless_pass_by_value, reason = "an outcome consumes its job")]
    pub fn handle_load(
        &mut self,
        now: UnixTime,
        load: Load,
        outcome: Result<Option<Record>, impl Into<BoxError>>,
    ) {
        if !self.finish_job(load.id) {
            return;
        }
        let loaded = match outcome {
            Ok(loaded) => loaded,
            Err(error) => return self.store_failed(now, error.into()),
        };
        let version = |record: &Option<Record>| record.as_ref().map(Record::version);
        let [known, loaded_version] = [version(&self.record), version(&loaded)];
        if loaded_version < known && self.store.lags(now) {
            return;
        }
        self.store.loaded(now, known == loaded_version);
        self.is_claim_in_doubt = false;
        let is_renewed = self.adopt(loaded);
        self.stage = match self.take_stage() {
            Stage::Verifying { until, change } if !is_renewed => Stage::Verifying { until, change },
            Stage::Loading(Some(change)) => self.after_load(now, change),
            // If the record has a claim of this session, the refresh is claimed again: only a swap,
            // not a load, proves that the tokens are the latest.
            _ => Stage::Resting,
        };
    }

    fn after_load(&self, now: UnixTime, mut change: Box<Change>) -> Stage {
        if change.is_current(now, self.record.as_ref(), self.claim, &self.superseded) {
            Stage::Storing(change)
        } else {
            Stage::Resting
        }
    }

    /// Handles the outcome of storing a record.
    pub fn handle_swap(
        &mut self,
        now: UnixTime,
        swap: Swap,
        outcome: Result<Outcome, impl Into<BoxError>>,
    ) {
        if !self.finish_job(swap.id) {
            return;
        }
        match outcome {
            Err(error) => {
                self.doubt();
                self.store_failed(now, error.into());
            }
            Ok(Outcome::Conflict) => {
                self.store.conflicted(now);
                self.stage = match self.take_stage() {
                    Stage::Storing(change) => Stage::Loading(Some(change)),
                    Stage::Resting => Stage::Loading(None),
                    other => other,
                };
            }
            Ok(Outcome::Stored) => {
                self.store.stored();
                // A claim of unknown outcome was not stored and cannot be: it expects the version that
                // this swap replaced.
                self.is_claim_in_doubt = false;
                self.stage = match self.take_stage() {
                    Stage::Storing(change) => {
                        if matches!(change.origin, Origin::Refresh { .. }) {
                            self.label.tokens_stored();
                        }
                        self.superseded.clear();
                        self.adopt(Some(swap.record));
                        Stage::Resting
                    }
                    Stage::Resting => {
                        if self.has_foreign_claim() {
                            self.label.claim_taken_over();
                        }
                        self.adopt(Some(swap.record));
                        Stage::Refreshing
                    }
                    other => other,
                };
            }
        }
    }

    /// Handles the outcome of removing the record.
    #[expect(clippy::needless_pass_by_value, reason = "an outcome consumes its job")]
    pub fn handle_remove(
        &mut self,
        now: UnixTime,
        remove: Remove,
        outcome: Result<(), impl Into<BoxError>>,
    ) {
        if !self.finish_job(remove.id) {
            return;
        }
        if let Err(error) = outcome {
            return self.store_failed(now, error.into());
        }
        self.store.stored();
        if matches!(self.stage, Stage::Ending) {
            self.stage = Stage::Resting;
        }
    }

    /// Handles the outcome of a refresh. `entropy` is 64 random bits, for the time of the next one.
    ///
    /// Tokens that arrive late are stored as well, unless there are newer ones.
    pub fn handle_refresh(
        &mut self,
        now: UnixTime,
        entropy: u64,
        refresh: Refresh,
        outcome: Result<TokenResponse, CallError>,
    ) {
        let was_active = self.finish_job(refresh.id);
        let Some(content) = self.record.as_ref().map(Record::content) else {
            return;
        };
        if content.tokens != refresh.of || self.has_unstored_tokens() {
            return;
        }
        match outcome {
            Ok(response) => {
                let tokens = TokenSet::new(response, now);
                let (tokens, refresh_state) = self.policy.schedule(now, entropy, tokens);
                let content = Content {
                    refreshed_at: Some(UnixTime::from_secs(now.as_secs())),
                    tokens,
                    refresh: refresh_state,
                    failures: 0,
                    rejections: 0,
                    ..content.clone()
                };
                let of = refresh.of;
                self.stage = Stage::Storing(Change::new(content, Origin::Refresh { of }));
                self.active = None;
            }
            Err(error) if was_active => self.refresh_failed(now, entropy, content.clone(), error),
            // The session has returned the refresh again. The outcome of that job decides.
            Err(_) => {}
        }
    }

    fn refresh_failed(
        &mut self,
        now: UnixTime,
        entropy: u64,
        mut content: Content,
        error: CallError,
    ) {
        content.failures = content.failures.saturating_add(1);
        self.label.refresh_failed(&error, content.failures);
        let verdict = Verdict::of(&error);
        content.rejections = match verdict {
            Verdict::Rejected => content.rejections.saturating_add(1),
            Verdict::Revoked | Verdict::Configuration | Verdict::Failed => content.rejections,
        };
        if verdict == Verdict::Revoked {
            content.refresh = RefreshState::Revoked;
            let time = if self.may_repeat {
                self.policy.lease_time()
            } else {
                SHORT_VERIFICATION.min(self.policy.lease_time())
            };
            self.store.resume();
            self.stage = Stage::Verifying {
                until: now.saturating_add(time),
                change: Change::new(content, Origin::Failure),
            };
        } else {
            let left = match verdict {
                Verdict::Configuration => Duration::MAX,
                _ => self.time_left(now),
            };
            let policy = &self.policy;
            content.refresh = policy.pause_after(now, entropy, &error, &content, left);
            self.stage = Stage::Storing(Change::new(content, Origin::Failure));
        }
        self.refresh_failure = Some(Arc::new(error));
    }

    /// Abandons a job whose task ended before the job finished. Its outcome is unknown.
    pub fn abandon(&mut self, id: JobId) {
        let is_swap = self.active.is_some_and(|job| job.is_swap);
        if self.finish_job(id) && is_swap {
            self.doubt();
        }
    }

    /// Gives up a call of the store that exceeded its time limit. Its outcome is unknown, and
    /// ignored if it arrives late.
    pub fn give_up(&mut self, now: UnixTime, id: JobId, error: impl Into<BoxError>) {
        let is_active = self.active.is_some_and(|job| job.id == id);
        self.abandon(id);
        if is_active {
            self.store_failed(now, error.into());
        }
    }

    /// Finishes a job. Returns whether it was active.
    fn finish_job(&mut self, id: JobId) -> bool {
        self.active.take_if(|job| job.id == id).is_some()
    }
}
