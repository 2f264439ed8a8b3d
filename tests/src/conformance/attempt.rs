//! Runs the calls of one client on a thread that can be abandoned.

use std::{
    any::Any,
    error::Error as StdError,
    io, iter,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{CallError, Error, Replay, TokenResponse, UnixTime};
use tokio::{runtime, time::timeout};

use super::{Setup, TokenOperation, canary::Canaries};
use crate::fault::Outcome;

/// The calls of one case.
pub(super) struct Order {
    pub(super) setup: Setup,
    pub(super) operations: Vec<TokenOperation>,
    /// The pause between the calls, during which the client's runtime is not polled.
    pub(super) idle: Duration,
    /// When the caller drops the last call.
    pub(super) gives_up_after: Option<Duration>,
    pub(super) canaries: Canaries,
}

/// What is judged of one call.
pub(super) struct Call {
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
    /// Every text that a program could print of the result, and where it is from.
    pub(super) texts: Vec<(&'static str, String)>,
    /// Whether the tokens of a success are not the server's.
    pub(super) wrong_tokens: bool,
    /// The wait that the error requests.
    pub(super) wait: Option<Duration>,
    /// Whether an unknown outcome says that the request must not be sent again.
    pub(super) replay: Option<Replay>,
}

impl Call {
    fn ended(outcome: Outcome, begin: Instant) -> Self {
        let elapsed = begin.elapsed();
        Self { outcome, elapsed, texts: Vec::new(), wrong_tokens: false, wait: None, replay: None }
    }

    fn read(result: Result<TokenResponse, CallError>, begin: Instant, canaries: &Canaries) -> Self {
        match result {
            Ok(response) => Self {
                texts: vec![("Debug", format!("{response:?}"))],
                wrong_tokens: !canaries.are_in(&response),
                ..Self::ended(Outcome::Ok, begin)
            },
            Err(error) => Self {
                wait: error.retry_after(UnixTime::now()),
                replay: match &error {
                    CallError::Unknown { replay, .. } => Some(*replay),
                    CallError::NotSent(_) | CallError::Answered(_) => None,
                },
                texts: texts(&error),
                ..Self::ended(outcome(&error), begin)
            },
        }
    }
}

fn outcome(error: &CallError) -> Outcome {
    match error {
        CallError::NotSent(_) => Outcome::NotSent,
        CallError::Unknown { .. } => Outcome::Unknown,
        CallError::Answered(error) => match error {
            Error::Rejected(_) => Outcome::Rejected,
            Error::Throttled(_) => Outcome::Throttled,
            Error::ServerFault(_) => Outcome::ServerFault,
            Error::RedirectRefused { .. } => Outcome::Redirect,
            Error::StateMismatch => Outcome::StateMismatch,
            Error::Malformed { .. } => Outcome::Malformed,
            Error::TooLarge { .. } => Outcome::TooLarge,
            _ => Outcome::Unclassified,
        },
    }
}

fn texts(error: &CallError) -> Vec<(&'static str, String)> {
    let first: &(dyn StdError + 'static) = error;
    let chain = iter::successors(Some(first), |&error| match error.downcast_ref::<io::Error>() {
        // `io::Error::source` skips the error that it wraps.
        Some(error) => error.get_ref().map(|inner| inner as _),
        None => error.source(),
    });
    let sources = chain.skip(1);
    let sources =
        sources.flat_map(|it| [("source", it.to_string()), ("source", format!("{it:?}"))]);
    let own = [("Display", error.to_string()), ("Debug", format!("{error:?}"))];
    own.into_iter().chain(sources).collect()
}

/// Makes a client and runs its calls. Each element of the result is one call.
pub(super) type Transport = Arc<dyn Fn(Order) -> Vec<Call> + Send + Sync>;

pub(super) fn blocking<M, S>(make: M) -> Transport
where
    M: Fn(&Setup) -> S + Send + Sync + 'static,
    S: FnMut(TokenOperation) -> Result<TokenResponse, CallError>,
{
    Arc::new(move |order| {
        let mut send = make(&order.setup);
        let mut calls = Vec::new();
        for operation in order.operations {
            rest(&calls, order.idle);
            let begin = Instant::now();
            calls.push(Call::read(send(operation), begin, &order.canaries));
        }
        calls
    })
}

pub(super) fn asynchronous<M, S>(make: M) -> Transport
where
    M: Fn(&Setup) -> S + Send + Sync + 'static,
    S: AsyncFn(TokenOperation) -> Result<TokenResponse, CallError>,
{
    Arc::new(move |order| {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime for one thread");
        let calls = runtime.block_on(async {
            let send = make(&order.setup);
            let last = order.operations.len() - 1;
            let mut calls = Vec::new();
            for operation in order.operations {
                rest(&calls, order.idle);
                let begin = Instant::now();
                let limit = order.gives_up_after.filter(|_| calls.len() == last);
                calls.push(match timeout(limit.unwrap_or(Duration::MAX), send(operation)).await {
                    Ok(result) => Call::read(result, begin, &order.canaries),
                    Err(_) => Call::ended(Outcome::Unknown, begin),
                });
            }
            calls
        });
        // A name lookup may block a thread of the runtime for longer than the run.
        runtime.shutdown_background();
        calls
    })
}

/// Blocks the thread between two calls.
fn rest(calls: &[Call], idle: Duration) {
    if !calls.is_empty() {
        thread::sleep(idle);
    }
}

/// Runs the calls on a new thread, and abandons it after `patience`. Returns the calls, or one that
/// says how they failed.
pub(super) fn attempt(transport: &Transport, order: Order, patience: Duration) -> Vec<Call> {
    let (sender, receiver) = mpsc::channel();
    let transport = Arc::clone(transport);
    let begin = Instant::now();
    thread::spawn(move || {
        let calls = catch_unwind(AssertUnwindSafe(|| transport(order)));
        // The receiver is gone if the thread was abandoned.
        let _ = sender.send(calls);
    });
    match receiver.recv_timeout(patience) {
        Ok(Ok(calls)) => calls,
        Ok(Err(panic)) => {
            let texts = vec![("panic", message(&*panic))];
            vec![Call { texts, ..Call::ended(Outcome::Panicked, begin) }]
        }
        Err(_) => vec![Call::ended(Outcome::Hung, begin)],
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default().into()
}
