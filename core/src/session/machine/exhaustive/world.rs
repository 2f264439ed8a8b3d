//! Two processes, one user, one store, and a service that rotates refresh tokens.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use http::Response;

use crate::{
    App, CallError, Failure, Operation, Replay, Token, TokenSet, UnixTime,
    session::{
        Background, Job, Outcome, Record, RefreshState, SessionError, SessionPolicy, Step,
        machine::Session, stage::Change,
    },
};

/// The lifetime of an access token in seconds.
const LIFETIME: u64 = 10_000;

/// The maximum number of steps until both processes have a token, if nothing fails.
const MAX_STEPS: usize = 400;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) faults: u32,
    pub(super) authorizations: u8,
    /// Whether the first authorization is stored, and its access token expired, at the start.
    pub(super) is_expired: bool,
    /// A spent refresh token that is sent again revokes its family.
    pub(super) revokes_families: bool,
    /// How far the clock of the second process is ahead, in seconds.
    pub(super) skew: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// The call takes effect, and its outcome arrives.
    Finish(usize, usize),
    /// The call takes effect, and its outcome is late.
    Perform(usize, usize),
    Authorize(usize),
    /// Time passes until a process has work to do.
    Wait,
    Fault(usize, usize, Fault),
    Crash(usize),
    /// The process makes no progress while time passes.
    Stop(usize),
    Continue(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Cut,
    LostAck,
    GiveUp,
    Lag,
}

#[derive(Clone, Debug)]
pub(super) enum CallResult {
    Loaded(Option<Record>),
    Swapped(Outcome),
    Refreshed(u16, String),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) job: Job,
    pub(super) result: Option<CallResult>,
    /// Whether the session no longer waits for the outcome.
    pub(super) is_orphan: bool,
    /// Whether the process that would get the outcome has died.
    pub(super) is_dead: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) session: Session,
    pub(super) calls: Vec<Call>,
    pub(super) is_stopped: bool,
    pub(super) incarnation: u64,
}

/// The tokens of one authorization.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Family {
    generation: u8,
    is_revoked: bool,
    /// Whether its tokens were lost in a way that no client can prevent.
    is_excused: bool,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) bounds: Bounds,
    pub(super) time: UnixTime,
    pub(super) processes: [Process; 2],
    pub(super) stored: Option<Record>,
    pub(super) previous: Option<Record>,
    pub(super) families: Vec<Family>,
    pub(super) trace: Option<Arc<Trace>>,
}

/// The events that led to a state.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) event: Event,
    pub(super) before: Option<Arc<Trace>>,
}

fn token(kind: char, family: usize, generation: u8) -> Token {
    Token::new(&format!("{kind}{family}.{generation}")).unwrap()
}

fn parse(token: &Token) -> (usize, u8) {
    let (family, generation) = token.expose()[1..].split_once('.').unwrap();
    (family.parse().unwrap(), generation.parse().unwrap())
}

fn place(record: &Record) -> (usize, u8) {
    parse(&record.tokens().access_token)
}

impl Process {
    fn new(incarnation: u64) -> Self {
        let policy = SessionPolicy::default()
            .lease(Duration::from_secs(8))
            .clock_tolerance(Duration::from_secs(4))
            .pause(Duration::from_secs(2))
            .longest_pause(Duration::from_secs(4));
        let app = App::new("client-id", "client-secret").unwrap();
        Self {
            session: Session::new(app, Arc::new(policy)),
            calls: Vec::new(),
            is_stopped: false,
            incarnation,
        }
    }
}

impl World {
    pub(super) fn new(bounds: Bounds) -> Self {
        let mut world = Self::empty(bounds);
        if bounds.is_expired {
            world.authorize(0);
            world.settle();
            world.pass(Duration::from_secs(LIFETIME));
            world.start_jobs();
        }
        world
    }

    fn empty(bounds: Bounds) -> Self {
        Self {
            bounds,
            time: UnixTime::from_secs(1_000_000),
            processes: [Process::new(1), Process::new(2)],
            stored: None,
            previous: None,
            families: Vec::new(),
            trace: None,
        }
    }

    fn now(&self, process: usize) -> UnixTime {
        let skew = self.bounds.skew * process as u64;
        self.time.saturating_add(Duration::from_secs(skew))
    }

    /// Every process starts its next job at once, because the time of the start makes no difference
    /// to the others.
    fn start_jobs(&mut self) {
        for index in 0..2 {
            let now = self.now(index);
            let process = &mut self.processes[index];
            if process.is_stopped || self.families.is_empty() {
                continue;
            }
            if let Some(job) = process.session.next_job(now, process.incarnation) {
                process.calls.push(Call { job, result: None, is_orphan: false, is_dead: false });
            }
            if let Step::Ready(token) = process.session.poll(now) {
                let record = process.session.record().expect("a record");
                assert_eq!(record.tokens().access_token, token, "an unknown token");
            }
        }
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let may_fail = self.bounds.faults > 0;
        let mut is_busy = false;
        for (index, process) in self.processes.iter().enumerate() {
            if process.is_stopped {
                events.push(Event::Continue(index));
            }
            for (number, call) in process.calls.iter().enumerate() {
                is_busy |= !call.is_orphan && !process.is_stopped;
                if !process.is_stopped || call.is_dead {
                    events.push(Event::Finish(index, number));
                }
                let is_load = matches!(call.job, Job::Load(_));
                if may_fail && call.result.is_none() && !is_load && !call.is_dead {
                    events.push(Event::Perform(index, number));
                }
                if !may_fail || call.is_orphan || call.result.is_some() || process.is_stopped {
                    continue;
                }
                let faults: &[Fault] = match call.job {
                    Job::Load(_) if self.previous.is_some() => &[Fault::Cut, Fault::Lag],
                    Job::Load(_) => &[Fault::Cut],
                    Job::Refresh(_) => &[Fault::Cut, Fault::LostAck],
                    _ => &[Fault::Cut, Fault::LostAck, Fault::GiveUp],
                };
                events.extend(faults.iter().map(|fault| Event::Fault(index, number, *fault)));
            }
            let has_work = !process.calls.is_empty() || process.session.has_unstored_tokens();
            if may_fail && has_work && !process.is_stopped {
                events.push(Event::Crash(index));
                // If the service revokes families, no client keeps its tokens after a stop during a
                // refresh.
                if !self.bounds.revokes_families {
                    events.push(Event::Stop(index));
                }
            }
        }
        let begun = self.families.len();
        if begun < usize::from(self.bounds.authorizations) {
            events.push(Event::Authorize(0));
            if begun > 0 || self.bounds.skew > 0 {
                events.push(Event::Authorize(1));
            }
        }
        if !is_busy && self.wake_after().is_some() {
            events.push(Event::Wait);
        }
        events
    }

    /// How long until a process has work to do.
    fn wake_after(&self) -> Option<Duration> {
        let running = (0..2).filter(|index| !self.processes[*index].is_stopped);
        let times = running.filter_map(|index| {
            let now = self.now(index);
            let session = &self.processes[index].session;
            let until = match session.clone().background(now, 0) {
                Background::Job(_) => now,
                Background::Wait(until) => until,
                Background::Idle => match session.poll(now) {
                    Step::Wait(until) | Step::Fail(SessionError::RefreshFailed { until, .. }) => {
                        until
                    }
                    Step::Fail(SessionError::Store(_)) => session.store.resume_at(),
                    Step::Fail(_) if session.record != self.stored => {
                        session.store.reload_at().max(now.saturating_add(Duration::from_millis(1)))
                    }
                    Step::Ready(_) | Step::Fail(_) => return None,
                },
            };
            Some(until.saturating_since(now).max(Duration::from_millis(1)))
        });
        times.min()
    }

    fn pass(&mut self, time: Duration) {
        // No request is in flight for longer than a lease. Calls of the store may be.
        for process in &mut self.processes {
            process.calls.retain(|call| !call.is_dead || !matches!(call.job, Job::Refresh(_)));
        }
        self.time = self.time.saturating_add(time);
    }

    pub(super) fn happen(&mut self, event: Event) {
        self.trace = Some(Arc::new(Trace { event, before: self.trace.take() }));
        match event {
            Event::Finish(process, call) => self.finish(process, call),
            Event::Perform(process, call) => {
                self.bounds.faults -= 1;
                self.perform(process, call);
            }
            Event::Authorize(process) => self.authorize(process),
            Event::Wait => {
                let time = self.wake_after().expect("a time");
                self.pass(time);
            }
            Event::Fault(process, call, fault) => {
                self.bounds.faults -= 1;
                self.fail(process, call, fault);
            }
            Event::Crash(process) => {
                self.bounds.faults -= 1;
                self.crash(process);
            }
            Event::Stop(process) => {
                self.bounds.faults -= 1;
                self.processes[process].is_stopped = true;
            }
            Event::Continue(process) => self.processes[process].is_stopped = false,
        }
        self.start_jobs();
    }

    fn authorize(&mut self, index: usize) {
        // Authorizations in the same second have no order.
        self.pass(Duration::from_secs(1));
        let family = self.families.len();
        self.families.push(Family { generation: 0, is_revoked: false, is_excused: false });
        let now = self.now(index);
        let process = &mut self.processes[index];
        for call in &mut process.calls {
            call.is_orphan = true;
        }
        let tokens = TokenSet {
            access_token: token('a', family, 0),
            refresh_token: Some(token('r', family, 0)),
            expires_at: Some(now.saturating_add(Duration::from_secs(LIFETIME))),
        };
        process.session.replace_tokens(now, family as u64, tokens);
    }

    /// Lets a call take effect, if it has not.
    fn perform(&mut self, process: usize, index: usize) {
        let call = &self.processes[process].calls[index];
        if call.result.is_some() {
            return;
        }
        let (job, is_dead) = (call.job.clone(), call.is_dead);
        let result = match job {
            Job::Load(_) => CallResult::Loaded(self.stored.clone()),
            Job::Swap(swap) => {
                if self.stored.as_ref().map(Record::version) == swap.expected() {
                    self.store(swap.record().clone());
                    CallResult::Swapped(Outcome::Stored)
                } else {
                    CallResult::Swapped(Outcome::Conflict)
                }
            }
            Job::Remove(_) => unreachable!("no session ends"),
            Job::Refresh(refresh) => {
                let refresh_token = refresh.of.refresh_token.as_ref().expect("a refresh token");
                let (number, generation) = parse(refresh_token);
                let family = &mut self.families[number];
                if family.is_revoked || family.generation != generation {
                    family.is_revoked |= self.bounds.revokes_families;
                    CallResult::Refreshed(400, r#"{"error":"invalid_grant"}"#.into())
                } else {
                    family.generation += 1;
                    family.is_excused |= is_dead;
                    let generation = family.generation;
                    let body = format!(
                        r#"{{"access_token":"a{number}.{generation}","refresh_token":"r{number}.{generation}","expires_in":{LIFETIME}}}"#
                    );
                    CallResult::Refreshed(200, body)
                }
            }
        };
        self.processes[process].calls[index].result = Some(result);
    }

    fn store(&mut self, record: Record) {
        if let Some(stored) = &self.stored {
            assert!(stored.version() < record.version());
            let [old, new] = [place(stored), place(&record)];
            assert!(
                old <= new || (self.bounds.skew > 0 && old.0 != new.0),
                "{new:?} overwrites {old:?}"
            );
        }
        self.previous = self.stored.replace(record);
    }

    fn finish(&mut self, process: usize, index: usize) {
        self.perform(process, index);
        let call = self.processes[process].calls.remove(index);
        if call.is_dead {
            return;
        }
        let now = self.now(process);
        let session = &mut self.processes[process].session;
        match (call.job, call.result.expect("the call took effect")) {
            (Job::Load(load), CallResult::Loaded(record)) => {
                session.handle_load(now, load, Ok::<_, String>(record));
            }
            (Job::Swap(swap), CallResult::Swapped(outcome)) => {
                session.handle_swap(now, swap, Ok::<_, String>(outcome));
            }
            (Job::Refresh(refresh), CallResult::Refreshed(status, body)) => {
                let response = Response::builder().status(status).body(body).unwrap();
                let outcome = refresh.operation().parse(response).map_err(CallError::from);
                session.handle_refresh(now, 0, refresh, outcome);
            }
            (job, result) => unreachable!("{job:?} {result:?}"),
        }
    }

    fn fail(&mut self, process: usize, index: usize, fault: Fault) {
        let now = self.now(process);
        match fault {
            Fault::Lag => {
                let previous = self.previous.clone();
                self.processes[process].calls[index].result = Some(CallResult::Loaded(previous));
                return self.finish(process, index);
            }
            Fault::GiveUp => {
                let process = &mut self.processes[process];
                let call = &mut process.calls[index];
                call.is_orphan = true;
                return process.session.give_up(now, call.job.id(), "timed out");
            }
            Fault::LostAck => self.perform(process, index),
            Fault::Cut => {}
        }
        let call = self.processes[process].calls.remove(index);
        let session = &mut self.processes[process].session;
        match call.job {
            Job::Load(load) => session.handle_load(now, load, Err("cut")),
            Job::Swap(swap) => session.handle_swap(now, swap, Err("cut")),
            Job::Remove(remove) => session.handle_remove(now, remove, Err("cut")),
            Job::Refresh(refresh) => {
                let error =
                    CallError::Unknown { failure: Failure::exchange("cut"), replay: Replay::Safe };
                if let Some(CallResult::Refreshed(200, _)) = call.result {
                    let (family, _) = parse(&refresh.of.access_token);
                    self.families[family].is_excused = true;
                }
                session.handle_refresh(now, 0, refresh, Err(error));
            }
        }
    }

    /// The process dies, and another takes its place. Its calls may still take effect.
    fn crash(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let unstored = process.session.stage.change().filter(|change| change.has_tokens());
        let unstored_is_authorization = unstored.is_some_and(Change::is_authorization);
        if let Some(change) = unstored {
            let (family, _) = parse(&change.content.tokens.access_token);
            self.families[family].is_excused = true;
        }
        for grant in &process.session.superseded {
            // The authorization that superseded these is lost with the process.
            let family = usize::try_from(*grant).unwrap();
            self.families[family].is_excused |= unstored_is_authorization;
        }
        for call in &process.calls {
            if let (Job::Refresh(refresh), Some(CallResult::Refreshed(200, _))) =
                (&call.job, &call.result)
            {
                let (family, _) = parse(&refresh.of.access_token);
                self.families[family].is_excused = true;
            }
        }
        process.calls.retain(|call| call.result.is_none() && !matches!(call.job, Job::Load(_)));
        for call in &mut process.calls {
            call.is_dead = true;
            call.is_orphan = true;
        }
        process.session = Process::new(0).session;
        process.incarnation += 2;
    }

    /// Continues without faults until there is nothing left to do.
    fn settle(&mut self) {
        self.processes.iter_mut().for_each(|process| process.is_stopped = false);
        for _ in 0..MAX_STEPS {
            self.start_jobs();
            let next = self.processes.iter().enumerate().find_map(|(index, process)| {
                let call =
                    process.calls.iter().position(|call| !call.is_orphan || call.result.is_some());
                Some((index, call?))
            });
            match (next, self.wake_after()) {
                (Some((process, call)), _) => self.finish(process, call),
                (None, Some(time)) => self.pass(time),
                (None, None) => return,
            }
        }
        panic!("the processes wait forever");
    }

    /// Checks that the user does not have to authorize again, if nothing more fails.
    pub(super) fn check(&self) {
        let mut world = self.clone();
        world.settle();
        world.check_settled();
    }

    /// Whether all processes have done their work.
    pub(super) fn is_settled(&self) -> bool {
        let is_busy = self
            .processes
            .iter()
            .any(|process| process.is_stopped || process.calls.iter().any(|call| !call.is_orphan));
        !is_busy && self.wake_after().is_none()
    }

    pub(super) fn check_settled(&self) {
        let Some(newest) = self.families.len().checked_sub(1) else {
            return;
        };
        let Some(stored) = &self.stored else {
            return assert!(
                self.families.iter().all(|family| family.is_excused),
                "nothing is stored"
            );
        };
        let (number, generation) = place(stored);
        let family = self.families[number];
        assert!(
            number == newest || self.families[newest].is_excused || self.bounds.skew > 0,
            "the newer authorization is dropped"
        );
        if family.is_excused {
            return;
        }
        assert!(!family.is_revoked, "the family is revoked");
        assert_eq!(generation, family.generation, "the stored refresh token is spent");
        assert_ne!(stored.refresh(), RefreshState::Revoked, "reported as revoked");
        for index in 0..2 {
            let step = self.processes[index].session.poll(self.now(index));
            assert!(matches!(step, Step::Ready(_)), "no token: {step:?}");
        }
    }
}
