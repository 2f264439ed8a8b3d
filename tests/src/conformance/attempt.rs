//! One client's calls, on a thread that can be given up.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use dropbox_sign_oauth::{CallError, TokenResponse, UnixTime};
use tokio::{runtime, time::timeout};

use super::{Ending, Place, Setup, TokenOperation, call, canary::Canaries};
use crate::fault::Outcome;

/// What to do to a transport.
pub(super) struct Order {
    pub(super) setup: Setup,
    pub(super) operations: Vec<TokenOperation>,
    /// When the caller drops the last call.
    pub(super) gives_up_after: Option<Duration>,
    pub(super) canaries: Canaries,
}

/// What one call came to, as far as it is judged.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) ending: Ending,
    pub(super) elapsed: Duration,
    /// Everything that a program could print of the result.
    pub(super) texts: Vec<(Place, String)>,
    /// The tokens of a success are not the server's.
    pub(super) wrong_tokens: bool,
    /// How long the error asks to wait.
    pub(super) wait: Option<Duration>,
}

impl Call {
    fn ended(ending: Ending, elapsed: Duration) -> Self {
        Self {
            ending,
            elapsed,
            texts: Vec::new(),
            wrong_tokens: false,
            wait: None,
        }
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
                let wait = match &error {
                    CallError::Answered(error) => error.rejection().and_then(|rejection| {
                        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                        rejection.wait(UnixTime::since_epoch(now))
                    }),
                    CallError::NotSent(_) | CallError::Unknown(_) => None,
                };
                Self {
                    texts: texts(&error),
                    wait,
                    ..Self::ended(
                        outcome.map_or(Ending::Unclassified, Ending::Outcome),
                        elapsed,
                    )
                }
            }
        }
    }
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

/// How a transport does what is ordered; each element is one call.
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
                let begin = Instant::now();
                let patience = order
                    .gives_up_after
                    .filter(|_| index == last)
                    .unwrap_or(Duration::MAX);
                let call = match timeout(patience, send(operation)).await {
                    Ok(result) => Call::read(result, begin.elapsed(), &order.canaries),
                    Err(_) => Call::ended(Ending::Outcome(Outcome::Unknown), begin.elapsed()),
                };
                calls.push(call);
            }
            calls
        });
        // A lookup of a name may block a thread of the runtime for longer than a run lasts.
        runtime.shutdown_background();
        calls
    })
}

/// Does what is ordered on a thread of its own, and gives it up if it takes longer than
/// `patience`: the last of its calls, and those before it.
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
        // Nobody waits any more if the thread was given up.
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
