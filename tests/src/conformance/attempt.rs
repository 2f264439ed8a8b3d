//! Runs the calls of one client on a thread that can be abandoned.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use dropbox_sign_oauth::{CallError, Replay, TokenResponse, UnixTime};
use tokio::{runtime, time::timeout};

use super::{Ending, Place, Setup, TokenOperation, call, canary::Canaries};
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
#[derive(Debug)]
pub(super) struct Call {
    pub(super) ending: Ending,
    pub(super) elapsed: Duration,
    /// Every text that a program could print of the result.
    pub(super) texts: Vec<(Place, String)>,
    /// Whether the tokens of a success are not the server's.
    pub(super) wrong_tokens: bool,
    /// The wait that the error requests.
    pub(super) wait: Option<Duration>,
    /// Whether an unknown outcome says that the request must not be sent again.
    pub(super) replay: Option<Replay>,
}

impl Call {
    fn ended(ending: Ending, elapsed: Duration) -> Self {
        Self { ending, elapsed, texts: Vec::new(), wrong_tokens: false, wait: None, replay: None }
    }

    fn read(
        result: Result<TokenResponse, CallError>,
        elapsed: Duration,
        canaries: &Canaries,
    ) -> Self {
        match result {
            Ok(response) => Self {
                texts: vec![(Place::Debug, format!("{response:?}"))],
                wrong_tokens: !canaries
                    .are_tokens(&response.access_token, response.refresh_token.as_ref()),
                ..Self::ended(Ending::Outcome(Outcome::Ok), elapsed)
            },
            Err(error) => {
                let outcome = call::outcome(&error);
                Self {
                    wait: error.retry_after(now()),
                    replay: match &error {
                        CallError::Unknown { replay, .. } => Some(*replay),
                        CallError::NotSent(_) | CallError::Answered(_) => None,
                    },
                    texts: texts(&error),
                    ..Self::ended(outcome.map_or(Ending::Unclassified, Ending::Outcome), elapsed)
                }
            }
        }
    }
}

fn now() -> UnixTime {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    UnixTime::since_epoch(now)
}

fn texts(error: &CallError) -> Vec<(Place, String)> {
    let chain = call::chain(error).enumerate().flat_map(|(depth, error)| {
        let (display, debug) = if depth == 0 {
            (Place::Display, Place::Debug)
        } else {
            (Place::Source, Place::Source)
        };
        [(display, error.to_string()), (debug, format!("{error:?}"))]
    });
    chain.collect()
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
        for (index, operation) in order.operations.into_iter().enumerate() {
            rest(index, order.idle);
            let begin = Instant::now();
            let result = send(operation);
            calls.push(Call::read(result, begin.elapsed(), &order.canaries));
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
            for (index, operation) in order.operations.into_iter().enumerate() {
                rest(index, order.idle);
                let begin = Instant::now();
                let patience =
                    order.gives_up_after.filter(|_| index == last).unwrap_or(Duration::MAX);
                let call = match timeout(patience, send(operation)).await {
                    Ok(result) => Call::read(result, begin.elapsed(), &order.canaries),
                    Err(_) => Call::ended(Ending::Outcome(Outcome::Unknown), begin.elapsed()),
                };
                calls.push(call);
            }
            calls
        });
        // A name lookup may block a thread of the runtime for longer than the run.
        runtime.shutdown_background();
        calls
    })
}

/// Blocks the thread between two calls.
fn rest(index: usize, idle: Duration) {
    if index > 0 {
        thread::sleep(idle);
    }
}

/// Runs the calls on a new thread, and abandons it after `patience`. Returns the last call and the
/// calls before it.
pub(super) fn attempt(
    transport: &Transport,
    order: Order,
    patience: Duration,
    name: &str,
) -> (Call, Vec<Call>) {
    let (sender, receiver) = mpsc::channel();
    let transport = Arc::clone(transport);
    let begin = Instant::now();
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        let calls = catch_unwind(AssertUnwindSafe(|| transport(order)));
        // The receiver is gone if the thread was abandoned.
        let _ = sender.send(calls);
    });
    thread.expect("a thread for the transport");
    let calls = receiver.recv_timeout(patience);
    let elapsed = begin.elapsed();
    match calls {
        Ok(Ok(mut calls)) => {
            let last = calls.pop().expect("a case has a call");
            (last, calls)
        }
        Ok(Err(panic)) => {
            let message = message(&*panic);
            let mut call = Call::ended(Ending::Panicked(message.clone()), elapsed);
            call.texts.push((Place::Panic, message));
            (call, Vec::new())
        }
        Err(_) => (Call::ended(Ending::Hung, elapsed), Vec::new()),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
        .into()
}
