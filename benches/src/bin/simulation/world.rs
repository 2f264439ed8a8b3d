//! The simulated clock, and the events on it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use dropbox_sign_oauth::{
    App, CallError, Retry, Token, TokenRefresh, TokenSet, UnixTime,
    session::{
        Background, Job, Outcome, Record, Refresh, Session, SessionError, SessionPolicy, Step,
    },
};
use fastrand::Rng;
use http::Response;

use crate::{
    Options,
    service::{self, Service},
    tally::Tally,
};

/// The Unix time at which the week begins.
const BEGIN: Duration = Duration::from_secs(1_700_000_000);

/// The time within which all sessions begin.
const MIGRATION: Duration = Duration::from_secs(60 * 60);

pub(crate) struct World {
    end: Duration,
    /// The time since the beginning.
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u32, Event)>>,
    users: Vec<User>,
    flights: HashMap<u32, Flight>,
    service: Service,
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
}

/// A refresh in progress.
struct Flight {
    refresh: Refresh,
    retry: Retry<TokenRefresh>,
    /// The outcome of the attempt; `None` during the backoff.
    outcome: Option<Result<Response<String>, CallError>>,
}

impl World {
    pub(crate) fn new(options: Options, policy: SessionPolicy) -> Self {
        let mut random = Rng::with_seed(options.seed);
        let service = Service::new(options, &mut random);
        let app = App::new("client-id", "client-secret").expect("valid settings");
        let policy = Arc::new(policy);
        let users = (0..options.sessions).map(|_| User {
            session: Session::new(app.clone(), Arc::clone(&policy)),
            stored: None,
            waits_since: None,
        });
        let users = users.collect();
        let mut world = Self {
            end: Duration::from_secs(u64::from(options.days) * 24 * 60 * 60),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            users,
            flights: HashMap::new(),
            service,
            random,
            tally: Tally::default(),
        };
        for user in 0..options.sessions {
            let start = MIGRATION.mul_f64(world.random.f64());
            world.after(start, user, Event::Use);
        }
        world
    }

    pub(crate) fn run(mut self) -> Tally {
        while let Some(Reverse((at, user, event))) = self.events.pop() {
            self.now = at;
            match event {
                Event::Use if at >= self.end => {}
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

    fn user(&mut self, user: u32) -> &mut User {
        &mut self.users[user as usize]
    }

    fn after(&mut self, delay: Duration, user: u32, event: Event) {
        let at = self.now.saturating_add(delay);
        self.events.push(Reverse((at, user, event)));
    }

    fn use_session(&mut self, user: u32) {
        let until_next = until_next_use(user, &mut self.random);
        self.after(until_next, user, Event::Use);
        if self.user(user).stored.is_none() {
            return self.authorize(user);
        }
        self.tally.uses += 1;
        if self.user(user).waits_since.is_some() {
            // It shares the refresh that another use already waits for.
            return self.tally.count_wait(Duration::ZERO);
        }
        match self.poll(user) {
            Step::Wait(_) => self.user(user).waits_since = Some(self.now),
            Step::Ready(_) => {
                self.tally.cached += 1;
                self.use_token(user);
            }
            Step::Fail(error) => self.fail(user, &error),
        }
    }

    /// The user authorizes, for the first time or again.
    fn authorize(&mut self, user: u32) {
        let number = self.service.authorize(user, self.now.as_secs());
        let entropy = self.random.u64(..);
        let now = self.time();
        let tokens = TokenSet {
            access_token: token('a', number),
            refresh_token: Some(token('r', number)),
            expires_at: Some(now.saturating_add(Duration::from_secs(service::LIFETIME))),
        };
        let it = self.user(user);
        it.session.replace_tokens(now, entropy, tokens);
        let step = self.poll(user);
        assert!(matches!(step, Step::Ready(_)), "the store never fails");
    }

    /// Sends a request with the access token.
    fn use_token(&mut self, user: u32) {
        let it = self.user(user);
        let tokens = it.session.record().expect("a token").tokens().clone();
        let expires_at = tokens.expires_at.expect("a lifetime").as_duration();
        let expires_at = expires_at.saturating_sub(BEGIN).as_secs();
        let now = self.now.as_secs();
        if self.service.rejects(user, now, expires_at, &mut self.random) {
            self.tally.rejected += 1;
            let now = self.time();
            let session = &mut self.user(user).session;
            session.handle_rejection(now, &tokens.access_token);
            // A retry with a new token is part of the same use. A revocation is found at the next
            // use.
            drop(self.poll(user));
        }
    }

    fn fail(&mut self, user: u32, error: &SessionError) {
        if !error.needs_authorization() {
            self.tally.failed += 1;
            return;
        }
        let number = self.number(user);
        let is_lost = self.service.is_valid(user, self.now.as_secs(), number);
        self.tally.lost_grants += u32::from(is_lost);
        self.tally.revoked += u32::from(!is_lost);
        self.authorize(user);
    }

    /// Returns the number of the stored tokens.
    fn number(&self, user: u32) -> u32 {
        let record = self.users[user as usize].stored.as_ref();
        let refresh_token = record.and_then(|record| record.tokens().refresh_token.as_ref());
        let number = refresh_token.and_then(|token| token.expose().strip_prefix('r')?.parse().ok());
        number.expect("a numbered token")
    }

    /// Starts a refresh if it is due, and returns what the user gets.
    fn poll(&mut self, user: u32) -> Step<Token> {
        let now = self.time();
        let entropy = self.random.u64(..);
        if let Some(job) = self.user(user).session.next_job(now, entropy) {
            self.work(user, job);
            self.continue_work(user);
        }
        self.user(user).session.poll(now)
    }

    /// Continues the work that has begun.
    fn continue_work(&mut self, user: u32) {
        let now = self.time();
        loop {
            let entropy = self.random.u64(..);
            match self.user(user).session.background(now, entropy) {
                Background::Job(job) => self.work(user, job),
                Background::Wait(_) if self.flights.contains_key(&user) => return,
                Background::Wait(until) => {
                    self.after(until.saturating_since(now), user, Event::Continue);
                    return;
                }
                Background::Idle => break,
            }
        }
        self.end_wait(user);
    }

    /// Does a job. The store responds at once, the service later.
    fn work(&mut self, user: u32, job: Job) {
        let now = self.time();
        let it = self.user(user);
        match job {
            Job::Load(load) => {
                let stored = it.stored.clone();
                it.session.handle_load(now, load, Ok::<_, String>(stored));
            }
            Job::Swap(swap) => {
                let version = it.stored.as_ref().map(Record::version);
                let outcome = if version == swap.expected() {
                    it.stored = Some(swap.record().clone());
                    Outcome::Stored
                } else {
                    Outcome::Conflict
                };
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
    fn send(&mut self, user: u32, refresh: Refresh, retry: Retry<TokenRefresh>) {
        let now = self.now.as_secs();
        let number = self.number(user);
        let (fate, outcome) = self.service.refresh(user, now, number, &mut self.random);
        self.tally.count(fate, now);
        let outcome = Some(outcome);
        self.flights.insert(user, Flight { refresh, retry, outcome });
        let latency = Service::latency(&mut self.random);
        self.after(latency, user, Event::Refresh);
    }

    fn continue_refresh(&mut self, user: u32) {
        let Some(Flight { refresh, retry, outcome }) = self.flights.remove(&user) else {
            return;
        };
        let Some(outcome) = outcome else {
            return self.send(user, refresh, retry);
        };
        let now = self.time();
        let entropy = self.random.u64(..);
        match retry.handle(now, entropy, outcome) {
            ControlFlow::Continue(wait) => {
                let delay = wait.delay();
                let (retry, outcome) = (wait.resume(), None);
                self.flights.insert(user, Flight { refresh, retry, outcome });
                self.after(delay, user, Event::Refresh);
            }
            ControlFlow::Break(result) => {
                let session = &mut self.user(user).session;
                session.handle_refresh(now, entropy, refresh, result);
                self.continue_work(user);
            }
        }
    }

    /// Ends the wait of a user, unless there is no token yet.
    fn end_wait(&mut self, user: u32) {
        let Some(since) = self.user(user).waits_since.take() else {
            return;
        };
        match self.poll(user) {
            Step::Ready(_) => {
                self.tally.count_wait(self.now.saturating_sub(since));
                self.use_token(user);
            }
            Step::Wait(_) => self.user(user).waits_since = Some(since),
            Step::Fail(error) => self.fail(user, &error),
        }
    }
}

/// Returns the time until the next use, independent of the last: a fifth of the users come twice an
/// hour on average, three fifths every six hours, and a fifth every three days.
fn until_next_use(user: u32, random: &mut Rng) -> Duration {
    let mean = match user % 5 {
        0 => Duration::from_secs(30 * 60),
        1..=3 => Duration::from_secs(6 * 60 * 60),
        _ => Duration::from_secs(3 * 24 * 60 * 60),
    };
    // The logarithm of 0 would be infinite.
    mean.mul_f64(-(1.0 - random.f64()).ln())
}

fn token(kind: char, number: u32) -> Token {
    Token::new(&format!("{kind}{number}")).expect("visible ASCII")
}
