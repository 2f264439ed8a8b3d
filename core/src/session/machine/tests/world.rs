//! A simulation of processes that share a store and a service. Tests choose the order of events and
//! the faults.

use core::time::Duration;
use std::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};

use http::Response;

use super::service::{Behaviour, Service, parse};
use crate::{
    App, CallError, Failure, Operation, Replay, Token, UnixTime,
    session::{
        Background, Job, Outcome, Record, Session, SessionError, SessionPolicy, Step, stage::Change,
    },
};

/// The maximum number of jobs of one process at one point in time. A busy loop exceeds it.
const MAX_JOBS_AT_ONCE: usize = 40;

/// A fault of one job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The call fails before it has an effect.
    Cut,
    /// The call has its effect, and its acknowledgement is lost.
    LostAck,
    /// A load returns the previous version.
    Lag,
    /// The driver gives up the call, which takes effect nevertheless.
    GiveUp,
    /// The task that runs the job dies. The call takes effect nevertheless.
    Abandon,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) job: Job,
    /// The result, if the call has taken effect.
    pub(super) result: Option<CallResult>,
    /// Whether the session no longer waits for it.
    pub(super) is_orphan: bool,
    /// Whether the process that would get the outcome has died.
    pub(super) is_dead: bool,
}

#[derive(Clone, Debug)]
pub(super) enum CallResult {
    Loaded(Option<Record>),
    Swapped(Outcome),
    Removed,
    Refreshed(u16, String),
}

impl Call {
    /// The family of which the service issued new tokens to this call.
    fn renewed_family(&self) -> Option<usize> {
        match (&self.job, &self.result) {
            (Job::Refresh(refresh), Some(CallResult::Refreshed(200, _))) => {
                Some(parse(&refresh.of.access_token).0)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) session: Session,
    /// The difference of its clock from the true time in seconds.
    pub(super) skew: i64,
    pub(super) calls: Vec<Call>,
    /// Whether it makes no progress while time passes.
    pub(super) is_stopped: bool,
    /// The number of jobs that were started at this time.
    jobs: (UnixTime, usize),
    /// A number that no other process has, also none that has died.
    pub(super) incarnation: u64,
}

/// The family and generation of the tokens of a record.
pub(super) fn place(record: &Record) -> (usize, u32) {
    parse(&record.tokens().access_token)
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) service: Service,
    pub(super) stored: Option<Record>,
    pub(super) previous: Option<Record>,
    pub(super) processes: Vec<Process>,
    pub(super) time: UnixTime,
    policy: Arc<SessionPolicy>,
    pub(super) has_ended: bool,
    /// Whether all clocks are correct. Then even concurrent authorizations are stored in order.
    pub(super) clocks_are_right: bool,
    /// The number of calls for entropy, unless equal states have to be recognized.
    pub(super) entropy: Option<u64>,
    /// The time since all work that had begun was finished.
    pub(super) stopped: Duration,
    pub(super) counts: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(behaviour: Behaviour, processes: u64) -> Self {
        Self::with_policy(behaviour, processes, SessionPolicy::default())
    }

    pub(super) fn with_policy(behaviour: Behaviour, processes: u64, policy: SessionPolicy) -> Self {
        let mut world = Self {
            service: Service::new(behaviour),
            stored: None,
            previous: None,
            processes: Vec::new(),
            time: UnixTime::since_epoch(Duration::from_millis(1_700_000_000_500)),
            policy: Arc::new(policy),
            has_ended: false,
            clocks_are_right: true,
            entropy: Some(0),
            stopped: Duration::ZERO,
            counts: BTreeMap::new(),
        };
        world.processes = (1..=processes).map(|number| world.process(number, 0)).collect();
        world
    }

    /// A world whose user has authorized, with a settled store.
    pub(super) fn authorized(behaviour: Behaviour, processes: u64) -> Self {
        let mut world = Self::new(behaviour, processes);
        world.authorize(0);
        world.settle();
        assert!(world.stored.is_some());
        world
    }

    fn process(&self, incarnation: u64, skew: i64) -> Process {
        let app = App::new("client-id", "client-secret").unwrap();
        Process {
            session: Session::new(app, Arc::clone(&self.policy)),
            skew,
            calls: Vec::new(),
            is_stopped: false,
            jobs: (self.time, 0),
            incarnation,
        }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        if self.entropy.is_some() {
            *self.counts.entry(what).or_default() += 1;
        }
    }

    pub(super) fn now(&self, process: usize) -> UnixTime {
        let skew = self.processes[process].skew;
        let distance = Duration::from_secs(skew.unsigned_abs());
        if skew < 0 {
            self.time.saturating_sub(distance)
        } else {
            self.time.saturating_add(distance)
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        // No request is in flight for longer than a lease. Calls of the store may be.
        for process in &mut self.processes {
            process.calls.retain(|call| !call.is_dead || !matches!(call.job, Job::Refresh(_)));
        }
        self.time = self.time.saturating_add(time);
        self.stopped += time;
    }

    /// 64 bits that differ between processes and, where nothing depends on it, between calls.
    fn entropy(&mut self, process: usize) -> u64 {
        let salt = match &mut self.entropy {
            Some(calls) => {
                *calls += 1;
                *calls
            }
            None => self.service.families.len() as u64,
        };
        self.processes[process].incarnation << 32 | salt
    }

    pub(super) fn authorize(&mut self, process: usize) {
        let (now, entropy) = (self.now(process), self.entropy(process));
        let tokens = self.service.authorize(self.time, entropy);
        self.has_ended = false;
        self.orphan(process, |job| matches!(job, Job::Remove(_)));
        self.processes[process].session.replace_tokens(now, entropy, tokens);
    }

    pub(super) fn end(&mut self, process: usize) {
        self.has_ended = true;
        self.orphan(process, |job| matches!(job, Job::Swap(_)));
        self.processes[process].session.end();
    }

    /// Marks the jobs that the session no longer waits for, except those to keep.
    fn orphan(&mut self, process: usize, keep: impl Fn(&Job) -> bool) {
        for call in &mut self.processes[process].calls {
            call.is_orphan |= !keep(&call.job);
        }
    }

    fn excuse(&mut self, family: Option<usize>) {
        if let Some(family) = family {
            self.service.families[family].is_excused = true;
        }
    }

    /// The process dies, and another takes its place. Calls that are in flight may still take
    /// effect.
    pub(super) fn crash(&mut self, process: usize, skew: i64) {
        let incarnation = self.processes[process].incarnation + self.processes.len() as u64;
        let new = self.process(incarnation, skew);
        let old = core::mem::replace(&mut self.processes[process], new);
        // Only this process may have had these tokens.
        let unstored = old.session.stage.change().filter(|change| change.has_tokens());
        self.excuse(unstored.map(|change| parse(&change.content.tokens.access_token).0));
        if unstored.is_some_and(Change::is_authorization) {
            // The authorization that superseded these is lost with the process.
            for family in &mut self.service.families {
                family.is_excused |= old.session.superseded.contains(&family.grant);
            }
        }
        for mut call in old.calls {
            self.excuse(call.renewed_family());
            if call.result.is_none() && !matches!(call.job, Job::Load(_)) {
                (call.is_dead, call.is_orphan) = (true, true);
                self.processes[process].calls.push(call);
            }
        }
    }

    /// A caller of the process asks for a token: the process starts the next job.
    pub(super) fn ask(&mut self, process: usize) -> Step<Token> {
        let (now, entropy) = (self.now(process), self.entropy(process));
        if let Some(job) = self.processes[process].session.next_job(now, entropy) {
            self.start(process, job);
        }
        self.poll(process)
    }

    /// The task of the process continues with the work that has begun.
    pub(super) fn work(&mut self, process: usize) -> Background {
        let (now, entropy) = (self.now(process), self.entropy(process));
        let background = self.processes[process].session.background(now, entropy);
        if let Background::Job(job) = &background {
            self.start(process, job.clone());
        }
        background
    }

    fn start(&mut self, process: usize, job: Job) {
        if matches!(job, Job::Refresh(_)) {
            self.count("refreshes");
        }
        let time = self.time;
        let process = &mut self.processes[process];
        process.jobs = match process.jobs {
            (at, jobs) if at == time => (at, jobs + 1),
            _ => (time, 1),
        };
        assert!(process.jobs.1 < MAX_JOBS_AT_ONCE, "a busy loop: {job:?}");
        process.calls.push(Call { job, result: None, is_orphan: false, is_dead: false });
    }

    /// Polls the session and checks the step that a caller gets.
    pub(super) fn poll(&self, process: usize) -> Step<Token> {
        let session = &self.processes[process].session;
        let now = self.now(process);
        let step = session.poll(now);
        match &step {
            Step::Ready(token) => {
                let record = session.record().expect("a record");
                assert_eq!(record.tokens().access_token, *token);
                assert!(record.tokens().expires_at.is_none_or(|at| now < at));
            }
            Step::Wait(until) => assert!(*until > now, "a wait that has ended"),
            Step::Fail(_) => {}
        }
        step
    }

    /// Lets a call take effect, if it has not. Its outcome may be late.
    pub(super) fn perform(&mut self, process: usize, index: usize) {
        let call = &self.processes[process].calls[index];
        if call.result.is_some() {
            return;
        }
        let is_dead = call.is_dead;
        let result = match call.job.clone() {
            Job::Load(_) => CallResult::Loaded(self.stored.clone()),
            Job::Swap(swap) => {
                if self.stored.as_ref().map(Record::version) == swap.expected() {
                    self.store(swap.record);
                    CallResult::Swapped(Outcome::Stored)
                } else {
                    CallResult::Swapped(Outcome::Conflict)
                }
            }
            Job::Remove(_) => {
                self.previous = self.stored.take();
                CallResult::Removed
            }
            Job::Refresh(refresh) => {
                let refresh_token = refresh.of.refresh_token.expect("a refresh token");
                let (status, body) = self.service.refresh(self.time, &refresh_token);
                CallResult::Refreshed(status, body)
            }
        };
        let call = &mut self.processes[process].calls[index];
        call.result = Some(result);
        let lost = call.renewed_family().filter(|_| is_dead);
        self.excuse(lost);
    }

    fn store(&mut self, record: Record) {
        if self.entropy.is_some() {
            let text = record.to_exposed_json();
            assert_eq!(Record::from_json(&text).as_ref(), Ok(&record), "not readable");
        }
        if let Some(stored) = &self.stored {
            assert!(stored.version() < record.version());
            let [old, new] = [place(stored), place(&record)];
            assert!(
                old <= new || (old.0 != new.0 && self.are_unordered(old.0, new.0)),
                "{new:?} overwrites {old:?}"
            );
        }
        self.previous = self.stored.replace(record);
    }

    /// Whether either of two authorizations may be kept.
    fn are_unordered(&self, one: usize, other: usize) -> bool {
        let [one, other] = [one, other].map(|family| self.service.families[family].begun.as_secs());
        !self.clocks_are_right || one == other
    }

    /// Finishes a job of the process: the call takes effect, and the session gets its outcome.
    pub(super) fn finish(&mut self, process: usize, index: usize, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.count(match fault {
                Fault::Cut => "cut connections",
                Fault::LostAck => "lost acknowledgements",
                Fault::Lag => "lagging loads",
                Fault::GiveUp => "calls given up",
                Fault::Abandon => "abandoned jobs",
            });
        }
        if fault != Some(Fault::Cut) {
            self.perform(process, index);
        }
        let Call { job, mut result, is_dead, .. } = {
            let call = self.processes[process].calls.remove(index);
            if !matches!(fault, None | Some(Fault::Lag)) {
                // The response and its tokens are lost with the connection.
                self.excuse(call.renewed_family());
            }
            call
        };
        if is_dead {
            return;
        }
        let (now, entropy) = (self.now(process), self.entropy(process));
        let session = &mut self.processes[process].session;
        match (fault, &job) {
            (Some(Fault::Abandon), _) => return session.abandon(job.id()),
            (Some(Fault::GiveUp), Job::Load(_) | Job::Swap(_) | Job::Remove(_)) => {
                return session.give_up(now, job.id(), "timed out");
            }
            (Some(Fault::Lag), Job::Load(_)) => {
                result = Some(CallResult::Loaded(self.previous.clone()));
            }
            (None | Some(Fault::Lag), _) => {}
            (Some(Fault::Cut | Fault::LostAck | Fault::GiveUp), _) => result = None,
        }
        deliver(session, now, entropy, job, result);
    }

    /// Finishes a swap with a conflict, although the version matches.
    pub(super) fn conflict(&mut self, process: usize, index: usize) {
        let call = self.processes[process].calls.remove(index);
        let now = self.now(process);
        let session = &mut self.processes[process].session;
        deliver(session, now, 0, call.job, Some(CallResult::Swapped(Outcome::Conflict)));
    }

    /// The driver gives up a call that stays in flight, and may take effect later.
    pub(super) fn give_up(&mut self, process: usize, index: usize) {
        let now = self.now(process);
        let call = &mut self.processes[process].calls[index];
        if call.is_orphan || matches!(call.job, Job::Refresh(_)) {
            return;
        }
        call.is_orphan = true;
        let id = call.job.id();
        self.processes[process].session.give_up(now, id, "timed out");
        self.count("calls given up");
    }

    /// The drivers enforce the time limits of their calls: a refresh fails, or its response has
    /// arrived; a call of the store responds, or is given up and may take effect later.
    pub(super) fn enforce_time_limits(&mut self, gives_up: bool) {
        for process in 0..self.processes.len() {
            let mut index = 0;
            while let Some(call) = self.processes[process].calls.get(index) {
                let is_performed = call.result.is_some();
                match call.job {
                    Job::Refresh(_) => {
                        let fault = (!is_performed).then_some(Fault::Cut);
                        self.finish(process, index, fault);
                    }
                    _ if gives_up => {
                        self.give_up(process, index);
                        index += 1;
                    }
                    _ => self.finish(process, index, None),
                }
            }
        }
    }

    /// Finishes all work of all processes that has begun, without faults.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut wake_after = None;
            let mut has_progress = false;
            for process in 0..self.processes.len() {
                while !self.processes[process].calls.is_empty() {
                    self.finish(process, 0, None);
                    has_progress = true;
                }
                match self.work(process) {
                    Background::Job(_) => has_progress = true,
                    Background::Wait(until) => {
                        let time = until.saturating_since(self.now(process));
                        wake_after =
                            Some(wake_after.map_or(time, |other: Duration| other.min(time)));
                    }
                    Background::Idle => {}
                }
            }
            match wake_after {
                _ if has_progress => {}
                Some(time) => self.pass(time),
                None => {
                    self.stopped = Duration::ZERO;
                    return;
                }
            }
        }
        panic!("the work does not end");
    }

    /// Asks until there is a token or an error, without faults. Returns the error.
    pub(super) fn token(&mut self, process: usize) -> Result<Token, SessionError> {
        for _ in 0..10_000 {
            let step = self.ask(process);
            if !self.processes[process].calls.is_empty() {
                self.finish(process, 0, None);
                continue;
            }
            match step {
                Step::Ready(token) => return Ok(token),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => self.pass(until.saturating_since(self.now(process))),
            }
        }
        panic!("a caller waits forever");
    }

    /// Checks that every process gets a token that the service accepts, unless the user has to
    /// authorize again for a reason that no client can prevent. Returns whether that is so.
    pub(super) fn check_user(&mut self) -> bool {
        self.settle();
        self.check_newest();
        let mut is_lost = false;
        for process in 0..self.processes.len() {
            is_lost |= self.check_process(process);
        }
        is_lost
    }

    /// Checks that the newest authorization is the stored one.
    pub(super) fn check_newest(&self) {
        let newest = self.service.families.len() - 1;
        let Some((stored, _)) = self.stored.as_ref().map(place) else {
            return;
        };
        assert!(
            stored == newest
                || self.service.families[newest].is_excused
                || self.are_unordered(stored, newest),
            "the newest authorization is dropped:\n{self:#?}"
        );
    }

    fn check_process(&mut self, process: usize) -> bool {
        for _ in 0..50 {
            match self.token(process) {
                Ok(token) if self.service.accepts(self.time, &token) => return false,
                Ok(token) => {
                    let now = self.now(process);
                    self.processes[process].session.handle_rejection(now, &token);
                    self.pass(Duration::from_secs(120));
                }
                Err(SessionError::NoTokens) => {
                    if self.has_ended || self.service.families.is_empty() || self.is_excused() {
                        return true;
                    }
                    // The last load lagged, and the next one does not.
                    self.pass(Duration::from_secs(1));
                }
                Err(SessionError::Revoked { .. }) => {
                    let known = self.processes[process].session.record();
                    assert!(self.excuses(known), "a valid authorization is lost:\n{self:#?}");
                    if self.is_excused() {
                        return true;
                    }
                    // The user has authorized again, and the next load shows it.
                    self.pass(Duration::from_secs(1));
                }
                Err(SessionError::RefreshFailed { until, .. }) => {
                    self.pass(until.saturating_since(self.now(process)));
                }
                // The store failed before the faults ended, and is called again after a pause.
                Err(_) => self.pass(Duration::from_secs(30)),
            }
        }
        panic!("neither a token nor an error: {self:#?}");
    }

    fn is_excused(&self) -> bool {
        self.excuses(self.stored.as_ref())
    }

    fn excuses(&self, record: Option<&Record>) -> bool {
        let families = &self.service.families;
        match record {
            Some(record) => families[place(record).0].is_excused,
            None => families.iter().any(|family| family.is_excused),
        }
    }
}

/// Passes the outcome of a call to the session; none if the call failed.
fn deliver(
    session: &mut Session,
    now: UnixTime,
    entropy: u64,
    job: Job,
    result: Option<CallResult>,
) {
    use CallResult as R;
    match (job, result) {
        (Job::Load(load), Some(R::Loaded(record))) => {
            session.handle_load(now, load, Ok::<_, String>(record));
        }
        (Job::Load(load), None) => session.handle_load(now, load, Err("cut")),
        (Job::Swap(swap), Some(R::Swapped(outcome))) => {
            session.handle_swap(now, swap, Ok::<_, String>(outcome));
        }
        (Job::Swap(swap), None) => session.handle_swap(now, swap, Err("cut")),
        (Job::Remove(remove), Some(R::Removed)) => {
            session.handle_remove(now, remove, Ok::<_, String>(()));
        }
        (Job::Remove(remove), None) => session.handle_remove(now, remove, Err("cut")),
        (Job::Refresh(refresh), Some(R::Refreshed(status, body))) => {
            let response = Response::builder().status(status).body(body).unwrap();
            let outcome = refresh.operation().parse(response).map_err(CallError::from);
            session.handle_refresh(now, entropy, refresh, outcome);
        }
        (Job::Refresh(refresh), None) => {
            let failure = Failure::exchange("cut");
            let error = CallError::Unknown { failure, replay: Replay::Safe };
            session.handle_refresh(now, entropy, refresh, Err(error));
        }
        (job, result) => unreachable!("{job:?} {result:?}"),
    }
}
