//! Carries an operation to the service and its response back.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    io,
    marker::PhantomData,
    ops::ControlFlow,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Buf;
use dropbox_sign_oauth::{
    CallError, Cause, CauseKind, Operation, PlainHttp, Replay, ResponseBody, ResponseCollector,
    Retry, RetryPolicy,
};
use http::{Request, Response};
use http_body::Body;
use tokio::{
    task::{Unconstrained, unconstrained},
    time::{Instant, Sleep, sleep_until},
};
use tower_service::Service;

use crate::{
    body::{RequestBody, Witness},
    client::{Client, ConnectTimedOut},
    clock,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// An async transport on hyper and rustls, or on any [`Service`] that is given to it.
///
/// Make one and share it: clones share the connections. It needs a tokio runtime with time and IO.
/// [`send`](Self::send) sends its request at most once, and dropping its future cancels it.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::{Transport, core::{App, State}};
///
/// async fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
///     let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
///     let transport = Transport::new()?;
///
///     let code = app.callback(query, state)?;
///     let tokens = transport.send(app.generate(code)).await?;
///     let account = transport.send(app.account(&tokens.access_token)).await?;
///     println!("connected to {}", account.email_address);
///     Ok(())
/// }
/// ```
pub struct Transport<S = Client, B = RequestBody> {
    service: S,
    limits: Limits,
    /// The service takes requests with this body.
    body: PhantomData<fn(B)>,
}

/// What bounds each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) plain_http: PlainHttp,
}

impl<S, B> Transport<S, B> {
    pub(crate) fn over(service: S, limits: Limits) -> Self {
        Self {
            service,
            limits,
            body: PhantomData,
        }
    }
}

impl<S, B, RB> Transport<S, B>
where
    S: Service<Request<B>, Response = Response<RB>, Error: Into<BoxError>> + Clone,
    B: From<RequestBody>,
    RB: Body<Error: Into<BoxError>>,
{
    /// Sends an operation's request, once, and reads its response. Dropping the future cancels
    /// the call; whether its request was sent is then not known.
    ///
    /// # Errors
    /// [`CallError::NotSent`] and [`CallError::Unknown`] if no answer came, [`CallError::Answered`] if the
    /// answer is not the result.
    pub fn send<O: Operation>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<O::Output, CallError>> + use<S, B, RB, O> {
        // Cloned out here, so that the future is `Send` although the service is not `Sync`.
        let service = self.service.clone();
        let limits = self.limits;
        async move {
            let response =
                exchange(service, limits, operation.request(), operation.replay()).await?;
            Ok(operation.parse(response)?)
        }
    }

    /// As [`send`](Self::send), and sends again where that is safe, as `policy` says: see [`Retry`].
    /// It sleeps between the attempts, each of which has a deadline of its own.
    ///
    /// # Errors
    /// The last one, as those of [`send`](Self::send).
    pub fn send_with_retry<O: Operation>(
        &self,
        operation: O,
        policy: RetryPolicy,
    ) -> impl Future<Output = Result<O::Output, CallError>> + use<S, B, RB, O> {
        exchange_with_retry(self.service.clone(), self.limits, operation, policy)
    }
}

/// Drives a [`Retry`] with this machine's clock and randomness.
async fn exchange_with_retry<S, B, RB, O>(
    service: S,
    limits: Limits,
    operation: O,
    policy: RetryPolicy,
) -> Result<O::Output, CallError>
where
    S: Service<Request<B>, Response = Response<RB>, Error: Into<BoxError>> + Clone,
    B: From<RequestBody>,
    RB: Body<Error: Into<BoxError>>,
    O: Operation,
{
    let replay = operation.replay();
    let mut retry = Retry::new(operation, policy, clock::now());
    loop {
        let outcome = exchange(service.clone(), limits, retry.request(), replay).await;
        match retry.handle(clock::now(), clock::entropy(), outcome) {
            ControlFlow::Break(result) => return result,
            ControlFlow::Continue(wait) => {
                tokio::time::sleep(wait.delay()).await;
                retry = wait.resume();
            }
        }
    }
}

/// One request, and its response with a body that is collected.
async fn exchange<S, B, RB>(
    mut service: S,
    limits: Limits,
    mut request: Request<Vec<u8>>,
    replay: Replay,
) -> Result<Response<ResponseBody>, CallError>
where
    S: Service<Request<B>, Response = Response<RB>, Error: Into<BoxError>>,
    B: From<RequestBody>,
    RB: Body<Error: Into<BoxError>>,
{
    let insecure = |error| CallError::NotSent(Cause::new(CauseKind::Insecure(error)));
    limits.plain_http.check(request.uri()).map_err(insecure)?;
    // One timer for all of it; a deadline beyond what the clock can count is none.
    let expires = Instant::now().checked_add(limits.deadline);
    let mut deadline = pin!(expires.map(|expires| unconstrained(sleep_until(expires))));
    if replay != Replay::Safe {
        request.extensions_mut().insert(replay);
    }
    let (head, body) = request.into_parts();
    let (body, witness) = RequestBody::new(body, replay);
    let request = Request::from_parts(head, B::from(body));

    let head = async {
        poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(Into::into)?;
        service.call(request).await.map_err(Into::into)
    };
    let response = by(deadline.as_mut(), head).await;
    let response = response.map_err(|error| failure(error, &witness, limits))?;

    let (head, body) = response.into_parts();
    let mut collector = ResponseCollector::new(head, limits.body_limit);
    match by(deadline, collect(&mut collector, body)).await {
        Ok(()) => Ok(collector.finish()),
        Err(error) => collector.interrupted(failure(error, &witness, limits)),
    }
}

/// Awaits `work` until the `deadline`, if there is one.
///
/// The deadline is out of tokio's budget, so that work that uses all of it does not outlast it.
async fn by<T>(
    mut deadline: Pin<&mut Option<Unconstrained<Sleep>>>,
    work: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending => match deadline.as_mut().as_pin_mut() {
            Some(deadline) => deadline.poll(cx).map(|()| Err(DeadlineIsOver.into())),
            None => Poll::Pending,
        },
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

/// The time of a call is over.
#[derive(Debug)]
struct DeadlineIsOver;

impl fmt::Display for DeadlineIsOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time for the call is over")
    }
}

impl StdError for DeadlineIsOver {}

/// Reads a body to its end.
async fn collect<RB>(collector: &mut ResponseCollector, body: RB) -> Result<(), BoxError>
where
    RB: Body<Error: Into<BoxError>>,
{
    collector.reserve()?;
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(Into::into)?.into_data() else {
            continue; // Trailers mean nothing here.
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            let len = chunk.len();
            collector.push(chunk)?;
            data.advance(len);
        }
    }
    Ok(())
}

/// What an error on the way means for the request.
fn failure(error: BoxError, witness: &Witness, limits: Limits) -> CallError {
    let error = match error.downcast::<dropbox_sign_oauth::Error>() {
        Ok(error) => return CallError::Answered(*error),
        Err(error) => error,
    };
    let unsent = witness.close(&*error);
    let cause = if error.is::<DeadlineIsOver>() {
        Cause::new(CauseKind::Deadline(limits.deadline))
    } else if find::<ConnectTimedOut>(&*error).is_some() {
        Cause::new(CauseKind::ConnectTimeout(limits.connect_timeout))
    } else if unsent {
        Cause::with_source(CauseKind::Connect, error)
    } else {
        Cause::with_source(CauseKind::Exchange, error)
    };
    if unsent {
        CallError::NotSent(cause)
    } else {
        CallError::Unknown(cause)
    }
}

/// The first error of type `E` in a chain.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            // `source` of an `io::Error` skips the error that it wraps.
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}

impl<S: Clone, B> Clone for Transport<S, B> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            limits: self.limits,
            body: PhantomData,
        }
    }
}

impl<S, B> fmt::Debug for Transport<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
