//! The state machine itself.

use alloc::{boxed::Box, sync::Arc};
use core::{error::Error as StdError, mem, time::Duration};

use super::{
    Job, JobId, Load, Record, Refresh, RefreshState, SessionError, SessionPolicy, Step, Swap,
    Swapped,
    record::Content,
    stage::{Change, Origin, Stage},
};
use crate::{
    app::App, call_error::CallError, error::Error, error_code::ErrorCode, rate_limit::MAX_WAIT,
    time::UnixTime, token::Token, token_response::TokenResponse, token_set::TokenSet,
};

/// How long a load or a swap may take before it is handed out again, to somebody who is alive.
const STORE_TIME: Duration = Duration::from_secs(30);

/// How long a store that failed is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How often the store is read while there is no usable token, and another process may bring one.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The shortest lease: a claim that runs out as it is stored would be made again without end.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// How old a token must be before its refusal leads to a refresh. A service that refuses what it has
/// just given will not be helped by another refresh, and one for each call would be a storm.
const YOUNG: Duration = Duration::from_secs(60);

/// The tokens of one grant, which stay fresh.
///
/// ```
/// use dropbox_sign_oauth::{App, Operation, Token, TokenSet, UnixTime};
/// use dropbox_sign_oauth::session::{Job, Session, SessionPolicy, Step, Swapped};
///
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let mut now = UnixTime::from_secs(1_700_000_000);
/// let mut stored = None; // in earnest, a store
/// let mut session = Session::new(app, SessionPolicy::default());
/// session.replace_tokens(now, 0x5e5e, TokenSet {
///     access_token: Token::new("NWNi")?,
///     refresh_token: Some(Token::new("hNTI")?),
///     expires_at: Some(UnixTime::from_secs(1_700_086_400)),
/// });
///
/// let mut used = Vec::new();
/// for _ in 0..2 {
///     let token = loop {
///         match session.poll(now) {
///             Step::Ready(token) => break token,
///             Step::Do(Job::Load(job)) => {
///                 session.handle_load(now, job, Ok::<_, String>(stored.clone()));
///             }
///             Step::Do(Job::Swap(job)) => {
///                 stored = Some(job.record().clone());
///                 session.handle_swap(now, job, Ok::<_, String>(Swapped::Yes));
///             }
///             Step::Do(Job::Refresh(job)) => {
///                 let response = http::Response::new(r#"{"access_token":"MmZk","expires_in":86400}"#);
///                 let outcome = job.operation().parse(response); // in earnest, of a client
///                 session.handle_refresh(now, 0x5e5e, job, outcome.map_err(Into::into));
///             }
///             Step::Wait(until) => now = until, // in earnest, by sleeping
///             Step::Fail(error) => return Err(error.into()),
///         }
///     };
///     used.push(token.expose().to_owned());
///     now = UnixTime::from_secs(1_700_086_000); // almost a day later
/// }
/// assert_eq!(used, ["NWNi", "MmZk"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    app: App,
    policy: SessionPolicy,
    /// What is stored, as far as it is known.
    record: Option<Record>,
    /// Whether the service has refused the record's access token.
    refused: bool,
    stage: Stage,
    in_hand: Option<InHand>,
    last_job: u64,
    /// When this session stored new tokens.
    renewed_at: Option<UnixTime>,
    /// Why the last refresh failed, if it did.
    refresh_failure: Option<Arc<CallError>>,
    /// Why the store failed, if it did the last time, and until when it is left alone.
    store_failure: Option<(Arc<dyn StdError + Send + Sync>, UnixTime)>,
    /// From when on the store may be read again.
    read_again_at: UnixTime,
}

/// A job that somebody has.
#[derive(Clone, Copy, Debug)]
struct InHand {
    id: JobId,
    /// From when on it counts as abandoned.
    until: UnixTime,
    /// How far ahead that can lie, if the clock is right.
    longest: Duration,
}

impl Session {
    /// A session whose record is in a store, if there is one yet: the first step reads it.
    #[must_use]
    pub fn new(app: App, mut policy: SessionPolicy) -> Self {
        policy.lease = policy.lease.max(SHORTEST_LEASE);
        Self {
            app,
            policy,
            record: None,
            refused: false,
            stage: Stage::Loading(None),
            in_hand: None,
            last_job: 0,
            renewed_at: None,
            refresh_failure: None,
            store_failure: None,
            read_again_at: UnixTime::from_secs(0),
        }
    }

    /// What is stored, as far as it is known.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// When it refreshes, and how it goes on when that fails.
    #[must_use]
    pub fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// Whether new tokens wait for being stored. Nobody is told to use them before.
    #[must_use]
    pub fn has_unstored_tokens(&self) -> bool {
        self.stage.has_tokens()
    }

    /// What to do next, for whoever needs an access token.
    pub fn poll(&mut self, now: UnixTime) -> Step<Token> {
        match self.job(now) {
            Some(job) => Step::Do(job),
            None => self.rest(now),
        }
    }

    /// What to do next, for whoever waits for new tokens to be stored.
    pub fn poll_stored(&mut self, now: UnixTime) -> Step<()> {
        if !self.has_unstored_tokens() {
            return Step::Ready(());
        }
        match (self.job(now), &self.in_hand, &self.store_failure) {
            (Some(job), ..) => Step::Do(job),
            (None, Some(job), _) => Step::Wait(job.until),
            (None, None, Some((error, _))) => Step::Fail(SessionError::Store(Arc::clone(error))),
            // Nothing else keeps them from being stored.
            (None, None, None) => Step::Wait(now.saturating_add(STORE_PAUSE)),
        }
    }

    /// Takes what the store answered to a load.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a job is used up by its outcome"
    )]
    pub fn handle_load(
        &mut self,
        now: UnixTime,
        load: Load,
        outcome: Result<Option<Record>, impl Into<Box<dyn StdError + Send + Sync>>>,
    ) {
        if !self.put_down(load.id) {
            return; // Somebody else has read it since.
        }
        let loaded = match outcome {
            Ok(loaded) => loaded,
            Err(error) => return self.store_failed(now, error),
        };
        self.store_failure = None;
        self.read_again_at = now.saturating_add(READ_AGAIN);
        self.adopt(loaded);
        let stage = mem::replace(&mut self.stage, Stage::Resting);
        if let Stage::Loading(Some(change)) = stage {
            if change.still_counts(self.record.as_ref()) {
                self.stage = Stage::Storing(change);
            }
        }
    }

    /// Takes what the store answered to a swap.
    pub fn handle_swap(
        &mut self,
        now: UnixTime,
        swap: Swap,
        outcome: Result<Swapped, impl Into<Box<dyn StdError + Send + Sync>>>,
    ) {
        if !self.put_down(swap.id) {
            return; // It is done anew, or no longer wanted; the store's version decides.
        }
        let swapped = match outcome {
            Ok(swapped) => swapped,
            Err(error) => {
                if let Stage::Storing(change) = &mut self.stage {
                    change.doubt(self.record.as_ref());
                }
                return self.store_failed(now, error);
            }
        };
        self.store_failure = None;
        let stage = mem::replace(&mut self.stage, Stage::Resting);
        match (swapped, stage) {
            (Swapped::No, stage) => self.stage = Stage::Loading(stage.into_change()),
            (Swapped::Yes, stage) => {
                if stage.has_tokens() {
                    self.renewed_at = Some(now);
                }
                if matches!(stage, Stage::Resting) {
                    self.stage = Stage::Refreshing;
                }
                self.adopt(Some(swap.record));
            }
        }
    }

    /// Takes what came of a refresh. `entropy` is 64 random bits, for the time of the next.
    ///
    /// Tokens are taken also if the refresh came so late that somebody else was asked to do it
    /// again, unless others are there in the meantime.
    pub fn handle_refresh(
        &mut self,
        now: UnixTime,
        entropy: u64,
        refresh: Refresh,
        outcome: Result<TokenResponse, CallError>,
    ) {
        let in_hand = self.put_down(refresh.id);
        let Some(record) = &self.record else {
            return; // It was removed in the meantime, and stays so.
        };
        if *record.tokens() != refresh.of {
            return;
        }
        let grant = record.content().grant;
        match outcome {
            Ok(response) => {
                if !self.has_unstored_tokens() {
                    let tokens = TokenSet::new(response, now);
                    self.store(Change {
                        content: self.policy.content(now, entropy, grant, tokens),
                        origin: Origin::Refresh(refresh.of),
                    });
                }
            }
            Err(error) if in_hand => {
                let failures = record.failures().saturating_add(1);
                let refresh_state = if is_invalid_grant(&error) {
                    RefreshState::GrantGone
                } else {
                    let left = self.time_left(now);
                    let policy = &self.policy;
                    RefreshState::Paused(policy.paused_until(now, entropy, &error, failures, left))
                };
                self.refresh_failure = Some(Arc::new(error));
                self.store(Change {
                    content: Content {
                        grant,
                        tokens: refresh.of,
                        refresh: refresh_state,
                        failures,
                    },
                    origin: Origin::Failure,
                });
            }
            // Somebody else was asked to do it again.
            Err(_) => {}
        }
    }

    /// Gives a job back undone: the next who polls gets it.
    pub fn abandon(&mut self, job: JobId) {
        self.put_down(job);
    }

    /// Takes the word of whoever used an access token that the service has refused it (401): it is
    /// refreshed, unless it is another than the current one, or less than a minute old.
    pub fn handle_refusal(&mut self, now: UnixTime, access_token: &Token) {
        let is_current = self
            .record
            .as_ref()
            .is_some_and(|record| record.tokens().access_token == *access_token);
        let is_young = self
            .renewed_at
            .is_some_and(|at| at <= now && now.saturating_since(at) < YOUNG);
        if is_current && !is_young {
            self.refused = true;
        }
    }

    /// Takes the tokens of a new authorization, which replace what is there once they are stored.
    /// `entropy` is 64 random bits, for the time of their refresh, and to tell this authorization
    /// from others.
    pub fn replace_tokens(&mut self, now: UnixTime, entropy: u64, tokens: TokenSet) {
        self.store_failure = None;
        // The same bits will do for both: nothing depends on them but that they differ.
        let grant = entropy;
        self.store(Change {
            content: self.policy.content(now, entropy, grant, tokens),
            origin: Origin::Authorization,
        });
    }
}

/// The jobs.
impl Session {
    fn take_up(&mut self, until: UnixTime, longest: Duration) -> JobId {
        self.last_job = self.last_job.wrapping_add(1);
        let id = JobId(self.last_job);
        self.in_hand = Some(InHand { id, until, longest });
        id
    }

    /// Whether this job was in hand until now.
    fn put_down(&mut self, id: JobId) -> bool {
        self.in_hand.take_if(|job| job.id == id).is_some()
    }

    /// The next job, if there is one and nobody has it.
    fn job(&mut self, now: UnixTime) -> Option<Job> {
        match self.in_hand {
            Some(job) if !has_passed(job.until, now, job.longest) => return None,
            _ => self.in_hand = None,
        }
        if matches!(self.stage, Stage::Refreshing) {
            if let Some(refresh) = self.refresh(now) {
                return Some(Job::Refresh(refresh));
            }
            // The claim has run out before the service was asked.
            self.stage = Stage::Resting;
        }
        if self.store_is_paused(now) {
            return None;
        }
        match &self.stage {
            Stage::Loading(_) => Some(self.load(now)),
            Stage::Storing(change) => {
                let content = change.content.clone();
                Some(self.swap(now, content))
            }
            Stage::Resting | Stage::Refreshing => match &self.record {
                Some(record) if self.is_due(record, now) => {
                    let until = now.saturating_add(self.policy.lease).ceil();
                    let claim = Content {
                        refresh: RefreshState::UnderWay(until),
                        ..record.content().clone()
                    };
                    Some(self.swap(now, claim))
                }
                _ => self.may_be_read_again(now).then(|| self.load(now)),
            },
        }
    }

    fn load(&mut self, now: UnixTime) -> Job {
        let id = self.take_up(now.saturating_add(STORE_TIME), 2 * STORE_TIME);
        Job::Load(Load { id })
    }

    fn swap(&mut self, now: UnixTime, content: Content) -> Job {
        let id = self.take_up(now.saturating_add(STORE_TIME), 2 * STORE_TIME);
        let previous = self.record.as_ref();
        Job::Swap(Swap {
            id,
            expected: previous.map(Record::version),
            record: Record::following(previous, now, content),
        })
    }

    /// The refresh that is claimed, if the claim still holds.
    fn refresh(&mut self, now: UnixTime) -> Option<Refresh> {
        let record = self.record.as_ref()?;
        let RefreshState::UnderWay(until) = record.refresh() else {
            return None;
        };
        if has_passed(until, now, self.longest_claim()) {
            return None;
        }
        let of = record.tokens().clone();
        let operation = self.app.refresh(of.refresh_token.as_ref()?);
        let mut retry = self.policy.retry;
        if self.usable(now).is_some() {
            retry.attempts = 1;
        }
        let id = self.take_up(until, self.longest_claim());
        Some(Refresh {
            id,
            operation,
            retry,
            of,
        })
    }
}

/// What is known.
impl Session {
    /// The access token, if it is good as far as is known.
    fn usable(&self, now: UnixTime) -> Option<&Token> {
        let tokens = self.record.as_ref()?.tokens();
        let has_expired = tokens.expires_at.is_some_and(|at| at <= now);
        (!self.refused && !has_expired).then_some(&tokens.access_token)
    }

    /// How long the access token is good for.
    fn time_left(&self, now: UnixTime) -> Duration {
        match self
            .record
            .as_ref()
            .map(|record| record.tokens().expires_at)
        {
            _ if self.usable(now).is_none() => Duration::ZERO,
            Some(Some(expires_at)) => expires_at.saturating_since(now),
            _ => Duration::MAX,
        }
    }

    /// Whether the refresh of this record is to be claimed.
    fn is_due(&self, record: &Record, now: UnixTime) -> bool {
        let time_has_come = match record.refresh() {
            RefreshState::Due(at) => at <= now || self.usable(now).is_none(),
            RefreshState::OnRefusal => self.usable(now).is_none(),
            RefreshState::UnderWay(until) => has_passed(until, now, self.longest_claim()),
            RefreshState::Paused(until) => has_passed(
                until,
                now,
                MAX_WAIT
                    .saturating_mul(2)
                    .saturating_add(self.policy.longest_pause),
            ),
            RefreshState::GrantGone => false,
        };
        time_has_come && record.tokens().refresh_token.is_some()
    }

    /// How far ahead the end of a claim can lie: twice the lease, since the clock of whoever claimed
    /// it may be ahead, or be set back.
    fn longest_claim(&self) -> Duration {
        self.policy.lease.saturating_mul(2)
    }

    fn store_is_paused(&self, now: UnixTime) -> bool {
        let failure = self.store_failure.as_ref();
        failure.is_some_and(|(_, until)| !has_passed(*until, now, STORE_PAUSE))
    }

    /// Whether there is no usable token, and another process may have brought one.
    fn may_be_read_again(&self, now: UnixTime) -> bool {
        self.usable(now).is_none() && has_passed(self.read_again_at, now, READ_AGAIN)
    }

    /// What whoever polls is told when there is no job for them.
    fn rest(&self, now: UnixTime) -> Step<Token> {
        if let Some(token) = self.usable(now) {
            return Step::Ready(token.clone());
        }
        if let Some(job) = &self.in_hand {
            return Step::Wait(job.until);
        }
        if let Some((error, _)) = &self.store_failure {
            return Step::Fail(SessionError::Store(Arc::clone(error)));
        }
        let cause = self.refresh_failure.clone();
        let Some(record) = &self.record else {
            return Step::Fail(SessionError::NoTokens);
        };
        let can_be_refreshed = record.tokens().refresh_token.is_some();
        Step::Fail(match record.refresh() {
            RefreshState::UnderWay(until) if can_be_refreshed => {
                return Step::Wait(until.min(self.read_again_at));
            }
            RefreshState::Paused(until) if can_be_refreshed => {
                SessionError::RefreshFailed { until, cause }
            }
            _ => SessionError::GrantGone {
                cause: cause.filter(|cause| is_invalid_grant(cause)),
            },
        })
    }
}

/// What changes.
impl Session {
    /// Begins to store a change. A job that is in hand no longer counts.
    fn store(&mut self, change: Change) {
        self.in_hand = None;
        self.stage = match (&self.stage, &self.record) {
            (Stage::Loading(_), None) => Stage::Loading(Some(change)),
            _ => Stage::Storing(change),
        };
    }

    /// Takes what is stored for what is true.
    fn adopt(&mut self, stored: Option<Record>) {
        let tokens =
            |record: &Option<Record>| record.as_ref().map(|record| record.tokens().clone());
        if tokens(&self.record) != tokens(&stored) {
            self.refused = false;
            self.refresh_failure = None;
        }
        self.record = stored;
    }

    fn store_failed(&mut self, now: UnixTime, error: impl Into<Box<dyn StdError + Send + Sync>>) {
        let error = Arc::from(error.into());
        self.store_failure = Some((error, now.saturating_add(STORE_PAUSE)));
    }
}

/// Whether the service refused the refresh token itself.
fn is_invalid_grant(error: &CallError) -> bool {
    let CallError::Answered(Error::Rejected(rejection)) = error else {
        return false;
    };
    rejection.code == Some(ErrorCode::InvalidGrant)
}

/// Whether a time that was set no more than `longest` ahead has passed. One that lies farther ahead
/// was set by a clock that was wrong, then or now, and nobody waits for it.
fn has_passed(time: UnixTime, now: UnixTime, longest: Duration) -> bool {
    time <= now || time.saturating_since(now) > longest
}
