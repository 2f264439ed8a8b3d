//! Time, and what happens in it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    ops::ControlFlow,
    time::Duration,
};

use dropbox_sign_oauth::{
    App, CallError, Retry, Token, TokenRefresh, TokenSet, UnixTime,
    session::{Job, Record, Refresh, Session, SessionError, SessionPolicy, Step, Swapped},
};
use fastrand::Rng;
use http::Response;

use crate::{
    options::Options,
    service::{self, Fate, Service},
    tally::Tally,
    user,
};

/// The Unix time at which a week begins.
const BEGIN: Duration = Duration::from_secs(1_700_000_000);

/// How long it takes until all sessions have begun.
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
    /// Somebody uses the session.
    Use,
    /// The answer to a refresh arrives.
    Answer,
    /// A refresh is sent again.
    Resend,
}

struct User {
    session: Session,
    /// The store.
    stored: Option<Record>,
    /// Since when somebody waits for a token.
    waits_since: Option<Duration>,
    /// Whether anybody has used the current access token.
    is_used: bool,
}

/// A refresh that is under way.
struct Flight {
    refresh: Refresh,
    retry: Option<Retry<TokenRefresh>>,
    outcome: Option<Result<Response<String>, CallError>>,
}

impl World {
    pub(crate) fn new(options: &Options, policy: SessionPolicy) -> Self {
        let mut random = Rng::with_seed(options.seed);
        let service = Service::new(options, &mut random);
        let app = App::new("client-id", "client-secret").expect("constants");
        let users = (0..options.sessions).map(|_| User {
            session: Session::new(app.clone(), policy),
            stored: None,
            waits_since: None,
            is_used: true,
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
            world.events.push(Reverse((start, user, Event::Use)));
        }
        world
    }

    pub(crate) fn run(mut self) -> Tally {
        while let Some(Reverse((at, user, event))) = self.events.pop() {
            self.now = at;
            match event {
                Event::Use if at >= self.end => {}
                Event::Use => self.use_session(user),
                Event::Answer => self.answer(user),
                Event::Resend => self.send(user),
            }
        }
        self.tally
    }

    fn time(&self) -> UnixTime {
        UnixTime::since_epoch(BEGIN + self.now)
    }

    fn after(&mut self, delay: Duration, user: u32, event: Event) {
        let at = self.now.saturating_add(delay);
        self.events.push(Reverse((at, user, event)));
    }

    fn use_session(&mut self, user: u32) {
        let until_next = user::until_next_use(user, &mut self.random);
        self.after(until_next, user, Event::Use);
        if self.users[user as usize].stored.is_none() {
            return self.authorize(user);
        }
        self.tally.uses += 1;
        if self.users[user as usize].waits_since.is_some() {
            // It shares the fate of the one who waits, and is counted with those who got one.
            self.tally.waited_for(Duration::ZERO);
            return;
        }
        self.ask(user);
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
        let it = &mut self.users[user as usize];
        it.session.replace_tokens(now, entropy, tokens);
        it.is_used = true;
        let stored = self.poll(user);
        assert!(matches!(stored, Step::Ready(_)), "the store never fails");
    }

    /// Somebody asks for a token, and uses it if there is one.
    fn ask(&mut self, user: u32) {
        let had_flight = self.flights.contains_key(&user);
        let step = self.poll(user);
        let begun = !had_flight && self.flights.contains_key(&user);
        match step {
            // Whoever has it refreshed waits for that, as with both adapters.
            _ if begun => self.users[user as usize].waits_since = Some(self.now),
            Step::Wait(_) => self.users[user as usize].waits_since = Some(self.now),
            Step::Ready(_) => {
                self.tally.at_once += 1;
                self.spend(user);
            }
            step => self.fail(user, &step),
        }
    }

    /// Uses the access token.
    fn spend(&mut self, user: u32) {
        let it = &mut self.users[user as usize];
        it.is_used = true;
        let record = it.session.record().expect("a token is there");
        let access_token = record.tokens().access_token.clone();
        let expires_at = record.tokens().expires_at.expect("it is always told");
        let expires_at = expires_at.as_duration().saturating_sub(BEGIN).as_secs();
        if self
            .service
            .refuses(user, self.now.as_secs(), expires_at, &mut self.random)
        {
            self.tally.refused += 1;
            let now = self.time();
            let it = &mut self.users[user as usize];
            it.session.handle_refusal(now, &access_token);
            // The request is sent once more with the next token, which is the same use. That the
            // grant is gone, if it is, the next use finds out.
            drop(self.poll(user));
        }
    }

    fn fail(&mut self, user: u32, step: &Step<Token>) {
        let Step::Fail(SessionError::GrantGone { .. }) = step else {
            self.tally.failed += 1;
            return;
        };
        let number = self.number(user);
        if self.service.is_good(user, self.now.as_secs(), number) {
            self.tally.lost_good_grants += 1;
        } else {
            self.tally.revoked += 1;
        }
        self.authorize(user);
    }

    /// The number of the tokens that a session has.
    fn number(&self, user: u32) -> u32 {
        let record = self.users[user as usize].stored.as_ref();
        let refresh_token = record.and_then(|record| record.tokens().refresh_token.as_ref());
        let number = refresh_token.and_then(|token| token.expose().strip_prefix('r')?.parse().ok());
        number.expect("tokens have numbers")
    }

    /// Does what a session wants done, until it can be told what it says.
    fn poll(&mut self, user: u32) -> Step<Token> {
        let now = self.time();
        loop {
            let it = &mut self.users[user as usize];
            match it.session.poll(now) {
                Step::Do(Job::Load(load)) => {
                    let stored = it.stored.clone();
                    it.session.handle_load(now, load, Ok::<_, String>(stored));
                }
                Step::Do(Job::Swap(swap)) => {
                    let there = it.stored.as_ref().map(Record::version);
                    let swapped = if there == swap.expected() {
                        it.stored = Some(swap.record().clone());
                        Swapped::Yes
                    } else {
                        Swapped::No
                    };
                    it.session.handle_swap(now, swap, Ok::<_, String>(swapped));
                }
                Step::Do(Job::Refresh(refresh)) => {
                    let retry = Retry::new(refresh.operation(), refresh.retry(), now);
                    let flight = Flight {
                        refresh,
                        retry: Some(retry),
                        outcome: None,
                    };
                    // One that was given up goes on, and its answer comes to nobody.
                    self.flights.insert(user, flight);
                    self.send(user);
                }
                step => return step,
            }
        }
    }

    /// Sends a refresh, whose answer comes later.
    fn send(&mut self, user: u32) {
        let number = self.number(user);
        let Some(flight) = self.flights.get_mut(&user) else {
            return;
        };
        let (fate, outcome) =
            self.service
                .refresh(user, self.now.as_secs(), number, &mut self.random);
        flight.outcome = Some(outcome);
        self.tally.count(fate, self.now.as_secs());
        if fate == Fate::Refreshed {
            let it = &mut self.users[user as usize];
            self.tally.unused += u64::from(!it.is_used);
            it.is_used = false;
        }
        let latency = Service::latency(&mut self.random);
        self.after(latency, user, Event::Answer);
    }

    fn answer(&mut self, user: u32) {
        let now = self.time();
        let entropy = self.random.u64(..);
        let Some(mut flight) = self.flights.remove(&user) else {
            return;
        };
        let (Some(retry), Some(outcome)) = (flight.retry.take(), flight.outcome.take()) else {
            return;
        };
        match retry.handle(now, entropy, outcome) {
            ControlFlow::Continue(wait) => {
                let delay = wait.delay();
                flight.retry = Some(wait.resume());
                self.flights.insert(user, flight);
                self.after(delay, user, Event::Resend);
            }
            ControlFlow::Break(result) => {
                let it = &mut self.users[user as usize];
                it.session
                    .handle_refresh(now, entropy, flight.refresh, result);
                let waited = it.waits_since.take();
                let step = self.poll(user);
                if let Some(since) = waited {
                    self.end_wait(user, since, step);
                }
            }
        }
    }

    fn end_wait(&mut self, user: u32, since: Duration, step: Step<Token>) {
        match step {
            Step::Ready(_) => {
                self.tally.waited_for(self.now.saturating_sub(since));
                self.spend(user);
            }
            Step::Wait(_) => self.users[user as usize].waits_since = Some(since),
            step => self.fail(user, &step),
        }
    }
}

fn token(kind: char, number: u32) -> Token {
    Token::new(&format!("{kind}{number}")).expect("visible ASCII")
}
