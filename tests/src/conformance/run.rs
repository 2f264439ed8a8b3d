//! Plays the cases, several concurrently, and judges each.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{CallError, Replay, TokenResponse};

use super::{
    Ending, Place, Report, Row, Setup, TokenOperation, Verdict, Violation,
    attempt::{self, Call, Order, Transport},
    canary::{Canaries, Needle},
    logs::{self, Watch},
    stage::{Certificates, Stage, Trap},
};
use crate::{
    fault::{BODY_LIMIT, Case, Detail, Group, Kind, Origin, Outcome, Resolution, cases},
    peer::{Tally, unread_capacity},
};

/// The deadline or connect timeout of calls that nothing else ends.
const SHORT_DEADLINE: Duration = Duration::from_secs(1);

/// The deadline of calls that end by themselves.
const LONG_DEADLINE: Duration = Duration::from_secs(10);

/// When the caller drops a call.
const PATIENCE_OF_A_CALLER: Duration = Duration::from_millis(100);

/// What a call may take beyond its limit and a fifth of it: the time that a thread may wait for a
/// core of a shared machine.
const SCHEDULING_ALLOWANCE: Duration = Duration::from_millis(400);

/// The ratio of deadline and connect timeout in cases of connecting: a client that applies the wrong
/// one is late.
const DEADLINE_PER_CONNECT_TIMEOUT: u32 = 4;

/// How long a run waits for a call past its deadline.
const GRACE: Duration = Duration::from_secs(5);

/// How many bytes a client may read beyond the limit. The largest buffer of the known clients is
/// hyper's default for a head, about 400 KiB.
const ONE_BUFFER: u64 = 512 * 1024;

/// How many cases run concurrently. Most of them wait.
const CONCURRENCY: usize = 16;

/// What not every transport has.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Ability {
    Tls,
    Resolver,
    Http2,
    Proxy,
}

/// A run of one transport through the cases. See the [module](super) for an example.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `run_blocking` or `run_async`"]
pub struct Conformance {
    transport: String,
    abilities: Vec<Ability>,
    groups: Option<Vec<Group>>,
    allowed: Vec<(String, Outcome)>,
}

impl Conformance {
    /// Creates a run of the transport of this name.
    pub fn new(transport: impl Into<String>) -> Self {
        Self {
            transport: transport.into(),
            abilities: vec![Ability::Tls],
            groups: None,
            allowed: Vec::new(),
        }
    }

    /// Omits the cases over TLS, for clients that send only to a proxy on the same machine.
    pub fn without_tls(mut self) -> Self {
        self.abilities.retain(|ability| *ability != Ability::Tls);
        self
    }

    /// Adds the cases of names that do not resolve. The clients must use a resolver as
    /// [`Setup::resolution`] says.
    pub fn with_resolver(mut self) -> Self {
        self.abilities.push(Ability::Resolver);
        self
    }

    /// Adds the cases of HTTP/2. The clients must speak it where [`Setup::http2`] says so.
    pub fn with_http2(mut self) -> Self {
        self.abilities.push(Ability::Http2);
        self
    }

    /// Adds the cases of proxies. The clients must use the one that [`Setup::proxy`] names.
    pub fn with_proxy(mut self) -> Self {
        self.abilities.push(Ability::Proxy);
        self
    }

    /// Runs only these groups.
    pub fn only(self, groups: &[Group]) -> Self {
        Self { groups: Some(groups.to_vec()), ..self }
    }

    /// Allows a case to end in an outcome that is not right. The report shows such cases, and
    /// allowances that were not needed.
    pub fn allow(mut self, case: &str, outcome: Outcome) -> Self {
        self.allowed.push((case.into(), outcome));
        self
    }

    /// Runs a blocking transport. For each case, `make` makes a client on a new thread and returns
    /// how it sends an operation.
    ///
    /// # Panics
    /// If an [allowed](Self::allow) case does not exist, or the system provides no sockets or
    /// threads.
    pub fn run_blocking<M, S>(self, make: M) -> Report
    where
        M: Fn(&Setup) -> S + Send + Sync + 'static,
        S: FnMut(TokenOperation) -> Result<TokenResponse, CallError>,
    {
        self.run(attempt::blocking(make), false)
    }

    /// Runs an async transport, otherwise like [`run_blocking`](Self::run_blocking). Each client has a
    /// current-thread tokio runtime, in which `make` is called.
    ///
    /// This function blocks: async programs call it on a thread of a blocking pool.
    ///
    /// # Panics
    /// As [`run_blocking`](Self::run_blocking).
    pub fn run_async<M, S>(self, make: M) -> Report
    where
        M: Fn(&Setup) -> S + Send + Sync + 'static,
        S: AsyncFn(TokenOperation) -> Result<TokenResponse, CallError>,
    {
        self.run(attempt::asynchronous(make), true)
    }

    fn run(self, transport: Transport, is_async: bool) -> Report {
        let begin = Instant::now();
        let mut cases = cases();
        let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
        for (case, _) in &self.allowed {
            assert!(names.contains(&**case), "there is no case `{case}` to allow");
        }
        if let Some(groups) = &self.groups {
            cases.retain(|case| groups.contains(&case.group));
        }
        let listens = logs::listen();
        let records = logs::records();
        let runner = Runner {
            transport,
            certificates: Certificates::new(),
            unread_capacity: unread_capacity(),
        };
        let rows = concurrently(&cases, |case| match self.obstacle(case, is_async) {
            Some(reason) => Row::new(case, Verdict::NotApplicable(reason)),
            None => runner.play(case, &self.allowed_in(case)),
        });
        let unused = self.allowed.into_iter().filter(|(case, outcome)| {
            let row = rows.iter().find(|row| row.case == case);
            row.is_some_and(|row| row.variations > 0 && !row.divergences.contains(outcome))
        });
        let unused_allowances = unused.collect();
        Report {
            unused_allowances,
            log_records: listens.then(|| logs::records() - records),
            elapsed: begin.elapsed(),
            transport: self.transport,
            rows,
        }
    }

    fn allowed_in(&self, case: &Case) -> Vec<Outcome> {
        let allowed = self.allowed.iter().filter(|(name, _)| name == case.name);
        allowed.map(|(_, outcome)| *outcome).collect()
    }

    /// Returns why a case cannot be run.
    fn obstacle(&self, case: &Case, is_async: bool) -> Option<&'static str> {
        let lacks = |ability| !self.abilities.contains(&ability);
        let is_plain = matches!(
            case.origin,
            Origin::Http | Origin::Refused | Origin::BlackHole | Origin::NotLoopback
        );
        let resolves = matches!(case.origin, Origin::Unresolved(_) | Origin::Localhost);
        if !is_plain && lacks(Ability::Tls) {
            Some("the transport does not speak TLS")
        } else if resolves && lacks(Ability::Resolver) {
            Some("the transport has no configurable resolver")
        } else if case.origin == Origin::Http2 && lacks(Ability::Http2) {
            Some("the transport does not speak HTTP/2")
        } else if case.group == Group::Proxy && lacks(Ability::Proxy) {
            Some("the transport has no setting for a proxy")
        } else if case.gives_up && !is_async {
            Some("a blocking call cannot be dropped")
        } else {
            None
        }
    }
}

/// Plays all cases, several concurrently, the slow ones first.
fn concurrently(cases: &[Case], play: impl Fn(&Case) -> Row + Sync) -> Vec<Row> {
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|index| !cases[*index].waits);
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::with_capacity(cases.len()));
    thread::scope(|scope| {
        for _ in 0..CONCURRENCY {
            scope.spawn(|| {
                while let Some(index) = order.get(next.fetch_add(1, Relaxed)) {
                    let row = play(&cases[*index]);
                    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                    rows.push((*index, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

struct Runner {
    transport: Transport,
    certificates: Certificates,
    unread_capacity: u64,
}

impl Runner {
    /// Plays the variations of a case up to the first that fails.
    fn play(&self, case: &Case, allowed: &[Outcome]) -> Row {
        let mut row = Row::new(case, Verdict::Failed(vec![Violation::NotPlayed]));
        let canaries = Canaries::new();
        let needles = canaries.needles();
        let values = canaries.values();
        let trap = Trap::set(case, &values).expect("a port for the redirect's target");
        let values = values.with("trap", trap.base()).with("target", trap.address());
        let watch = Watch::begin(needles.clone());
        for variation in 0.. {
            let Some(scripts) = case.play.variation(variation, &values) else {
                break;
            };
            let canaries = canaries.clone().sent_by(&scripts);
            let stage = Stage::set(case.origin, scripts, &self.certificates, &trap);
            let stage = stage.expect("an address for the case");
            let setup = self.setup(case, &stage);
            let order = Order {
                operations: canaries.operations(stage.base(), case.calls),
                gives_up_after: case.gives_up.then_some(PATIENCE_OF_A_CALLER),
                idle: case.idle,
                canaries,
                setup,
            };
            let limit = latest(if is_about_connecting(case) {
                order.setup.connect_timeout
            } else {
                order.setup.deadline
            });
            let calls = u32::try_from(case.calls.len()).unwrap_or(u32::MAX);
            let patience = latest(order.setup.deadline) * calls + GRACE;
            let (call, earlier) = attempt::attempt(&self.transport, order, patience, case.name);

            let mut violations = Vec::new();
            judge_result(case, &call, &earlier, &mut violations);
            self.judge_traffic(case, &call.ending, stage.tally(), &mut violations);
            if trap.is_sprung() {
                violations.push(Violation::WrongServer);
            }
            if call.elapsed > limit {
                violations.push(Violation::Late(limit));
            }
            judge_secrets(&call, &earlier, &needles, &watch.found(), &mut violations);
            row.add(&call, stage.tally(), violations, allowed);
            if matches!(row.verdict, Verdict::Failed(_)) {
                break;
            }
        }
        row
    }

    fn setup(&self, case: &Case, stage: &Stage) -> Setup {
        let (connect_timeout, deadline) = if is_about_connecting(case) {
            (SHORT_DEADLINE, SHORT_DEADLINE * DEADLINE_PER_CONNECT_TIMEOUT)
        } else {
            let deadline = if case.waits { SHORT_DEADLINE } else { LONG_DEADLINE };
            // The connect timeout must not end these calls.
            (deadline, deadline)
        };
        Setup {
            root: self.certificates.root().clone(),
            deadline,
            connect_timeout,
            resolution: match case.origin {
                Origin::Unresolved(resolution) => resolution,
                Origin::Localhost => Resolution::Elsewhere,
                _ => Resolution::System,
            },
            http2: case.origin == Origin::Http2,
            proxy: stage.proxy().map(str::to_owned),
        }
    }

    fn judge_traffic(
        &self,
        case: &Case,
        ending: &Ending,
        tally: Tally,
        violations: &mut Vec<Violation>,
    ) {
        if tally.requests > case.max_requests() {
            violations.push(Violation::Requests(tally.requests));
        }
        // In HTTP/2 a server can say that it received a request and did not act on it.
        let was_sent = tally.requests >= case.calls.len() && case.group != Group::Http2;
        if *ending == Ending::Outcome(Outcome::NotSent) && was_sent {
            violations.push(Violation::NotSentButReceived);
        }
        let read = tally.written.saturating_sub(self.unread_capacity);
        if read > BODY_LIMIT as u64 + ONE_BUFFER {
            violations.push(Violation::BytesRead(read));
        }
    }
}

/// Returns whether only the connect timeout ends the call.
fn is_about_connecting(case: &Case) -> bool {
    matches!(case.group, Group::Connect | Group::Proxy) && case.waits
}

/// Returns the longest accepted duration of a call whose limit is `limit`.
fn latest(limit: Duration) -> Duration {
    limit + limit / 5 + SCHEDULING_ALLOWANCE
}

fn judge_result(case: &Case, call: &Call, earlier: &[Call], violations: &mut Vec<Violation>) {
    let is_right = |ending: &Ending, expected: &[Outcome]| matches!(ending, Ending::Outcome(outcome) if expected.contains(outcome));
    if !is_right(&call.ending, case.expected) {
        violations.push(Violation::Outcome);
    }
    let failed = earlier.iter().find(|call| !is_right(&call.ending, &[Outcome::Ok]));
    violations.extend(failed.map(|call| Violation::EarlierCall(call.ending.clone())));
    if call.wrong_tokens || earlier.iter().any(|call| call.wrong_tokens) {
        violations.push(Violation::WrongTokens);
    }
    let replay = match case.calls.last() {
        Some(Kind::Refresh) => Replay::Safe,
        Some(Kind::Generate) | None => Replay::Never,
    };
    let wrong = call.replay.filter(|said| *said != replay);
    violations.extend(wrong.map(Violation::Replay));
    for detail in &case.details {
        match detail {
            Detail::Says(text) => {
                let says = |(place, shown): &(Place, String)| {
                    *place != Place::Debug && shown.contains(text)
                };
                if !call.texts.iter().any(says) {
                    violations.push(Violation::Unsaid(text));
                }
            }
            Detail::Wait(wait) if *wait != call.wait => {
                violations.push(Violation::Wait(call.wait));
            }
            Detail::Wait(_) => {}
        }
    }
}

fn judge_secrets(
    call: &Call,
    earlier: &[Call],
    needles: &[Needle],
    logged: &[&'static str],
    violations: &mut Vec<Violation>,
) {
    let texts = earlier.iter().chain([call]).flat_map(|call| &call.texts);
    let shown = texts.flat_map(|(place, text)| {
        let found = needles.iter().filter(|needle| needle.is_in(text));
        found.map(|needle| Violation::Leak(needle.secret, *place))
    });
    let logged = logged.iter().map(|secret| Violation::Leak(secret, Place::Log));
    for leak in shown.chain(logged) {
        if !violations.contains(&leak) {
            violations.push(leak);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Play;

    #[test]
    fn fails_a_case_without_variations() {
        let mut case = cases().swap_remove(0);
        case.play = Play::Variations(|_, _| None);
        let runner = Runner {
            transport: attempt::blocking(|_| |_| unreachable!()),
            certificates: Certificates::new(),
            unread_capacity: 0,
        };
        let row = runner.play(&case, &[]);
        assert_eq!(row.verdict, Verdict::Failed(vec![Violation::NotPlayed]));
    }
}
