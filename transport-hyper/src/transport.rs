//! Sends the request of an operation through a service and collects the response.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    io,
    ops::ControlFlow,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Buf;
use dropbox_sign_oauth::{
    App, CallError, Failure, InsecureUri, MAX_RESPONSE_HEADERS, Operation, PlainHttp, Replay,
    ResponseBody, ResponseCollector, Retry, RetryPolicy, UnixTime, trace::CallSpan,
};
use dropbox_sign_oauth_store::Entropy;
use http::{Request, Response};
use http_body::Body;
use tokio::{
    task::{Unconstrained, coop::consume_budget, unconstrained},
    time::{Instant, Sleep, sleep_until},
};
use tower_service::Service;

use crate::{
    body::{RequestBody, Witness},
    client::Client,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// An async transport: hyper and rustls, or any [`Service`].
///
/// Make one and clone it: clones share the pooled connections. It needs a tokio runtime with time
/// and IO. [`send`](Self::send) sends a request once, and dropping its future cancels the call.
///
/// ```no_run
/// use std::time::Duration;
///
/// use dropbox_sign_oauth_hyper::Transport;
///
/// let transport = Transport::builder()
///     .deadline(Duration::from_secs(10))
///     .proxy_from_env()
///     .build()?;
/// # Ok::<(), dropbox_sign_oauth_hyper::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Transport<S = Client> {
    service: S,
    limits: Limits,
}

/// The limits of each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) plain_http: PlainHttp,
}

impl<S> Transport<S> {
    pub(crate) fn with_limits(service: S, limits: Limits) -> Self {
        Self { service, limits }
    }
}

impl Transport {
    /// Starts to open a connection for the next code of `app`, and returns at once.
    ///
    /// A code exchange takes a third of the time if its connection is open already. Call this at
    /// the start of a callback that has other work to do before the exchange, such as loading the
    /// user's session:
    ///
    /// ```
    /// # use dropbox_sign_oauth_hyper::{App, State, TokenResponse, Transport};
    /// # async fn load_state(cookie: &str) -> Result<State, Box<dyn std::error::Error>> {
    /// #     Ok(State::random())
    /// # }
    /// async fn callback(
    ///     app: &App,
    ///     transport: &Transport,
    ///     query: &str,
    ///     cookie: &str,
    /// ) -> Result<TokenResponse, Box<dyn std::error::Error>> {
    ///     transport.connect_ahead(app);
    ///     let state = load_state(cookie).await?;
    ///     let code = app.callback(query, &state)?;
    ///     Ok(transport.send(app.generate(code)).await?)
    /// }
    /// ```
    ///
    /// At most two connections to a server are open ahead, however often this is called, so a
    /// stranger who calls the callback cannot open more. Each of them is for one code. They are
    /// closed after ten seconds, or with the last clone of the transport. An error is not reported:
    /// the exchange opens its own connection then. Without a tokio runtime, this does nothing.
    pub fn connect_ahead(&self, app: &App) {
        self.service.connect_ahead(app);
    }
}

impl<S, B> Transport<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: Body<Error: Into<BoxError>>,
{
    /// Sends the request of `operation` and parses the response.
    ///
    /// [`Client`] sends a request that is [`Replay::Safe`] once more if a pooled connection turns
    /// out to be closed.
    ///
    /// # Errors
    /// [`CallError::NotSent`] and [`CallError::Unknown`] without a complete response,
    /// [`CallError::Answered`] if the response is not a result.
    ///
    /// # Cancellation
    /// Dropping the future cancels the call. Whether the request was sent is then unknown.
    pub fn send<O: Operation>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<O::Output, CallError>> + use<S, B, O> {
        self.send_with_retry(operation, RetryPolicy::default().attempts(1))
    }

    /// As [`send`](Self::send), with retries where they are safe: see [`Retry`].
    ///
    /// Each attempt has a deadline of its own.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub fn send_with_retry<O: Operation>(
        &self,
        operation: O,
        policy: RetryPolicy,
    ) -> impl Future<Output = Result<O::Output, CallError>> + use<S, B, O> {
        // Cloned outside the future, which is then `Send` even if the service is not `Sync`.
        let service = self.service.clone();
        let limits = self.limits;
        async move {
            let replay = operation.replay();
            let mut retry = Retry::new(operation, policy, UnixTime::now());
            let mut entropy = Entropy::new();
            loop {
                let request = retry.request();
                let mut span = CallSpan::new(&retry, &request);
                let started = Instant::now();
                let outcome = {
                    let exchange = exchange(&span, service.clone(), limits, request, replay);
                    let mut exchange = pin!(exchange);
                    poll_fn(|cx| span.in_scope(|| exchange.as_mut().poll(cx))).await
                };
                span.response(|| started.elapsed(), &outcome);
                match retry.handle(UnixTime::now(), entropy.next_u64(), outcome) {
                    ControlFlow::Break(result) => {
                        span.result(&result);
                        return result;
                    }
                    ControlFlow::Continue(wait) => {
                        drop(span);
                        tokio::time::sleep(wait.delay()).await;
                        retry = wait.resume();
                    }
                }
            }
        }
    }
}

/// Sends one request and collects the response.
async fn exchange<S, B>(
    span: &CallSpan,
    mut service: S,
    limits: Limits,
    mut request: Request<Vec<u8>>,
    replay: Replay,
) -> Result<Response<ResponseBody>, CallError>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>>,
{
    let insecure = |error| CallError::NotSent(Failure::insecure(error));
    limits.plain_http.check(request.uri()).map_err(insecure)?;
    // None if it is beyond what the clock can count.
    let expires = Instant::now().checked_add(limits.deadline);
    let mut deadline = pin!(expires.map(|expires| unconstrained(sleep_until(expires))));
    if replay != Replay::Safe {
        request.extensions_mut().insert(replay);
    }
    let (head, body) = request.into_parts();
    let (body, witness) = RequestBody::new(body, replay);
    let request = Request::from_parts(head, body);
    let failure = |error| failure(error, &witness, limits, replay);

    let head = pin!(async {
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
        service.call(request).await.map_err(Into::into)
    });
    let response = with_deadline(deadline.as_mut(), head).await;
    span.connection(witness.connection());
    let (head, body) = response.map_err(failure)?.into_parts();
    // HTTP/1.1 has counted them, other services may not have.
    if head.headers.len() > MAX_RESPONSE_HEADERS {
        let message = "the response has too many headers";
        return Err(failure(message.into()));
    }

    let mut collector = ResponseCollector::new(head, limits.body_limit);
    let body = with_deadline(deadline, pin!(collect(&mut collector, body, expires))).await;
    match body {
        Ok(()) => Ok(collector.finish()),
        Err(error) => collector.interrupted(failure(error)),
    }
}

/// Awaits `work` until the `deadline`, if there is one.
///
/// The deadline is outside of tokio's budget, so that work that uses it up does not outlast it. The
/// work is pinned by the caller, because a future that is moved into another takes its memory twice.
async fn with_deadline<T>(
    mut deadline: Pin<&mut Option<Unconstrained<Sleep>>>,
    mut work: Pin<&mut impl Future<Output = Result<T, BoxError>>>,
) -> Result<T, BoxError> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending => match deadline.as_mut().as_pin_mut() {
            Some(deadline) => deadline.poll(cx).map(|()| Err(DeadlineExceeded.into())),
            None => Poll::Pending,
        },
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

#[derive(Debug)]
struct DeadlineExceeded;

impl fmt::Display for DeadlineExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline of the call is exceeded")
    }
}

impl StdError for DeadlineExceeded {}

/// Reads a body to its end, or until the call `expires`: the timer does not run while a body is
/// always ready.
async fn collect<B>(
    collector: &mut ResponseCollector,
    body: B,
    expires: Option<Instant>,
) -> Result<(), BoxError>
where
    B: Body<Error: Into<BoxError>>,
{
    collector.reserve()?;
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(mut data) = frame.map_err(Into::into)?.into_data() {
            while data.has_remaining() {
                let chunk = data.chunk();
                let len = chunk.len();
                collector.push(chunk)?;
                data.advance(len);
            }
        } // Trailers have no meaning here.
        if expires.is_some_and(|expires| Instant::now() >= expires) {
            return Err(DeadlineExceeded.into());
        }
        consume_budget().await;
    }
    Ok(())
}

/// What an error of the service or the body means for the request.
fn failure(error: BoxError, witness: &Witness, limits: Limits, replay: Replay) -> CallError {
    let error = match error.downcast::<dropbox_sign_oauth::Error>() {
        Ok(error) => return CallError::Answered(*error),
        Err(error) => error,
    };
    let not_sent = witness.close();
    let failure = if error.is::<DeadlineExceeded>() {
        Failure::deadline(limits.deadline)
    } else if not_sent && is_timeout(&*error) {
        Failure::connect_timeout(limits.connect_timeout)
    } else if not_sent {
        match error.downcast::<InsecureUri>() {
            Ok(insecure) => Failure::insecure(*insecure),
            Err(error) => Failure::connect(error),
        }
    } else {
        Failure::exchange(error)
    };
    if not_sent { CallError::NotSent(failure) } else { CallError::Unknown { failure, replay } }
}

/// Whether the whole connect timeout is over, or the share of each address.
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let Some(io) = error.downcast_ref::<io::Error>() else {
        return error.source().is_some_and(is_timeout);
    };
    // `source` of an `io::Error` skips the error that it wraps.
    io.kind() == io::ErrorKind::TimedOut || io.get_ref().is_some_and(|inner| is_timeout(inner))
}

impl<S> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("limits", &self.limits).finish_non_exhaustive()
    }
}
