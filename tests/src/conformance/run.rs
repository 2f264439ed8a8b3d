//! The run: every case, some side by side, each judged.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{CallError, TokenResponse};

use super::{
    Ending, Place, Report, Row, Setup, TokenOperation, Verdict, Violation,
    attempt::{self, Call, Order, Transport},
    canary::{Canaries, Needle},
    logs::{self, Watch},
    stage::{Certificates, Stage, Trap},
};
use crate::fault::{
    BODY_LIMIT, Case, Detail, Group, Origin, Outcome, Resolution, Tally, cases, unread_capacity,
};

/// The deadline of calls that nothing else ends, or their connect timeout.
const SHORT_DEADLINE: Duration = Duration::from_secs(1);

/// The deadline of calls that end by themselves: far enough away to have no part in it.
const LONG_DEADLINE: Duration = Duration::from_secs(10);

/// When a caller loses interest.
const PATIENCE_OF_A_CALLER: Duration = Duration::from_millis(100);

/// What a call may take beyond its time and a fifth of it: the time that a thread may have to
/// wait for one of two cores, which the neighbours on a CI machine use as well.
const SCHEDULING_ALLOWANCE: Duration = Duration::from_millis(400);

/// How many times longer than the connect timeout the deadline is where connecting goes wrong: who
/// keeps to the wrong one of them is late.
const DEADLINE_PER_CONNECT_TIMEOUT: u32 = 4;

/// How long a call past its deadline is waited for. Only a client that does not end pays for it.
const GRACE: Duration = Duration::from_secs(5);

/// How much a client may read beyond the limit: the largest buffer of the clients that we know is
/// hyper's for a head, with some 400 KiB.
const ONE_BUFFER: u64 = 512 * 1024;

/// How many cases run at once. Most of them wait.
const SIDE_BY_SIDE: usize = 16;

/// A run of one transport through the cases.
///
/// See the [module](super) for an example.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `run_blocking` or `run_async`"]
pub struct Conformance {
    transport: String,
    resolver: bool,
    http2: bool,
    groups: Option<Vec<Group>>,
    allowed: Vec<(String, Outcome)>,
}

impl Conformance {
    /// A run of the transport of this name.
    pub fn new(transport: impl Into<String>) -> Self {
        Self {
            transport: transport.into(),
            resolver: false,
            http2: false,
            groups: None,
            allowed: Vec::new(),
        }
    }

    /// The transport's clients have the resolver that [`Setup::resolution`] asks for: the cases of
    /// names that do not resolve are run as well.
    pub fn with_resolver(self) -> Self {
        Self {
            resolver: true,
            ..self
        }
    }

    /// The transport's clients speak HTTP/2 where [`Setup::http2`] asks for it: the cases of
    /// HTTP/2 are run as well.
    pub fn with_http2(self) -> Self {
        Self {
            http2: true,
            ..self
        }
    }

    /// Leaves out all groups but these.
    pub fn only(self, groups: &[Group]) -> Self {
        Self {
            groups: Some(groups.to_vec()),
            ..self
        }
    }

    /// Allows a case to end in an outcome that is not right. The report shows where it does, and
    /// where the allowance was not needed.
    pub fn allow(mut self, case: &str, outcome: Outcome) -> Self {
        self.allowed.push((case.into(), outcome));
        self
    }

    /// Runs a blocking transport. `make` makes a client for a setup, and returns how it sends an
    /// operation; this is done for every case, on threads of their own.
    ///
    /// # Panics
    /// If an [allowed](Self::allow) case does not exist, or the system gives no sockets or threads.
    pub fn run_blocking<M, S>(self, make: M) -> Report
    where
        M: Fn(&Setup) -> S + Send + Sync + 'static,
        S: FnMut(TokenOperation) -> Result<TokenResponse, CallError>,
    {
        self.run(attempt::blocking(make), false)
    }

    /// Runs an async transport, as [`run_blocking`](Self::run_blocking) does a blocking one. Each
    /// client has a tokio runtime of one thread, in which `make` is called.
    ///
    /// It blocks: in a program that is async itself, it belongs on a thread for blocking.
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
            assert!(
                names.contains(&**case),
                "there is no case `{case}` to be allowed"
            );
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
        let rows = side_by_side(&cases, |case| match self.obstacle(case, is_async) {
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

    /// Why a case cannot be run.
    fn obstacle(&self, case: &Case, is_async: bool) -> Option<&'static str> {
        if matches!(case.origin, Origin::Unresolved(_)) && !self.resolver {
            Some("the transport takes no resolver")
        } else if case.origin == Origin::Http2 && !self.http2 {
            Some("the transport does not speak HTTP/2")
        } else if case.gives_up && !is_async {
            Some("a blocking call cannot be dropped")
        } else {
            None
        }
    }
}

/// Plays all cases, several at a time, those first that take long.
fn side_by_side(cases: &[Case], play: impl Fn(&Case) -> Row + Sync) -> Vec<Row> {
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|index| !cases[*index].waits);
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::with_capacity(cases.len()));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
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
    /// Plays a case in all its variations, up to the first that fails.
    fn play(&self, case: &Case, allowed: &[Outcome]) -> Row {
        let mut row = Row::new(case, Verdict::Failed(vec![Violation::NotPlayed]));
        let canaries = Canaries::new();
        let needles = canaries.needles();
        let values = canaries.values();
        let trap = Trap::set(case, &values).expect("a server for what must not be asked");
        let values = values.with("trap", trap.base());
        let watch = Watch::begin(needles.clone());
        for variation in 0.. {
            let Some(scripts) = case.play.variation(variation, &values) else {
                break;
            };
            let canaries = canaries.clone().sent_by(&scripts);
            let stage = Stage::set(case.origin, scripts, &self.certificates);
            let stage = stage.expect("an address for the case");
            let setup = self.setup(case);
            let order = Order {
                operations: canaries.operations(stage.base(), case.calls),
                gives_up_after: case.gives_up.then_some(PATIENCE_OF_A_CALLER),
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
                violations.push(Violation::RedirectFollowed);
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

    fn setup(&self, case: &Case) -> Setup {
        let (connect_timeout, deadline) = if is_about_connecting(case) {
            (
                SHORT_DEADLINE,
                SHORT_DEADLINE * DEADLINE_PER_CONNECT_TIMEOUT,
            )
        } else {
            let deadline = if case.waits {
                SHORT_DEADLINE
            } else {
                LONG_DEADLINE
            };
            // Not to be mistaken for the deadline if the machine is slow.
            (deadline, deadline)
        };
        Setup {
            root: self.certificates.root().clone(),
            deadline,
            connect_timeout,
            resolution: match case.origin {
                Origin::Unresolved(resolution) => resolution,
                _ => Resolution::System,
            },
            http2: case.origin == Origin::Http2,
        }
    }

    fn judge_traffic(
        &self,
        case: &Case,
        ending: &Ending,
        tally: Tally,
        violations: &mut Vec<Violation>,
    ) {
        if tally.requests > case.calls.len() {
            violations.push(Violation::Requests(tally.requests));
        }
        // HTTP/2 can say of a request that it was seen and left alone.
        let was_sent = tally.requests == case.calls.len() && case.group != Group::Http2;
        if *ending == Ending::Outcome(Outcome::NotSent) && was_sent {
            violations.push(Violation::SentAfterAll);
        }
        let read = tally.written.saturating_sub(self.unread_capacity);
        if read > BODY_LIMIT as u64 + ONE_BUFFER {
            violations.push(Violation::BytesRead(read));
        }
    }
}

/// Whether nothing but the connect timeout may end the call.
fn is_about_connecting(case: &Case) -> bool {
    case.group == Group::Connect && case.waits
}

/// The latest that a call may end whose time is `limit`.
fn latest(limit: Duration) -> Duration {
    limit + limit / 5 + SCHEDULING_ALLOWANCE
}

fn judge_result(case: &Case, call: &Call, earlier: &[Call], violations: &mut Vec<Violation>) {
    let is_right = |ending: &Ending, expected: &[Outcome]| matches!(ending, Ending::Outcome(outcome) if expected.contains(outcome));
    if !is_right(&call.ending, case.expected) {
        violations.push(Violation::Outcome);
    }
    let failed = earlier
        .iter()
        .find(|call| !is_right(&call.ending, &[Outcome::Ok]));
    violations.extend(failed.map(|call| Violation::EarlierCall(call.ending.clone())));
    if call.wrong_tokens || earlier.iter().any(|call| call.wrong_tokens) {
        violations.push(Violation::WrongTokens);
    }
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
    let logged = logged
        .iter()
        .map(|secret| Violation::Leak(secret, Place::Log));
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
    fn a_case_that_is_not_played_fails() {
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
