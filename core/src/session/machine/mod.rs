//! The state machine.

mod jobs;
mod outcomes;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{error::Error as StdError, mem, time::Duration};

use super::{
    JobId, Record, RefreshState, SessionError, SessionPolicy, Step,
    error::REVOKED_AFTER_REJECTIONS,
    record::Content,
    stage::{Change, Origin, Replaced, Stage},
    store_state::StoreState,
    verdict::Verdict,
};
use crate::{
    app::App, call::CallError, response::rate_limit::MAX_WAIT, time::UnixTime, token::Token,
    token_set::TokenSet, trace::Label,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The minimum time between two refreshes of a rejected token. Otherwise a server that rejects a
/// token that it has just issued would cause a refresh for each call.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// How long the store is reloaded after `invalid_grant` if no other process should have refreshed.
/// Another process can have refreshed nevertheless, if its clock differs by more than the policy
/// tolerates.
const SHORT_VERIFICATION: Duration = Duration::from_secs(2);

/// How many superseded authorizations are remembered: more than can be in flight.
const MAX_SUPERSEDED: usize = 8;

/// The shortest wait that a caller gets.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// A session: keeps the tokens of one user valid. The module has an example.
#[derive(Clone, Debug)]
pub struct Session {
    app: App,
    policy: Arc<SessionPolicy>,
    /// The stored record, as far as known.
    record: Option<Record>,
    /// Whether the server rejected the access token of the record.
    is_rejected: bool,
    stage: Stage,
    active: Option<ActiveJob>,
    last_job: u64,
    /// The id of the claims of this session, once it has made one.
    claim: Option<u64>,
    /// Whether an attempt to store this claim had an unknown outcome.
    is_claim_in_doubt: bool,
    /// Whether the refresh in progress may repeat one of another process.
    may_repeat: bool,
    /// Authorizations that are older than the last one, and may still be stored.
    superseded: Vec<u64>,
    /// Why the last refresh failed in this process.
    refresh_failure: Option<Arc<CallError>>,
    store: StoreState,
    label: Label,
}

/// The job that a driver is running.
#[derive(Clone, Copy, Debug)]
struct ActiveJob {
    id: JobId,
    is_swap: bool,
    /// When it counts as abandoned.
    until: UnixTime,
    /// The longest time that `until` can be ahead if the clock did not jump.
    longest: Duration,
}

/// The interface to callers.
impl Session {
    /// Returns the session of a user. The first job loads its record, if the store has one.
    #[must_use]
    pub fn new(app: App, policy: impl Into<Arc<SessionPolicy>>) -> Self {
        Self {
            app,
            policy: policy.into(),
            record: None,
            is_rejected: false,
            stage: Stage::Loading(None),
            active: None,
            last_job: 0,
            claim: None,
            is_claim_in_doubt: false,
            may_repeat: false,
            superseded: Vec::new(),
            refresh_failure: None,
            store: StoreState::default(),
            label: Label::default(),
        }
    }

    /// Sets the key that the session has in its events (feature `tracing`).
    #[must_use]
    pub fn traced_as(self, key: &Arc<str>) -> Self {
        Self { label: Label::new(key), ..self }
    }

    /// Returns the stored record, as far as known.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Returns whether new tokens wait to be stored. They are not used before they are stored.
    #[must_use]
    pub fn has_unstored_tokens(&self) -> bool {
        self.stage.has_tokens()
    }

    /// Returns whether only a new authorization of the user helps, certainly or probably, as far as
    /// known in this process.
    #[must_use]
    pub fn needs_authorization(&self) -> bool {
        if self.has_unstored_tokens() {
            return false;
        }
        match &self.record {
            Some(record) => {
                record.refresh() == RefreshState::Revoked
                    || record.content().rejections >= REVOKED_AFTER_REJECTIONS
            }
            None => !matches!(self.stage, Stage::Loading(_)),
        }
    }

    /// Returns the access token if it is valid, and otherwise whether to wait for one. A valid
    /// token never waits for a job. Call [`next_job`](Self::next_job) first.
    #[must_use]
    pub fn poll(&self, now: UnixTime) -> Step<Token> {
        if matches!(self.stage, Stage::Ending) {
            return Step::Fail(SessionError::NoTokens);
        }
        if let Some(token) = self.valid_token(now) {
            return Step::Ready(token.clone());
        }
        if let Some(job) = &self.active {
            return wait(now, job.until);
        }
        if let Some(error) = self.store.failure() {
            return Step::Fail(SessionError::Store(error));
        }
        if matches!(self.stage, Stage::Verifying { .. }) {
            return wait(now, self.store.reload_at());
        }
        if !matches!(self.stage, Stage::Resting) {
            return wait(now, self.store.resume_at());
        }
        let Some(record) = &self.record else {
            return Step::Fail(SessionError::NoTokens);
        };
        let cause = self.refresh_failure.clone();
        let is_revoked = |cause: &Arc<CallError>| Verdict::of(cause) == Verdict::Revoked;
        Step::Fail(match record.refresh() {
            _ if record.tokens().refresh_token.is_none() => SessionError::Revoked { cause: None },
            RefreshState::Revoked => SessionError::Revoked { cause: cause.filter(is_revoked) },
            RefreshState::Paused(until) => SessionError::RefreshFailed {
                until,
                cause,
                rejections: record.content().rejections,
            },
            RefreshState::InProgress { .. } => {
                return wait(now, self.store.reload_at().max(self.store.resume_at()));
            }
            RefreshState::Due(_) | RefreshState::OnRejection => {
                return wait(now, self.store.resume_at());
            }
        })
    }

    /// Returns `Ready` once the changes of [`replace_tokens`](Self::replace_tokens) and
    /// [`end`](Self::end) are stored, and `Fail` if the last attempt failed. The session continues
    /// to retry it.
    #[must_use]
    pub fn poll_stored(&self, now: UnixTime) -> Step<()> {
        let is_stored = !self.has_unstored_tokens() && !matches!(self.stage, Stage::Ending);
        match (is_stored, &self.active, self.store.failure()) {
            (true, ..) => Step::Ready(()),
            (false, Some(job), _) => wait(now, job.until),
            (false, None, Some(error)) => Step::Fail(SessionError::Store(error)),
            (false, None, None) => wait(now, self.store.resume_at()),
        }
    }

    /// Returns `Ready` once the process can end without losing tokens: all changes are stored, and
    /// no refresh is in progress in this process. Returns `Fail` at the `deadline`.
    #[must_use]
    pub fn poll_flushed(&self, now: UnixTime, deadline: UnixTime) -> Step<()> {
        if !self.has_begun() {
            return Step::Ready(());
        }
        if deadline <= now {
            let late =
                || Arc::from(BoxError::from("the tokens were not stored before the timeout"));
            return Step::Fail(SessionError::Store(self.store.failure().unwrap_or_else(late)));
        }
        let until = self.active.map_or_else(|| self.wake_at(), |job| job.until);
        wait(now, until.min(deadline))
    }

    /// Handles a 401: the token is refreshed, unless it is not the current one or was refreshed
    /// less than a minute ago.
    pub fn handle_rejection(&mut self, now: UnixTime, access_token: &Token) {
        let Some(record) = &self.record else {
            return;
        };
        let is_current = record.tokens().access_token == *access_token;
        let is_recent = record.content().refreshed_at.is_some_and(|at| {
            now.saturating_since(at) < MIN_REFRESH_INTERVAL
                && at.saturating_since(now) <= self.policy.clock_tolerance
        });
        if is_current && !is_recent {
            self.is_rejected = true;
        }
    }

    /// Replaces the tokens with those of a new authorization, once these are stored. `entropy` is
    /// 64 random bits; they identify the authorization.
    pub fn replace_tokens(&mut self, now: UnixTime, entropy: u64, tokens: TokenSet) {
        self.supersede();
        // A removal that is in flight has to finish first: it would remove the new record.
        if !matches!(self.stage, Stage::Ending) {
            self.active = None;
        }
        let (tokens, refresh) = self.policy.schedule(now, entropy, tokens);
        let content = Content {
            grant: entropy,
            replaced: None,
            authorized_at: UnixTime::from_secs(now.as_secs()),
            refreshed_at: None,
            tokens,
            refresh,
            failures: 0,
            rejections: 0,
        };
        let origin = Origin::Authorization { replaces: Replaced::Unread, at: now };
        self.stage = Stage::Loading(Some(Change::new(content, origin)));
        self.store.resume();
    }

    /// Ends the session: forgets the tokens, and removes the record.
    pub fn end(&mut self) {
        self.supersede();
        // A swap that is in flight has to finish first: it would store the record again.
        if self.active.is_some_and(|job| !job.is_swap) {
            self.active = None;
        }
        self.adopt(None);
        self.is_claim_in_doubt = false;
        self.stage = Stage::Ending;
        self.store.resume();
    }
}

/// What the jobs and their outcomes share.
impl Session {
    /// Notes that the outcome of a swap is unknown.
    fn doubt(&mut self) {
        self.stage = match self.take_stage() {
            Stage::Storing(mut change) => {
                change.in_doubt = true;
                Stage::Loading(Some(change))
            }
            Stage::Resting => {
                self.is_claim_in_doubt = true;
                Stage::Loading(None)
            }
            other => other,
        };
    }

    fn store_failed(&mut self, now: UnixTime, error: BoxError) {
        self.store.failed(now, error);
        self.label.store_failed(self.store.failures);
    }

    /// Remembers the stored authorization and the one that is being stored, whose swap may still be
    /// in flight.
    fn supersede(&mut self) {
        let pending = self.stage.change().filter(|change| change.is_authorization());
        let pending = pending.map(|change| change.content.grant);
        let stored = self.record.as_ref().map(|record| record.content().grant);
        for grant in stored.into_iter().chain(pending) {
            if !self.superseded.contains(&grant) {
                self.superseded.push(grant);
            }
        }
        let excess = self.superseded.len().saturating_sub(MAX_SUPERSEDED);
        self.superseded.drain(..excess);
    }

    fn take_stage(&mut self) -> Stage {
        mem::replace(&mut self.stage, Stage::Resting)
    }

    /// Whether work has begun that has to be finished even if no caller waits.
    fn has_begun(&self) -> bool {
        match &self.stage {
            Stage::Resting | Stage::Loading(None) => {
                self.is_claim_in_doubt
                    || self.has_own_claim()
                    || self.active.is_some_and(|job| job.is_swap)
            }
            Stage::Loading(Some(_))
            | Stage::Refreshing
            | Stage::Storing(_)
            | Stage::Verifying { .. }
            | Stage::Ending => true,
        }
    }

    /// When the next job of the work that has begun is due, if no job is active.
    fn wake_at(&self) -> UnixTime {
        match &self.stage {
            Stage::Verifying { until, .. } => {
                self.store.reload_at().min(*until).max(self.store.resume_at())
            }
            _ => self.store.resume_at(),
        }
    }
}

/// What the session knows about the tokens and the claim.
impl Session {
    /// The access token, if it is valid as far as known.
    fn valid_token(&self, now: UnixTime) -> Option<&Token> {
        let tokens = self.record.as_ref()?.tokens();
        let is_expired = tokens.expires_at.is_some_and(|at| at <= now);
        (!self.is_rejected && !is_expired).then_some(&tokens.access_token)
    }

    /// How long the access token is valid.
    fn time_left(&self, now: UnixTime) -> Duration {
        let record = self.record.as_ref();
        match record.map(|record| record.tokens().expires_at) {
            _ if self.valid_token(now).is_none() => Duration::ZERO,
            Some(Some(expires_at)) => expires_at.saturating_since(now),
            _ => Duration::MAX,
        }
    }

    /// Whether the refresh of this record should be claimed now.
    fn is_due(&self, content: &Content, now: UnixTime) -> bool {
        let is_valid = self.valid_token(now).is_some();
        let tolerance = self.policy.clock_tolerance;
        let lease = self.policy.lease_time();
        let is_time = match content.refresh {
            RefreshState::Due(at) => at <= now || !is_valid,
            RefreshState::OnRejection => !is_valid,
            RefreshState::InProgress { claim, .. } if Some(claim) == self.claim => true,
            RefreshState::InProgress { until, .. } => {
                let longest = lease.saturating_add(tolerance.saturating_mul(3));
                has_passed(until.saturating_add(tolerance), now, longest)
            }
            RefreshState::Paused(until) => {
                let longest = MAX_WAIT.saturating_add(self.policy.longest_pause);
                has_passed(until, now, longest.saturating_add(tolerance.saturating_mul(2)))
            }
            RefreshState::Revoked => false,
        };
        is_time && content.tokens.refresh_token.is_some()
    }

    /// Whether the stored claim is one of this session.
    fn has_own_claim(&self) -> bool {
        let refresh = self.record.as_ref().map(Record::refresh);
        matches!(refresh, Some(RefreshState::InProgress { claim, .. }) if Some(claim) == self.claim)
    }

    /// Whether the stored claim is one of another process.
    fn has_foreign_claim(&self) -> bool {
        let refresh = self.record.as_ref().map(Record::refresh);
        matches!(refresh, Some(RefreshState::InProgress { claim, .. }) if Some(claim) != self.claim)
    }

    /// Adopts the stored record. Returns whether its tokens were renewed.
    fn adopt(&mut self, stored: Option<Record>) -> bool {
        let renewal = |record: &Option<Record>| {
            let content = record.as_ref().map(Record::content);
            content.map(|content| (content.tokens.clone(), content.refreshed_at))
        };
        let is_renewed = renewal(&self.record) != renewal(&stored);
        if is_renewed {
            self.is_rejected = false;
            self.refresh_failure = None;
        }
        self.record = stored;
        is_renewed
    }
}

fn wait<T>(now: UnixTime, until: UnixTime) -> Step<T> {
    Step::Wait(until.max(now.saturating_add(MIN_WAIT)))
}

/// Whether `time` has passed. It was at most `longest` ahead when it was set, so a time that is
/// farther ahead counts as passed: the clock was wrong then, or is wrong now.
fn has_passed(time: UnixTime, now: UnixTime, longest: Duration) -> bool {
    time <= now || time.saturating_since(now) > longest
}
