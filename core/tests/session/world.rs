//! A simulation of processes that share a store and a service. Tests choose the order of events and
//! the faults.

use std::{collections::BTreeMap, time::Duration};

use dropbox_sign_oauth::{
    App, CallError, Failure, Operation, Replay, Token, UnixTime,
    session::{
        Background, Job, JobId, Outcome, Record, Session, SessionError, SessionPolicy, Step,
    },
};
use http::{Response, StatusCode};

use crate::service::{Behaviour, Service, parse};

pub(crate) const START: u64 = 1_700_000_000;

/// The maximum number of jobs of one process at one point in time. A busy loop exceeds it.
const MAX_JOBS_AT_ONCE: usize = 40;

/// A fault of one job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Fault {
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
pub(crate) struct InFlight {
    pub(crate) job: Job,
    /// The result, if the call has taken effect.
    result: Option<CallResult>,
    /// Whether the session no longer waits for it.
    is_orphan: bool,
}

#[derive(Clone, Debug)]
enum CallResult {
    Loaded(Option<Record>),
    Swapped(Outcome),
    Removed,
    Refreshed(Response<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) session: Session,
    /// The difference of its clock from the true time in seconds.
    pub(crate) skew: i64,
    pub(crate) in_flight: Vec<InFlight>,
    jobs: (UnixTime, usize),
    entropy: u64,
    /// The families that were authorized through this process.
    authorized: Vec<usize>,
}

impl InFlight {
    /// The family of which the service issued new tokens to this call.
    fn renewed_family(&self) -> Option<usize> {
        match (&self.job, &self.result) {
            (Job::Refresh(refresh), Some(CallResult::Refreshed(response)))
                if response.status() == StatusCode::OK =>
            {
                let request = refresh.operation().request();
                let request: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
                Some(parse(request["refresh_token"].as_str().unwrap()).0)
            }
            _ => None,
        }
    }
}

fn family(record: &Record) -> usize {
    parse(record.tokens().access_token.expose()).0
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) stored: Option<Record>,
    previous: Option<Record>,
    pub(crate) processes: Vec<Process>,
    pub(crate) time: UnixTime,
    policy: SessionPolicy,
    /// When each family was authorized.
    begun: Vec<UnixTime>,
    /// Families whose tokens may have been lost by a process that died, or with a response.
    pub(crate) excused: Vec<usize>,
    pub(crate) has_ended: bool,
    /// Whether all clocks are correct. Then even concurrent authorizations are stored in order.
    pub(crate) clocks_are_right: bool,
    /// The time since all work that had begun was finished.
    pub(crate) stopped: Duration,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(behaviour: Behaviour, processes: usize) -> Self {
        Self::with_policy(behaviour, processes, SessionPolicy::default())
    }

    pub(crate) fn with_policy(
        behaviour: Behaviour,
        processes: usize,
        policy: SessionPolicy,
    ) -> Self {
        let mut world = Self {
            service: Service::new(behaviour),
            stored: None,
            previous: None,
            processes: Vec::new(),
            time: UnixTime::since_epoch(Duration::from_millis(START * 1_000 + 500)),
            policy,
            begun: Vec::new(),
            excused: Vec::new(),
            has_ended: false,
            clocks_are_right: true,
            stopped: Duration::ZERO,
            counts: BTreeMap::new(),
        };
        for _ in 0..processes {
            let process = world.process(0);
            world.processes.push(process);
        }
        world
    }

    /// A world whose user has authorized, with a settled store.
    pub(crate) fn authorized(behaviour: Behaviour, processes: usize) -> Self {
        let mut world = Self::new(behaviour, processes);
        world.authorize(0);
        world.settle();
        assert!(world.stored.is_some());
        world
    }

    fn process(&self, skew: i64) -> Process {
        let app = App::new("client-id", "client-secret").unwrap();
        Process {
            session: Session::new(app, self.policy),
            skew,
            in_flight: Vec::new(),
            jobs: (self.time, 0),
            entropy: 0,
            authorized: Vec::new(),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn now(&self, process: usize) -> UnixTime {
        let skew = self.processes[process].skew;
        let distance = Duration::from_secs(skew.unsigned_abs());
        if skew < 0 {
            self.time.saturating_sub(distance)
        } else {
            self.time.saturating_add(distance)
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.time = self.time.saturating_add(time);
        self.stopped += time;
    }

    /// 64 bits that differ between processes and calls.
    fn entropy(&mut self, process: usize) -> u64 {
        let counter = &mut self.processes[process].entropy;
        *counter += 1;
        (process as u64 + 1) << 32 | *counter
    }

    pub(crate) fn authorize(&mut self, process: usize) {
        let tokens = self.service.authorize(self.time);
        self.begun.push(self.time);
        let family = self.service.families() - 1;
        self.processes[process].authorized.push(family);
        let (now, entropy) = (self.now(process), self.entropy(process));
        self.has_ended = false;
        self.orphan(process, |job| matches!(job, Job::Remove(_)));
        self.processes[process].session.replace_tokens(now, entropy, tokens);
    }

    pub(crate) fn end(&mut self, process: usize) {
        self.has_ended = true;
        self.orphan(process, |job| matches!(job, Job::Swap(_)));
        self.processes[process].session.end();
    }

    /// Marks the jobs that the session no longer waits for, except those to keep.
    fn orphan(&mut self, process: usize, keep: impl Fn(&Job) -> bool) {
        for job in &mut self.processes[process].in_flight {
            job.is_orphan |= !keep(&job.job);
        }
    }

    /// The process dies, and another takes its place. Calls that are in flight take effect.
    pub(crate) fn crash(&mut self, process: usize, skew: i64) {
        self.note_lost_tokens(process);
        let new = self.process(skew);
        let old = std::mem::replace(&mut self.processes[process], new);
        self.processes[process].entropy = old.entropy;
        for mut job in old.in_flight {
            self.perform(process, &mut job);
            self.excused.extend(job.renewed_family());
        }
    }

    /// Excuses the families whose tokens only this process may have.
    fn note_lost_tokens(&mut self, process: usize) {
        let held = &self.processes[process];
        if held.session.has_unstored_tokens() {
            let known = held.session.record().map(family);
            self.excused.extend(known.into_iter().chain(held.authorized.clone()));
        }
        let renewed = held.in_flight.iter().filter_map(InFlight::renewed_family);
        self.excused.extend(renewed);
    }

    /// A caller of the process asks for a token: the process starts the next job.
    pub(crate) fn ask(&mut self, process: usize) -> Step<Token> {
        let (now, entropy) = (self.now(process), self.entropy(process));
        let job = self.processes[process].session.next_job(now, entropy);
        self.start(process, job);
        self.poll(process)
    }

    /// The task of the process continues with the work that has begun.
    pub(crate) fn work(&mut self, process: usize) -> Background {
        let (now, entropy) = (self.now(process), self.entropy(process));
        let background = self.processes[process].session.background(now, entropy);
        if let Background::Job(job) = &background {
            self.start(process, Some(job.clone()));
        }
        background
    }

    fn start(&mut self, process: usize, job: Option<Job>) {
        let Some(job) = job else {
            return;
        };
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
        process.in_flight.push(InFlight { job, result: None, is_orphan: false });
    }

    /// Polls the session and checks the step that a caller gets.
    pub(crate) fn poll(&self, process: usize) -> Step<Token> {
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

    /// Lets a call take effect.
    fn perform(&mut self, process: usize, in_flight: &mut InFlight) {
        if in_flight.result.is_some() {
            return;
        }
        in_flight.result = Some(match &in_flight.job {
            Job::Load(_) => CallResult::Loaded(self.stored.clone()),
            Job::Swap(swap) => {
                let version = self.stored.as_ref().map(Record::version);
                if version == swap.expected() {
                    self.store(process, swap.record().clone());
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
                let request = refresh.operation().request();
                let response = self.service.refresh(self.time, request.body());
                CallResult::Refreshed(response)
            }
        });
    }

    fn store(&mut self, _: usize, record: Record) {
        let text = record.to_exposed_json();
        assert_eq!(Record::from_json(&text).as_ref(), Ok(&record), "not readable");
        if let Some(stored) = &self.stored {
            assert!(stored.version() < record.version());
            let [old, new] = [stored, &record].map(|record| {
                let (family, _) = parse(record.tokens().access_token.expose());
                family
            });
            let is_simultaneous =
                self.begun[old].saturating_since(self.begun[new]) <= Duration::from_secs(2);
            assert!(
                old <= new || is_simultaneous || !self.clocks_are_right,
                "an older authorization overwrites a newer one"
            );
            let generation = |record: &Record| parse(record.tokens().access_token.expose()).1;
            let is_older = old == new && generation(&record) < generation(stored);
            assert!(!is_older, "older tokens overwrite newer ones");
        }
        self.previous = self.stored.replace(record);
    }

    /// Finishes a job of the process: the call takes effect, and the session gets its outcome.
    pub(crate) fn finish(&mut self, process: usize, index: usize, fault: Option<Fault>) {
        let mut in_flight = self.processes[process].in_flight.remove(index);
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
            self.perform(process, &mut in_flight);
        }
        let is_refresh = matches!(in_flight.job, Job::Refresh(_));
        if !matches!(fault, None | Some(Fault::Lag)) {
            // The response and its tokens are lost with the connection.
            self.excused.extend(in_flight.renewed_family());
        }
        let (now, entropy) = (self.now(process), self.entropy(process));
        let id = in_flight.job.id();
        let previous = self.previous.clone();
        let session = &mut self.processes[process].session;
        match (fault, in_flight.result) {
            (Some(Fault::Abandon), _) => session.abandon(id),
            (Some(Fault::GiveUp), _) if !is_refresh => session.give_up(now, id, "timed out"),
            (Some(Fault::Lag), Some(CallResult::Loaded(_))) => {
                if let Job::Load(load) = in_flight.job {
                    session.handle_load(now, load, Ok::<_, String>(previous));
                }
            }
            (Some(Fault::Cut | Fault::LostAck | Fault::GiveUp), _) => {
                fail(session, now, entropy, in_flight.job);
            }
            (_, Some(result)) => succeed(session, now, entropy, in_flight.job, result),
            (_, None) => unreachable!("the call took effect"),
        }
    }

    /// Finishes a swap with a conflict, although the version matches.
    pub(crate) fn conflict(&mut self, process: usize, index: usize) {
        let in_flight = self.processes[process].in_flight.remove(index);
        let now = self.now(process);
        if let Job::Swap(swap) = in_flight.job {
            let session = &mut self.processes[process].session;
            session.handle_swap(now, swap, Ok::<_, String>(Outcome::Conflict));
        }
    }

    /// Lets a call take effect before it is acknowledged: the store is slow to respond.
    pub(crate) fn perform_early(&mut self, process: usize, index: usize) {
        let mut in_flight = self.processes[process].in_flight.remove(index);
        self.perform(process, &mut in_flight);
        self.processes[process].in_flight.insert(index, in_flight);
    }

    /// The driver gives up a call that stays in flight, and may take effect later.
    pub(crate) fn give_up_early(&mut self, process: usize, index: usize) {
        let now = self.now(process);
        let in_flight = &mut self.processes[process].in_flight[index];
        if in_flight.is_orphan || matches!(in_flight.job, Job::Refresh(_)) {
            return;
        }
        in_flight.is_orphan = true;
        let id: JobId = in_flight.job.id();
        self.processes[process].session.give_up(now, id, "timed out");
        self.count("calls given up");
    }

    /// The drivers enforce the time limits of their calls: a refresh fails, or its response has
    /// arrived; a call of the store responds, or is given up and may take effect later.
    pub(crate) fn enforce_time_limits(&mut self, gives_up: bool) {
        for process in 0..self.processes.len() {
            let mut index = 0;
            while let Some(in_flight) = self.processes[process].in_flight.get(index) {
                let is_performed = in_flight.result.is_some();
                match in_flight.job {
                    Job::Refresh(_) => {
                        let fault = (!is_performed).then_some(Fault::Cut);
                        self.finish(process, index, fault);
                    }
                    _ if gives_up => {
                        self.give_up_early(process, index);
                        index += 1;
                    }
                    _ => self.finish(process, index, None),
                }
            }
        }
    }

    /// Finishes all work of all processes that has begun, without faults.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut wake_after = None;
            let mut has_progress = false;
            for process in 0..self.processes.len() {
                while !self.processes[process].in_flight.is_empty() {
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
    pub(crate) fn token(&mut self, process: usize) -> Result<Token, SessionError> {
        for _ in 0..10_000 {
            let step = self.ask(process);
            if !self.processes[process].in_flight.is_empty() {
                self.finish(process, 0, None);
                continue;
            }
            match step {
                Step::Ready(token) => return Ok(token),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => {
                    let time = until.saturating_since(self.now(process));
                    self.pass(time);
                }
            }
        }
        panic!("a caller waits forever");
    }

    /// Checks that every process gets a token that the service accepts, unless the user has to
    /// authorize again for a reason that no client can prevent. Returns whether that is so.
    pub(crate) fn check_user(&mut self) -> bool {
        self.settle();
        self.check_newest();
        let mut is_lost = false;
        for process in 0..self.processes.len() {
            is_lost |= self.check_process(process);
        }
        is_lost
    }

    /// Checks that the newest authorization is the stored one.
    fn check_newest(&self) {
        let newest = self.begun.len() - 1;
        let Some(stored) = self.stored.as_ref().map(family) else {
            return;
        };
        let is_simultaneous =
            self.begun[newest].saturating_since(self.begun[stored]) <= Duration::from_secs(2);
        assert!(
            stored == newest
                || is_simultaneous
                || !self.clocks_are_right
                || self.excused.contains(&newest),
            "the newest authorization is dropped:\n{self:#?}"
        );
    }

    fn check_process(&mut self, process: usize) -> bool {
        for _ in 0..50 {
            match self.token(process) {
                Ok(token) if self.service.accepts(self.time, token.expose()) => return false,
                Ok(token) => {
                    let now = self.now(process);
                    self.processes[process].session.handle_rejection(now, &token);
                    self.pass(Duration::from_secs(120));
                }
                Err(SessionError::NoTokens) => {
                    if self.has_ended || self.begun.is_empty() || self.is_excused() {
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
                    let time = until.saturating_since(self.now(process));
                    self.pass(time);
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
        let Some(record) = record else {
            return !self.excused.is_empty();
        };
        self.excused.contains(&family(record))
    }
}

fn fail(session: &mut Session, now: UnixTime, entropy: u64, job: Job) {
    match job {
        Job::Load(load) => session.handle_load(now, load, Err("cut")),
        Job::Swap(swap) => session.handle_swap(now, swap, Err("cut")),
        Job::Remove(remove) => session.handle_remove(now, remove, Err("cut")),
        Job::Refresh(refresh) => {
            let failure = Failure::exchange("cut");
            let replay = Replay::Safe;
            let error = CallError::Unknown { failure, replay };
            session.handle_refresh(now, entropy, refresh, Err(error));
        }
    }
}

fn succeed(session: &mut Session, now: UnixTime, entropy: u64, job: Job, result: CallResult) {
    match (job, result) {
        (Job::Load(load), CallResult::Loaded(record)) => {
            session.handle_load(now, load, Ok::<_, String>(record));
        }
        (Job::Swap(swap), CallResult::Swapped(outcome)) => {
            session.handle_swap(now, swap, Ok::<_, String>(outcome));
        }
        (Job::Remove(remove), CallResult::Removed) => {
            session.handle_remove(now, remove, Ok::<_, String>(()));
        }
        (Job::Refresh(refresh), CallResult::Refreshed(response)) => {
            let outcome = refresh.operation().parse(response).map_err(CallError::from);
            session.handle_refresh(now, entropy, refresh, outcome);
        }
        (job, result) => unreachable!("{job:?} {result:?}"),
    }
}
