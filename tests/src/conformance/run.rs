//! Plays the cases, several concurrently, and judges each.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{CallError, Replay, TokenResponse};

use super::{
    Report, Row, Setup, TokenOperation,
    attempt::{self, Call, Order, Transport},
    canary::Canaries,
    logs,
    stage::Stage,
};
use crate::{
    fault::{BODY_LIMIT, Case, Kind, Origin, Outcome, Resolution, cases},
    peer::{Peer, Script, unread_capacity},
    tls::Authority,
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
    only: Vec<String>,
    allowed: HashMap<String, Vec<Outcome>>,
}

impl Conformance {
    /// Creates a run of the transport of this name.
    pub fn new(transport: impl Into<String>) -> Self {
        Self {
            transport: transport.into(),
            abilities: vec![Ability::Tls],
            only: Vec::new(),
            allowed: HashMap::new(),
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

    /// Runs only these cases.
    pub fn only(self, cases: &[&str]) -> Self {
        Self { only: cases.iter().map(|&case| case.into()).collect(), ..self }
    }

    /// Expects a case to end in an outcome that is not right, in one of its variations at least. The
    /// report shows such cases.
    pub fn allow(mut self, case: &str, outcome: Outcome) -> Self {
        self.allowed.entry(case.into()).or_default().push(outcome);
        self
    }

    /// Runs a blocking transport. For each case, `make` makes a client on a new thread and returns
    /// how it sends an operation.
    ///
    /// # Panics
    /// If an [allowed](Self::allow) case does not exist, the process has another logger, or the
    /// system provides no sockets or threads.
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
        for name in self.only.iter().chain(self.allowed.keys()) {
            assert!(cases.iter().any(|case| case.name == name), "there is no case `{name}`");
        }
        cases.retain(|case| self.only.is_empty() || self.only.iter().any(|name| name == case.name));
        let log_records = logs::lines().len();
        let runner =
            Runner { transport, authority: Authority::new(), unread_capacity: unread_capacity() };
        let rows = concurrently(&cases, |case| match self.obstacle(case, is_async) {
            None => runner.play(case, self.allowed.get(case.name).map_or(&[], Vec::as_slice)),
            reason => Row { not_applicable: reason, ..Row::new(case) },
        });
        Report {
            log_records: logs::lines().len() - log_records,
            elapsed: begin.elapsed(),
            transport: self.transport,
            rows,
        }
    }

    /// Returns why a case cannot be run.
    fn obstacle(&self, case: &Case, is_async: bool) -> Option<&'static str> {
        let lacks = |ability| !self.abilities.contains(&ability);
        match case.origin {
            Origin::Unresolved(_) | Origin::Localhost if lacks(Ability::Resolver) => {
                Some("the transport has no configurable resolver")
            }
            Origin::Http2 if lacks(Ability::Http2) => Some("the transport does not speak HTTP/2"),
            Origin::Proxy(_) | Origin::ProxyToHttp | Origin::ProxyRefused(_)
                if lacks(Ability::Proxy) =>
            {
                Some("the transport has no setting for a proxy")
            }
            Origin::Http | Origin::Refused | Origin::BlackHole | Origin::NotLoopback => None,
            _ if lacks(Ability::Tls) => Some("the transport does not speak TLS"),
            _ => None,
        }
        .or_else(|| (case.gives_up && !is_async).then_some("a blocking call cannot be dropped"))
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
    authority: Authority,
    unread_capacity: u64,
}

impl Runner {
    /// Plays the variations of a case up to the first that fails.
    fn play(&self, case: &Case, allowed: &[Outcome]) -> Row {
        let mut row = Row::new(case);
        let canaries = Canaries::new();
        let values = canaries.values();
        // A client that follows a redirect would succeed.
        let tokens = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                      Content-Length: {length}\r\n\r\n{\"access_token\":\"{access_token}\"}";
        let script = Script::new().read_request().send(tokens).render(&values);
        let trap = Peer::start([script], None).expect("a port for a second server");
        let values = values.with("trap", trap.http()).with("target", trap.address().to_string());
        let needles = canaries.needles();
        let begin = logs::lines().len();
        for scripts in case.variations(&values) {
            let canaries = canaries.sent_by(&scripts);
            let stage = Stage::set(case.origin, scripts, &self.authority, &trap);
            let stage = stage.expect("an address for the case");
            let setup = self.setup(case, &stage);
            let is_connecting = is_about_connecting(case);
            let limit = latest(if is_connecting { setup.connect_timeout } else { setup.deadline });
            let patience = latest(setup.deadline) * 2 + GRACE;
            let order = Order {
                operations: canaries.operations(&stage.base, case.calls),
                gives_up_after: case.gives_up.then_some(PATIENCE_OF_A_CALLER),
                idle: case.idle,
                canaries,
                setup,
            };
            let calls = attempt::attempt(&self.transport, order, patience);
            let (call, earlier) = calls.split_last().expect("a case has a call");

            let tally = stage.tally();
            row.outcome = Some(call.outcome);
            row.elapsed = row.elapsed.max(call.elapsed);
            row.posts = row.posts.max(tally.posts);
            row.bytes = row.bytes.max(tally.written);
            row.variations += 1;
            if !allowed.contains(&call.outcome) {
                row.check(case.expected.contains(&call.outcome), "wrong outcome");
            } else if !row.allowed.contains(&call.outcome) {
                row.allowed.push(call.outcome);
            }
            judge_result(case, call, earlier, &mut row);
            row.check(
                tally.requests <= case.max_requests(),
                format!("{} requests", tally.requests),
            );
            // In HTTP/2 a server can say that it received a request and did not act on it.
            let is_received = tally.requests >= case.calls.len() && case.origin != Origin::Http2;
            row.check(call.outcome != Outcome::NotSent || !is_received, "not sent, but received");
            let read = tally.written.saturating_sub(self.unread_capacity);
            row.check(read <= BODY_LIMIT as u64 + ONE_BUFFER, "read too much");
            row.check(trap.tally().connections == 0, "called the wrong server");
            row.check(call.elapsed <= limit, format!("took longer than {limit:?}"));
            for (place, text) in calls.iter().flat_map(|call| &call.texts) {
                row.check_secrets(&needles, place, text);
            }
            if !row.violations.is_empty() {
                break;
            }
        }
        let log = logs::lines()[begin..].to_vec();
        for line in &log {
            row.check_secrets(&needles, "log", line);
        }
        for allowed in allowed {
            let is_needed = row.allowed.contains(allowed);
            row.check(is_needed, format!("is allowed to end in {allowed:?}, and did not"));
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
            root_certificate: self.authority.root(),
            deadline,
            connect_timeout,
            body_limit: BODY_LIMIT,
            resolution: match case.origin {
                Origin::Unresolved(resolution) => resolution,
                Origin::Localhost => Resolution::Elsewhere,
                _ => Resolution::System,
            },
            http2: case.origin == Origin::Http2,
            proxy: stage.proxy.clone(),
        }
    }
}

/// Returns whether only the connect timeout ends the call.
fn is_about_connecting(case: &Case) -> bool {
    matches!(case.group, "connect" | "proxy") && case.waits
}

/// Returns the longest accepted duration of a call whose limit is `limit`.
fn latest(limit: Duration) -> Duration {
    limit + limit / 5 + SCHEDULING_ALLOWANCE
}

fn judge_result(case: &Case, call: &Call, earlier: &[Call], row: &mut Row) {
    for call in earlier {
        row.check(
            call.outcome == Outcome::Ok,
            format!("an earlier call ended in {:?}", call.outcome),
        );
    }
    let wrong_tokens = call.wrong_tokens || earlier.iter().any(|call| call.wrong_tokens);
    row.check(!wrong_tokens, "wrong tokens");
    let is_refresh = case.calls.last() == Some(&Kind::Refresh);
    let replay = if is_refresh { Replay::Safe } else { Replay::Never };
    row.check(call.replay.is_none_or(|said| said == replay), format!("says {:?}", call.replay));
    let says = |(place, text): &(&str, String)| *place != "Debug" && text.contains(case.says);
    row.check(
        case.says.is_empty() || call.texts.iter().any(says),
        format!("does not say `{}`", case.says),
    );
    row.check(
        !case.checks_wait || case.wait == call.wait,
        format!("requests the wait {:?}", call.wait),
    );
}
