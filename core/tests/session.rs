//! Tokens that stay fresh, whatever happens: processes that share a store, with clocks that jump,
//! stores that fail, answers that are late or lost, and callers that vanish.

use std::{collections::BTreeSet, time::Duration};

use dropbox_sign_oauth::{
    App, CallError, Cause, CauseKind, Operation, Token, TokenSet, UnixTime,
    session::{
        Job, Record, Refresh, RefreshState, Session, SessionError, SessionPolicy, Step, Swapped,
    },
};
use http::{Response, StatusCode};
use proptest::prelude::*;

const START: u64 = 1_700_000_000;
const ENTROPY: u64 = u64::MAX / 2;

fn app() -> App {
    App::new("client-id", "client-secret").unwrap()
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

/// The service: it gives tokens with numbers.
struct Service {
    rotates: bool,
    /// What it says that access tokens live; those that it says nothing of live an hour.
    lifetime: Option<u64>,
    issued: u32,
    /// The refresh tokens that are good, one for each grant.
    refresh_tokens: BTreeSet<String>,
    /// The access tokens that are good, as long as they have not expired.
    access_tokens: Vec<(String, UnixTime)>,
}

impl Service {
    fn authorize(&mut self, now: UnixTime) -> TokenSet {
        self.issued += 1;
        let refresh_token = format!("r{}", self.issued);
        self.refresh_tokens.insert(refresh_token.clone());
        TokenSet {
            access_token: token(&self.access_token(now)),
            refresh_token: Some(token(&refresh_token)),
            expires_at: self.expires_at(now),
        }
    }

    fn expires_at(&self, now: UnixTime) -> Option<UnixTime> {
        Some(now.saturating_add(Duration::from_secs(self.lifetime?)))
    }

    fn access_token(&mut self, now: UnixTime) -> String {
        let access_token = format!("a{}", self.issued);
        let lifetime = match self.lifetime {
            None | Some(0) => 3_600,
            Some(lifetime) => lifetime,
        };
        let expires_at = now.saturating_add(Duration::from_secs(lifetime));
        let good = (access_token.clone(), expires_at);
        self.access_tokens.push(good);
        access_token
    }

    fn refresh(&mut self, now: UnixTime, request: &[u8]) -> Response<String> {
        let request: serde_json::Value = serde_json::from_slice(request).unwrap();
        let refresh_token = request["refresh_token"].as_str().unwrap();
        let (status, body) = if self.refresh_tokens.contains(refresh_token) {
            self.issued += 1;
            let mut body = serde_json::json!({ "access_token": self.access_token(now) });
            if self.rotates {
                self.refresh_tokens.remove(refresh_token);
                let refresh_token = format!("r{}", self.issued);
                body["refresh_token"] = refresh_token.clone().into();
                self.refresh_tokens.insert(refresh_token);
            }
            if let Some(lifetime) = self.lifetime {
                body["expires_in"] = lifetime.into();
            }
            (StatusCode::OK, body)
        } else {
            let body = serde_json::json!({ "error": "invalid_grant" });
            (StatusCode::BAD_REQUEST, body)
        };
        let mut response = Response::new(body.to_string());
        *response.status_mut() = status;
        response
    }

    fn accepts(&self, now: UnixTime, access_token: &str) -> bool {
        self.access_tokens
            .iter()
            .any(|(good, expires_at)| good == access_token && now < *expires_at)
    }
}

/// A job in somebody's hands.
struct InFlight {
    process: usize,
    job: Job,
    /// What has come of a refresh, if it has reached the service.
    answer: Option<Response<String>>,
    /// Until when the refresh is claimed for it, if it is one.
    claimed_until: Option<UnixTime>,
    abandoned: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Time(u64),
    ClockJump(i64),
    Poll(usize),
    Finish(usize, Outcome),
    /// The request reaches the service, and its answer is on the way.
    Deliver(usize),
    Abandon(usize),
    Crash(usize),
    Refused(usize),
    Authorize(usize),
    Revoke,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Honest,
    /// It fails, and has no effect.
    Fails,
    /// It fails for whoever asked, but has its effect.
    FailsAfterwards,
}

struct World {
    service: Service,
    store: Option<Record>,
    processes: Vec<Session>,
    in_flight: Vec<InFlight>,
    /// The true time, and what the processes' clocks show.
    time: UnixTime,
    clock: UnixTime,
    /// Every access token that was ever stored.
    stored: BTreeSet<String>,
    /// Whether an answer was lost that had tokens in it.
    tokens_were_lost: bool,
    clock_jumped: bool,
    revoked: bool,
}

impl World {
    fn new(rotates: bool, lifetime: Option<u64>, processes: usize) -> Self {
        // No whole second, as no clock shows one.
        let start = UnixTime::since_epoch(Duration::from_millis(START * 1_000 + 500));
        let mut world = Self {
            service: Service {
                rotates,
                lifetime,
                issued: 0,
                refresh_tokens: BTreeSet::new(),
                access_tokens: Vec::new(),
            },
            store: None,
            processes: (0..processes).map(|_| session()).collect(),
            in_flight: Vec::new(),
            time: start,
            clock: start,
            stored: BTreeSet::new(),
            tokens_were_lost: false,
            clock_jumped: false,
            revoked: false,
        };
        world.authorize(0);
        world.settle();
        world
    }

    fn authorize(&mut self, process: usize) {
        // Of two authorizations at a time either may win, and the other's tokens are lost.
        self.tokens_were_lost |= self.processes.iter().any(Session::has_unstored_tokens);
        let tokens = self.service.authorize(self.time);
        let entropy = ENTROPY + u64::from(self.service.issued);
        self.processes[process].replace_tokens(self.clock, entropy, tokens);
    }

    fn pass(&mut self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.time = self.time.saturating_add(time);
        self.clock = self.clock.saturating_add(time);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Time(seconds) => self.pass(seconds),
            Event::ClockJump(by) => {
                self.clock_jumped = true;
                let distance = Duration::from_secs(by.unsigned_abs());
                self.clock = if by < 0 {
                    self.clock.saturating_sub(distance)
                } else {
                    self.clock.saturating_add(distance)
                };
            }
            Event::Poll(process) => drop(self.poll(process % self.processes.len())),
            Event::Finish(job, outcome) => {
                if let Some(job) = self.pick(job) {
                    let job = self.in_flight.swap_remove(job);
                    self.finish(job, outcome);
                }
            }
            Event::Deliver(job) => {
                if let Some(job) = self.pick(job) {
                    self.deliver(job);
                }
            }
            Event::Abandon(job) => {
                if let Some(job) = self.pick(job) {
                    let job = &mut self.in_flight[job];
                    job.abandoned = true;
                    self.processes[job.process].abandon(job.job.id());
                }
            }
            Event::Crash(process) => self.crash(process % self.processes.len()),
            Event::Refused(process) => {
                let process = process % self.processes.len();
                let process = &mut self.processes[process];
                if let Step::Ready(token) = process.poll(self.clock) {
                    process.handle_refusal(self.clock, &token);
                }
            }
            Event::Authorize(process) => self.authorize(process % self.processes.len()),
            Event::Revoke => {
                self.revoked = true;
                self.service.refresh_tokens.clear();
            }
        }
    }

    fn pick(&self, job: usize) -> Option<usize> {
        (!self.in_flight.is_empty()).then(|| job % self.in_flight.len())
    }

    /// Polls a process, and checks what it is told to do.
    fn poll(&mut self, process: usize) -> Option<Step<Token>> {
        let step = self.processes[process].poll(self.clock);
        let job = match step {
            Step::Ready(token) => {
                let stored = self.stored.contains(token.expose());
                assert!(stored, "{token:?} is used before it is stored");
                let record = self.processes[process].record().unwrap();
                assert_eq!(record.tokens().access_token, token);
                let expires_at = record.tokens().expires_at;
                assert!(expires_at.is_none_or(|expires_at| self.clock < expires_at));
                return Some(Step::Ready(token));
            }
            Step::Fail(error) => {
                if let SessionError::GrantGone { .. } = error {
                    assert!(
                        self.revoked || self.tokens_were_lost || self.tokens_are_on_the_way(),
                        "the grant is given up though it is good",
                    );
                }
                return Some(Step::Fail(error));
            }
            Step::Wait(until) => {
                assert!(until > self.clock, "nobody can wait for what has passed");
                return Some(Step::Wait(until));
            }
            Step::Do(job) => job,
        };
        if let Job::Refresh(_) = job {
            self.check_that_nobody_else_refreshes();
        }
        let claimed_until = match (&job, self.processes[process].record().map(Record::refresh)) {
            (Job::Refresh(_), Some(RefreshState::UnderWay(until))) => Some(until),
            _ => None,
        };
        self.in_flight.push(InFlight {
            process,
            job,
            answer: None,
            claimed_until,
            abandoned: false,
        });
        None
    }

    /// While clocks are right, and no caller has vanished, one refresh is under way at a time.
    fn check_that_nobody_else_refreshes(&self) {
        let mut others = self.in_flight.iter().filter(|job| !job.abandoned);
        let claimed = others.any(|job| job.claimed_until.is_some_and(|until| self.clock < until));
        assert!(!claimed || self.clock_jumped, "two refreshes at a time");
    }

    fn tokens_are_on_the_way(&self) -> bool {
        let has_tokens = |job: &InFlight| {
            let answer = job.answer.as_ref();
            answer.is_some_and(|answer| answer.status().is_success())
        };
        self.in_flight.iter().any(has_tokens)
            || self.processes.iter().any(Session::has_unstored_tokens)
    }

    fn deliver(&mut self, job: usize) {
        let InFlight { job, answer, .. } = &mut self.in_flight[job];
        if let (Job::Refresh(refresh), None) = (job, &answer) {
            let request = refresh.operation().request();
            *answer = Some(self.service.refresh(self.time, request.body()));
        }
    }

    fn finish(&mut self, job: InFlight, outcome: Outcome) {
        let now = self.clock;
        let process = &mut self.processes[job.process];
        match (job.job, outcome) {
            (Job::Load(load), Outcome::Honest) => {
                process.handle_load(now, load, Ok::<_, String>(self.store.clone()));
            }
            (Job::Load(load), _) => process.handle_load(now, load, Err("the store is down")),
            (Job::Swap(swap), Outcome::Fails) => {
                process.handle_swap(now, swap, Err("the store is down"));
            }
            (Job::Swap(swap), outcome) => {
                let there = self.store.as_ref().map(Record::version);
                let swapped = if there == swap.expected() {
                    assert!(there < Some(swap.record().version()));
                    let text = swap.record().to_exposed_json();
                    assert_eq!(Record::from_json(&text).as_ref(), Ok(swap.record()));
                    let access_token = &swap.record().tokens().access_token;
                    self.stored.insert(access_token.expose().to_owned());
                    self.store = Some(swap.record().clone());
                    Swapped::Yes
                } else {
                    Swapped::No
                };
                match outcome {
                    Outcome::Honest => process.handle_swap(now, swap, Ok::<_, String>(swapped)),
                    _ => process.handle_swap(now, swap, Err("the store is down")),
                }
            }
            (Job::Refresh(refresh), outcome) => {
                let operation = refresh.operation();
                let result = match (outcome, job.answer) {
                    (Outcome::Fails, None) => {
                        Err(CallError::NotSent(Cause::new(CauseKind::Connect)))
                    }
                    (Outcome::FailsAfterwards, None) => {
                        let response = Response::builder().status(503).body("").unwrap();
                        operation.parse(response).map_err(CallError::Answered)
                    }
                    (Outcome::Honest, None) => {
                        let request = operation.request();
                        let response = self.service.refresh(self.time, request.body());
                        operation.parse(response).map_err(CallError::Answered)
                    }
                    (Outcome::Honest, Some(response)) => {
                        operation.parse(response).map_err(CallError::Answered)
                    }
                    (_, Some(response)) => {
                        self.tokens_were_lost |= self.service.rotates && response.status() == 200;
                        Err(CallError::Unknown(Cause::new(CauseKind::Exchange)))
                    }
                };
                process.handle_refresh(now, ENTROPY, refresh, result);
            }
        }
    }

    /// The process dies, and another takes its place.
    fn crash(&mut self, process: usize) {
        self.tokens_were_lost |= self.processes[process].has_unstored_tokens();
        self.processes[process] = session();
        let (dead, alive) = std::mem::take(&mut self.in_flight)
            .into_iter()
            .partition::<Vec<_>, _>(|job| job.process == process);
        self.in_flight = alive;
        for job in dead {
            if let Some(answer) = job.answer {
                self.tokens_were_lost |= self.service.rotates && answer.status() == 200;
            }
        }
    }

    /// Everything works again, until each process has a token that the service accepts, or knows
    /// that there is none.
    fn settle(&mut self) {
        // More seconds than any hold is believed.
        for _ in 0..9_000 {
            let settled = (0..self.processes.len()).fold(true, |all, process| {
                let step = loop {
                    while let Some(job) = self.in_flight.pop() {
                        self.finish(job, Outcome::Honest);
                    }
                    if let Some(step) = self.poll(process) {
                        break step;
                    }
                };
                let is_settled = match step {
                    Step::Ready(token) => {
                        let accepted = self.service.accepts(self.time, token.expose());
                        if !accepted {
                            self.processes[process].handle_refusal(self.clock, &token);
                        }
                        accepted && !self.processes[process].has_unstored_tokens()
                    }
                    Step::Fail(SessionError::GrantGone { .. }) => true,
                    _ => false,
                };
                all && is_settled
            });
            if settled {
                return;
            }
            self.pass(1);
        }
        panic!("no token, and no end: {:?}", self.processes);
    }
}

fn session() -> Session {
    Session::new(app(), SessionPolicy::default())
}

fn event() -> impl Strategy<Value = Event> {
    let index = 0..8_usize;
    let outcome = prop_oneof![
        6 => Just(Outcome::Honest),
        1 => Just(Outcome::Fails),
        1 => Just(Outcome::FailsAfterwards),
    ];
    let jump = prop::sample::select(vec![-100_000_000, -86_400, -3_600, -10, 10, 3_600, 86_400]);
    prop_oneof![
        4 => (0..5_u64).prop_map(Event::Time),
        4 => (0..100_000_u64).prop_map(Event::Time),
        1 => jump.prop_map(Event::ClockJump),
        12 => index.clone().prop_map(Event::Poll),
        12 => (index.clone(), outcome).prop_map(|(job, outcome)| Event::Finish(job, outcome)),
        4 => index.clone().prop_map(Event::Deliver),
        2 => index.clone().prop_map(Event::Abandon),
        1 => index.clone().prop_map(Event::Crash),
        2 => index.clone().prop_map(Event::Refused),
        1 => index.prop_map(Event::Authorize),
        1 => Just(Event::Revoke),
    ]
}

proptest! {
    #[test]
    fn tokens_are_stored_before_use_and_a_good_grant_is_never_lost(
        rotates in any::<bool>(),
        lifetime in prop::sample::select(vec![None, Some(0), Some(30), Some(86_400)]),
        processes in 1..4_usize,
        events in prop::collection::vec(event(), 0..120),
    ) {
        let mut world = World::new(rotates, lifetime, processes);
        for event in events {
            world.happen(event);
        }
        world.settle();
    }
}

/// What a process that starts at `now` is told, with this in the store; it asks nobody else.
fn first_step(stored: &str, now: u64) -> String {
    let now = UnixTime::from_secs(now);
    let mut session = session();
    let Step::Do(Job::Load(load)) = session.poll(now) else {
        panic!("it begins with the store");
    };
    session.handle_load(
        now,
        load,
        Ok::<_, String>(Some(Record::from_json(stored).unwrap())),
    );
    match session.poll(now) {
        Step::Ready(token) => format!("use {}", token.expose()),
        Step::Do(Job::Load(_)) => "load".into(),
        Step::Do(Job::Swap(swap)) => format!("swap for {:?}", swap.record().refresh()),
        Step::Do(Job::Refresh(_)) => "refresh".into(),
        Step::Wait(until) => format!("wait {}", until.saturating_since(now).as_secs()),
        Step::Fail(error) => error.to_string(),
    }
}

#[test]
fn what_is_stored_says_what_is_done() {
    let stored = |refresh: &str, at: &str, refresh_token: &str, expires_at: &str| {
        format!(
            r#"{{"format":1,"version":9,"grant":5,"refresh":"{refresh}","at":{at},"failures":0,"tokens":{{"format":1,"access_token":"acc","refresh_token":{refresh_token},"expires_at":{expires_at}}}}}"#
        )
    };
    let gone = "the access token cannot be refreshed because its refresh token was refused, or \
                there is none; let the user authorize again";
    let claim = "swap for UnderWay(UnixTime(10120s))";
    for (refresh, at, refresh_token, expires_at, step) in [
        ("due", "10001", r#""ref""#, "20000", "use acc"),
        ("due", "10000", r#""ref""#, "20000", claim),
        ("due", "15000", r#""ref""#, "10000", claim),
        ("due", "9000", "null", "20000", "use acc"),
        ("due", "9000", "null", "10000", gone),
        ("on_refusal", "null", r#""ref""#, "null", "use acc"),
        ("on_refusal", "null", r#""ref""#, "9000", claim),
        // Somebody else refreshes: the old token is used as long as it is good.
        ("under_way", "10100", r#""ref""#, "20000", "use acc"),
        // The store is read again every second, for no one else brings the news.
        ("under_way", "10100", r#""ref""#, "9000", "wait 1"),
        ("under_way", "10000", r#""ref""#, "20000", claim),
        // No clock that is right sets such a time.
        ("under_way", "10241", r#""ref""#, "20000", claim),
        ("paused", "10100", r#""ref""#, "20000", "use acc"),
        (
            "paused",
            "10100",
            r#""ref""#,
            "9000",
            "the access token is no longer good and could not be refreshed; the next try is not \
             before 10100 (Unix seconds)",
        ),
        ("paused", "10000", r#""ref""#, "20000", claim),
        ("paused", "18101", r#""ref""#, "20000", claim),
        ("grant_gone", "null", r#""ref""#, "20000", "use acc"),
        ("grant_gone", "null", r#""ref""#, "9000", gone),
        ("grant_gone", "null", r#""ref""#, "10000", gone),
    ] {
        let stored = stored(refresh, at, refresh_token, expires_at);
        assert_eq!(first_step(&stored, 10_000), step, "{stored}");
    }
}

#[test]
fn a_refresh_that_fails_is_tried_again_ever_later_and_said_to_whoever_has_no_token() {
    let mut world = World::new(false, Some(86_400), 1);
    let mut waits = Vec::new();
    world.pass(70_000);
    while waits.len() < 16 {
        match world.processes[0].poll(world.clock) {
            Step::Ready(_) => world.pass(1),
            Step::Do(Job::Swap(swap)) => {
                let paused = swap.record().refresh();
                if let RefreshState::Paused(until) = paused {
                    waits.push(until.saturating_since(world.clock).as_secs());
                }
                world.processes[0].handle_swap(world.clock, swap, Ok::<_, String>(Swapped::Yes));
            }
            Step::Do(Job::Refresh(refresh)) => {
                let response = Response::builder().status(503).body("").unwrap();
                let outcome = refresh.operation().parse(response);
                let outcome = outcome.map_err(CallError::Answered);
                world.processes[0].handle_refresh(world.clock, ENTROPY, refresh, outcome);
            }
            step => panic!("{step:?}"),
        }
    }
    // Three quarters of the longest pause, for the entropy is half.
    assert_eq!(waits[..8], [22, 45, 90, 180, 360, 675, 675, 675]);

    // Once it has expired, somebody waits for it.
    world.pass(86_400);
    let error = loop {
        match world.processes[0].poll(world.clock) {
            Step::Fail(error) => break error,
            Step::Do(Job::Load(load)) => {
                let record = world.processes[0].record().cloned();
                world.processes[0].handle_load(world.clock, load, Ok::<_, String>(record));
            }
            Step::Do(Job::Swap(swap)) => {
                world.processes[0].handle_swap(world.clock, swap, Ok::<_, String>(Swapped::Yes));
            }
            Step::Do(Job::Refresh(refresh)) => {
                let failed = Err(CallError::Unknown(Cause::new(CauseKind::Exchange)));
                world.processes[0].handle_refresh(world.clock, ENTROPY, refresh, failed);
            }
            step => panic!("{step:?}"),
        }
    };
    let until = world.clock.as_secs() + 23;
    assert_eq!(
        error.to_string(),
        format!(
            "the access token is no longer good and could not be refreshed: whether the request \
             reached the server is not known: the connection failed; a code that it carried may \
             be spent, so do not send that again; the next try is not before {until} (Unix \
             seconds)"
        )
    );
    assert!(!error.needs_authorization());
}

#[test]
fn refreshes_are_spread_before_the_margin() {
    for (lifetime, entropy, due) in [
        (86_400, 0, 86_400 - 7_200),
        (86_400, u64::MAX / 2, 86_400 - 7_200 - 3 * 3_600),
        (86_400, u64::MAX, 86_400 - 7_200 - 6 * 3_600),
        // A quarter each.
        (400, 0, 300),
        (400, u64::MAX, 200),
    ] {
        let now = UnixTime::from_secs(START);
        let mut session = session();
        session.replace_tokens(
            now,
            entropy,
            TokenSet {
                access_token: token("acc"),
                refresh_token: Some(token("ref")),
                expires_at: Some(UnixTime::from_secs(START + lifetime)),
            },
        );
        let Step::Do(Job::Load(load)) = session.poll(now) else {
            panic!("it begins with the store");
        };
        session.handle_load(now, load, Ok::<_, String>(None));
        let Step::Do(Job::Swap(swap)) = session.poll(now) else {
            panic!("the tokens are to be stored");
        };
        assert_eq!(swap.expected(), None);
        assert_eq!(swap.record().version(), START);
        let RefreshState::Due(at) = swap.record().refresh() else {
            panic!("{:?}", swap.record());
        };
        // The last nanosecond is cut off by rounding.
        assert!(at.as_secs().abs_diff(START + due) <= 1, "{at:?}");
    }
}

#[test]
fn a_late_answer_counts_as_long_as_nobody_else_has_brought_tokens() {
    let refresh = |world: &mut World| loop {
        match world.processes[0].poll(world.clock) {
            Step::Do(Job::Refresh(refresh)) => return refresh,
            Step::Do(Job::Swap(swap)) => {
                world.processes[0].handle_swap(world.clock, swap, Ok::<_, String>(Swapped::Yes));
            }
            step => panic!("{step:?}"),
        }
    };
    let answer = |refresh: &Refresh, body: &str| {
        let response = Response::new(body.to_owned());
        refresh
            .operation()
            .parse(response)
            .map_err(CallError::Answered)
    };
    let mut world = World::new(false, Some(86_400), 1);
    world.pass(86_400);
    let slow = refresh(&mut world);
    world.pass(121);
    let second = refresh(&mut world);
    let (slow_answer, late_answer) = (
        answer(&slow, r#"{"access_token":"slow"}"#),
        answer(&second, r#"{"access_token":"late"}"#),
    );
    let session = &mut world.processes[0];
    session.handle_refresh(world.clock, ENTROPY, slow, slow_answer);
    assert!(session.has_unstored_tokens());
    session.handle_refresh(world.clock, ENTROPY, second, late_answer);
    let Step::Do(Job::Swap(swap)) = session.poll(world.clock) else {
        panic!("the tokens are to be stored");
    };
    session.handle_swap(world.clock, swap, Ok::<_, String>(Swapped::Yes));
    let Step::Ready(token) = session.poll(world.clock) else {
        panic!("a token is there");
    };
    assert_eq!(token.expose(), "slow");
}

#[test]
fn tokens_wait_until_the_store_works_again() {
    let mut world = World::new(true, Some(86_400), 1);
    world.pass(86_000);
    let session = &mut world.processes[0];
    let mut failures = 0;
    let token = loop {
        match session.poll(world.clock) {
            // The old token is good for another 400 seconds.
            Step::Ready(token) if token.expose() == "a1" => {
                assert!(session.has_unstored_tokens());
                world.clock = world.clock.saturating_add(Duration::from_secs(1));
            }
            Step::Ready(token) => break token,
            Step::Fail(SessionError::Store(_)) => {
                world.clock = world.clock.saturating_add(Duration::from_secs(1));
            }
            Step::Do(Job::Swap(swap)) => {
                let is_claim = matches!(swap.record().refresh(), RefreshState::UnderWay(_));
                failures += u32::from(!is_claim);
                let outcome = if is_claim || failures == 600 {
                    Ok(Swapped::Yes)
                } else {
                    Err("the store is down")
                };
                session.handle_swap(world.clock, swap, outcome);
            }
            Step::Do(Job::Refresh(refresh)) => {
                let request = refresh.operation().request();
                let response = world.service.refresh(world.time, request.body());
                let outcome = refresh.operation().parse(response);
                let outcome = outcome.map_err(CallError::Answered);
                session.handle_refresh(world.clock, ENTROPY, refresh, outcome);
            }
            step => panic!("{step:?}"),
        }
    };
    // One try a second, also after the old token had expired.
    assert_eq!((failures, token.expose()), (600, "a2"));
}

/// Two processes that share a store; the first one's swap fails, and is done or not all the same.
#[test]
fn an_authorization_that_the_store_failed_on_replaces_no_later_one() {
    for (is_done, by_another, expected) in [
        (false, false, "mine"),
        (true, false, "mine"),
        (false, true, "theirs"),
        (true, true, "theirs"),
    ] {
        let mut world = World::new(false, Some(86_400), 2);
        let tokens = |access_token: &str| TokenSet {
            access_token: token(access_token),
            refresh_token: Some(token("ref")),
            expires_at: None,
        };
        world.processes[0].replace_tokens(world.clock, 1, tokens("mine"));
        assert!(world.poll(0).is_none());
        let swap = world.in_flight.pop().unwrap();
        let outcome = if is_done {
            Outcome::FailsAfterwards
        } else {
            Outcome::Fails
        };
        world.finish(swap, outcome);
        if by_another {
            world.processes[1].replace_tokens(world.clock, 2, tokens("theirs"));
            finish_all(&mut world, 1);
        }
        world.pass(1);
        finish_all(&mut world, 0);
        let stored = world.store.as_ref().unwrap().tokens().access_token.expose();
        assert_eq!(stored, expected, "{is_done} {by_another}");
    }
}

fn finish_all(world: &mut World, process: usize) {
    while world.poll(process).is_none() {
        let job = world.in_flight.pop().unwrap();
        world.finish(job, Outcome::Honest);
    }
}
