//! The simulated clock, the events on it, and the service.

use std::{
    cmp::Reverse, collections::BinaryHeap, mem, ops::ControlFlow, ops::Range, sync::Arc,
    time::Duration,
};

use dropbox_sign_oauth::{
    App, CallError, Failure, Retry, Token, TokenRefresh, TokenSet, UnixTime,
    session::{
        Background, Job, Outcome, Record, Refresh, Session, SessionError, SessionPolicy, Step,
    },
};
use fastrand::Rng;
use http::{Response, header};
use serde_json::json;

use crate::{DAYS, tally::Tally};

/// The Unix time at which the week begins.
const BEGIN: Duration = Duration::from_secs(1_700_000_000);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The time within which all sessions begin.
const MIGRATION: Duration = Duration::from_secs(HOUR);

/// The lifetime of an access token, as in the vendor's examples.
const LIFETIME: u64 = DAY;

/// The outage, on the third day.
const OUTAGE: Range<u64> = 2 * DAY + 12 * HOUR..2 * DAY + 13 * HOUR;

/// The bursts of failures: how often they come, how long they last, and the share of calls that
/// fail.
const BURST_INTERVAL: u64 = 5 * HOUR;
const BURST: u64 = 5 * MINUTE;
const BURST_FAILURES: f64 = 0.3;

/// The rate limit, as a multiple of the mean rate of one refresh per session and day.
const RATE_LIMIT: u64 = 4;

/// The share of users who revoke their grant during the week.
const REVOKED: f64 = 0.001;

/// The share of uses whose access token is rejected before it expires.
const REJECTED_EARLY: f64 = 0.0001;

pub(crate) struct World {
    /// The time since the beginning.
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    users: Vec<User>,
    calls_per_minute: u64,
    minute: u64,
    calls_this_minute: u64,
    random: Rng,
    tally: Tally,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The user's session is used.
    Use,
    /// The response to a refresh arrives, or its retry is due.
    Refresh,
    /// Work that has begun continues.
    Continue,
}

struct User {
    session: Session,
    /// The store.
    stored: Option<Record>,
    waits_since: Option<Duration>,
    flight: Option<Flight>,
    /// The number of the tokens that the service accepts.
    tokens: u32,
    /// The second at which the user revokes the grant.
    revoked_at: Option<u64>,
}

/// A refresh in progress.
struct Flight {
    refresh: Refresh,
    retry: Retry<TokenRefresh>,
    /// The outcome of the attempt; `None` during the backoff.
    outcome: Option<Result<Response<String>, CallError>>,
}

impl User {
    fn is_revoked(&self, now: u64) -> bool {
        self.revoked_at.is_some_and(|at| at <= now)
    }

    /// Returns whether the service accepts the stored refresh token.
    fn is_valid(&self, now: u64) -> bool {
        let tokens = self.stored.as_ref().map(Record::tokens);
        let refresh_token = tokens.and_then(|tokens| tokens.refresh_token.as_ref());
        let current = token('r', self.tokens);
        refresh_token.is_some_and(|it| it.expose() == current.expose()) && !self.is_revoked(now)
    }
}

impl World {
    pub(crate) fn new(sessions: u32, seed: u64, policy: SessionPolicy) -> Self {
        let mut random = Rng::with_seed(seed);
        let app = App::new("client-id", "client-secret").expect("valid settings");
        let policy = Arc::new(policy);
        let users = (0..sessions).map(|_| User {
            session: Session::new(app.clone(), Arc::clone(&policy)),
            stored: None,
            waits_since: None,
            flight: None,
            tokens: 0,
            revoked_at: (random.f64() < REVOKED).then(|| random.u64(HOUR..DAYS * DAY)),
        });
        let users: Vec<_> = users.collect();
        let mut world = Self {
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            users,
            calls_per_minute: (u64::from(sessions) * RATE_LIMIT).div_ceil(DAY / MINUTE),
            minute: 0,
            calls_this_minute: 0,
            random,
            tally: Tally::default(),
        };
        for user in 0..world.users.len() {
            let start = MIGRATION.mul_f64(world.random.f64());
            world.after(start, user, Event::Use);
        }
        world
    }

    pub(crate) fn run(mut self) -> Tally {
        while let Some(Reverse((at, user, event))) = self.events.pop() {
            self.now = at;
            match event {
                Event::Use if at.as_secs() >= DAYS * DAY => {}
                Event::Use => self.use_session(user),
                Event::Refresh => self.continue_refresh(user),
                Event::Continue => self.continue_work(user),
            }
        }
        self.tally
    }

    fn time(&self) -> UnixTime {
        UnixTime::since_epoch(BEGIN + self.now)
    }

    fn after(&mut self, delay: Duration, user: usize, event: Event) {
        self.events.push(Reverse((self.now.saturating_add(delay), user, event)));
    }

    fn use_session(&mut self, user: usize) {
        let until_next = until_next_use(user, &mut self.random);
        self.after(until_next, user, Event::Use);
        if self.users[user].stored.is_none() {
            return self.authorize(user);
        }
        self.tally.uses += 1;
        if self.users[user].waits_since.is_some() {
            // It shares the refresh that another use already waits for.
            return self.tally.count_wait(Duration::ZERO);
        }
        match self.poll(user) {
            Step::Wait(_) => self.users[user].waits_since = Some(self.now),
            Step::Ready(_) => {
                self.tally.cached += 1;
                self.use_token(user);
            }
            Step::Fail(error) => self.fail(user, &error),
        }
    }

    /// The user authorizes, for the first time or again.
    fn authorize(&mut self, user: usize) {
        let (now, entropy, second) = (self.time(), self.random.u64(..), self.now.as_secs());
        let it = &mut self.users[user];
        it.revoked_at = it.revoked_at.filter(|at| second < *at);
        it.tokens += 1;
        let tokens = TokenSet {
            access_token: token('a', it.tokens),
            refresh_token: Some(token('r', it.tokens)),
            expires_at: Some(now.saturating_add(Duration::from_secs(LIFETIME))),
        };
        it.session.replace_tokens(now, entropy, tokens);
        let step = self.poll(user);
        assert!(matches!(step, Step::Ready(_)), "the store never fails");
    }

    /// Sends a request with the access token.
    fn use_token(&mut self, user: usize) {
        let now = self.time();
        let it = &mut self.users[user];
        let tokens = it.session.record().expect("a token").tokens().clone();
        let expires_at = tokens.expires_at.expect("a lifetime").as_duration();
        if it.is_revoked(self.now.as_secs())
            || expires_at.as_secs() <= now.as_duration().as_secs()
            || self.random.f64() < REJECTED_EARLY
        {
            self.tally.rejected += 1;
            it.session.handle_rejection(now, &tokens.access_token);
            // A retry with a new token is part of the same use. A revocation is found at the next
            // use.
            drop(self.poll(user));
        }
    }

    fn fail(&mut self, user: usize, error: &SessionError) {
        if !error.needs_authorization() {
            self.tally.failed += 1;
            return;
        }
        let is_lost = self.users[user].is_valid(self.now.as_secs());
        self.tally.lost_grants += u32::from(is_lost);
        self.tally.revoked += u32::from(!is_lost);
        self.authorize(user);
    }

    /// Starts a refresh if it is due, and returns what the user gets.
    fn poll(&mut self, user: usize) -> Step<Token> {
        let (now, entropy) = (self.time(), self.random.u64(..));
        if let Some(job) = self.users[user].session.next_job(now, entropy) {
            self.work(user, job);
            self.continue_work(user);
        }
        self.users[user].session.poll(now)
    }

    /// Continues the work that has begun.
    fn continue_work(&mut self, user: usize) {
        let now = self.time();
        loop {
            let entropy = self.random.u64(..);
            match self.users[user].session.background(now, entropy) {
                Background::Job(job) => self.work(user, job),
                Background::Wait(_) if self.users[user].flight.is_some() => return,
                Background::Wait(until) => {
                    return self.after(until.saturating_since(now), user, Event::Continue);
                }
                Background::Idle => break,
            }
        }
        // Ends the wait of a user, unless there is no token yet.
        let Some(since) = self.users[user].waits_since.take() else {
            return;
        };
        match self.poll(user) {
            Step::Ready(_) => {
                self.tally.count_wait(self.now.saturating_sub(since));
                self.use_token(user);
            }
            Step::Wait(_) => self.users[user].waits_since = Some(since),
            Step::Fail(error) => self.fail(user, &error),
        }
    }

    /// Does a job. The store responds at once, the service later.
    fn work(&mut self, user: usize, job: Job) {
        let now = self.time();
        let it = &mut self.users[user];
        match job {
            Job::Load(load) => {
                it.session.handle_load(now, load, Ok::<_, String>(it.stored.clone()));
            }
            Job::Swap(swap) => {
                let mut outcome = Outcome::Conflict;
                if it.stored.as_ref().map(Record::version) == swap.expected() {
                    it.stored = Some(swap.record().clone());
                    outcome = Outcome::Stored;
                }
                it.session.handle_swap(now, swap, Ok::<_, String>(outcome));
            }
            Job::Remove(remove) => {
                it.stored = None;
                it.session.handle_remove(now, remove, Ok::<_, String>(()));
            }
            Job::Refresh(refresh) => {
                let retry = Retry::new(refresh.operation(), refresh.retry(), now);
                self.send(user, refresh, retry);
            }
        }
    }

    /// Sends a refresh. Its response arrives later.
    fn send(&mut self, user: usize, refresh: Refresh, retry: Retry<TokenRefresh>) {
        let now = self.now.as_secs();
        let outcome = self.respond(user, now);
        self.tally.count(&outcome, now);
        self.users[user].flight = Some(Flight { refresh, retry, outcome: Some(outcome) });
        let latency = Duration::from_millis(self.random.u64(200..2_000));
        self.after(latency, user, Event::Refresh);
    }

    fn continue_refresh(&mut self, user: usize) {
        let Some(Flight { refresh, retry, outcome }) = self.users[user].flight.take() else {
            return;
        };
        let Some(outcome) = outcome else {
            return self.send(user, refresh, retry);
        };
        let (now, entropy) = (self.time(), self.random.u64(..));
        match retry.handle(now, entropy, outcome) {
            ControlFlow::Continue(wait) => {
                let (delay, retry) = (wait.delay(), wait.resume());
                self.users[user].flight = Some(Flight { refresh, retry, outcome: None });
                self.after(delay, user, Event::Refresh);
            }
            ControlFlow::Break(result) => {
                let session = &mut self.users[user].session;
                session.handle_refresh(now, entropy, refresh, result);
                self.continue_work(user);
            }
        }
    }

    /// Returns the service's response to a refresh.
    fn respond(&mut self, user: usize, now: u64) -> Result<Response<String>, CallError> {
        if OUTAGE.contains(&now) {
            let is_reachable = *self.random.choice(&[false, true]).expect("two");
            let refused = CallError::NotSent(Failure::connect("connection refused"));
            return if is_reachable { Ok(response(503, "")) } else { Err(refused) };
        }
        if mem::replace(&mut self.minute, now / MINUTE) != self.minute {
            self.calls_this_minute = 0;
        }
        self.calls_this_minute += 1;
        let user = &mut self.users[user];
        Ok(if self.calls_this_minute > self.calls_per_minute {
            let mut response = response(429, "");
            response.headers_mut().insert(header::RETRY_AFTER, (MINUTE - now % MINUTE).into());
            response
        } else if now % BURST_INTERVAL < BURST && self.random.f64() < BURST_FAILURES {
            response(503, "")
        } else if user.is_valid(now) {
            user.tokens += 1;
            let n = user.tokens;
            let tokens = json!({
                "access_token": format!("a{n}"),
                "refresh_token": format!("r{n}"),
                "expires_in": LIFETIME,
            });
            response(200, &tokens.to_string())
        } else {
            response(400, r#"{"error":"invalid_grant"}"#)
        })
    }
}

fn response(status: u16, body: &str) -> Response<String> {
    Response::builder().status(status).body(body.into()).expect("a status")
}

/// Returns the time until the next use, independent of the last: a fifth of the users come twice an
/// hour on average, three fifths every six hours, and a fifth every three days.
fn until_next_use(user: usize, random: &mut Rng) -> Duration {
    let mean = match user % 5 {
        0 => HOUR / 2,
        1..=3 => 6 * HOUR,
        _ => 3 * DAY,
    };
    // The logarithm of 0 would be infinite.
    Duration::from_secs(mean).mul_f64(-(1.0 - random.f64()).ln())
}

fn token(kind: char, number: u32) -> Token {
    Token::new(&format!("{kind}{number}")).expect("visible ASCII")
}
