//! Carries an operation to the service and its response back.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    io,
    marker::PhantomData,
    net::IpAddr,
    ops::ControlFlow,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Buf;
use dropbox_sign_oauth::{
    CallError, Cause, CauseKind, DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE,
    Operation, PlainHttp, Replay, ResponseBody, ResponseCollector, Retry, RetryPolicy,
};
use http::{Request, Response};
use http_body::Body;
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, error::Elapsed, timeout_at};
use tower_service::Service;

use crate::{
    body::{RequestBody, Witness},
    client::{Client, ConnectTimedOut, Settings, system_lookup},
    clock,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// An async transport on hyper and rustls, or on any [`Service`] that is given to it.
///
/// Make one and share it: clones share the connections. It needs a tokio runtime with time and IO.
/// A call sends its request at most once, and dropping its future cancels it.
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
struct Limits {
    deadline: Duration,
    connect_timeout: Duration,
    body_limit: usize,
    plain_http: PlainHttp,
}

impl Transport {
    /// A transport with the defaults: HTTP/1.1, rustls with ring and `webpki-roots`, no proxy, and
    /// the limits [`DEFAULT_DEADLINE`], [`DEFAULT_CONNECT_TIMEOUT`] and [`DEFAULT_BODY_LIMIT`].
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Self, InvalidTls> {
        Self::builder().build()
    }

    /// Begins a transport whose settings differ from the defaults.
    pub fn builder() -> Builder {
        Builder {
            deadline: DEFAULT_DEADLINE,
            body_limit: DEFAULT_BODY_LIMIT,
            client: Settings {
                connect_timeout: DEFAULT_CONNECT_TIMEOUT,
                plain_http: PlainHttp::default(),
                extra_roots: Vec::new(),
                #[cfg(feature = "platform-verifier")]
                platform_verifier: false,
                #[cfg(feature = "http2")]
                http2: false,
                lookup: Arc::new(system_lookup),
            },
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
    let expires = Instant::now().checked_add(limits.deadline);
    request.extensions_mut().insert(replay);
    let (head, body) = request.into_parts();
    let (body, witness) = RequestBody::new(body);
    let request = Request::from_parts(head, B::from(body));

    let head = async {
        poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(Into::into)?;
        service.call(request).await.map_err(Into::into)
    };
    let response = by(expires, head).await;
    let response = response.map_err(|error| failure(error, &witness, limits))?;

    let (head, body) = response.into_parts();
    let mut collector = ResponseCollector::new(head, limits.body_limit);
    match by(expires, collect(&mut collector, body)).await {
        Ok(()) => Ok(collector.finish()),
        Err(error) => collector.interrupted(failure(error, &witness, limits)),
    }
}

/// Awaits `work` until `expires`.
async fn by<T>(
    expires: Option<Instant>,
    work: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    match expires {
        Some(expires) => match timeout_at(expires, work).await {
            Ok(result) => result,
            Err(elapsed) => Err(elapsed.into()),
        },
        // A deadline beyond what the clock can count is none.
        None => work.await,
    }
}

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
    let cause = if error.is::<Elapsed>() {
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

/// The settings of a [`Transport`] that is being made: begun by [`Transport::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    deadline: Duration,
    body_limit: usize,
    client: Settings,
}

impl Builder {
    /// The time for a whole call, from its start until the last byte of the body.
    /// [`DEFAULT_DEADLINE`] if not set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The time for name resolution, TCP and TLS together. [`DEFAULT_CONNECT_TIMEOUT`] if not set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.client.connect_timeout = timeout;
        self
    }

    /// The most bytes of a response body that are read. [`DEFAULT_BODY_LIMIT`] if not set.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Whether plain `http` may leave this machine. Not, if not set.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.client.plain_http = plain_http;
        self
    }

    /// Trusts one more root certificate, beside those of `webpki-roots` or the platform: a
    /// sandbox's, or an inspecting proxy's.
    pub fn extra_root(mut self, root: CertificateDer<'static>) -> Self {
        self.client.extra_roots.push(root);
        self
    }

    /// Judges certificates by the platform's verifier and roots instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub fn platform_verifier(mut self) -> Self {
        self.client.platform_verifier = true;
        self
    }

    /// Offers HTTP/2 beside HTTP/1.1; the server chooses.
    #[cfg(feature = "http2")]
    pub fn http2(mut self) -> Self {
        self.client.http2 = true;
        self
    }

    /// Resolves host names by `lookup` instead of the system's resolver. A call stops waiting for
    /// it when its time is up.
    pub fn resolver<F, R>(mut self, lookup: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        self.client.lookup = Arc::new(move |host| Box::pin(lookup(host)));
        self
    }

    /// Makes the transport.
    ///
    /// # Errors
    /// [`InvalidTls`] if an extra root is no certificate, or the platform has no roots.
    pub fn build(self) -> Result<Transport, InvalidTls> {
        let client = self.build_client()?;
        Ok(self.build_with_service(client))
    }

    /// Makes the default client alone, for middleware to be put on it.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_client(&self) -> Result<Client, InvalidTls> {
        Client::new(&self.client).map_err(InvalidTls)
    }

    /// Makes the transport on a service of the caller's: middleware on [`Client`], or another
    /// client.
    ///
    /// The deadline, the body's limit and the rule for plain http hold as they were set here; how
    /// to connect is the service's, and so is what it does with redirects: it must not follow any.
    /// A request whose [`Replay`] extension says [`Never`](Replay::Never) should get a connection
    /// of its own.
    ///
    /// ```
    /// use dropbox_sign_oauth_hyper::{RequestBody, Transport};
    /// use tower::ServiceBuilder;
    ///
    /// let builder = Transport::builder();
    /// let service = ServiceBuilder::new()
    ///     .concurrency_limit(8)
    ///     .service(builder.build_client()?);
    /// let transport: Transport<_, RequestBody> = builder.build_with_service(service);
    /// # Ok::<(), dropbox_sign_oauth_hyper::InvalidTls>(())
    /// ```
    pub fn build_with_service<S, B>(self, service: S) -> Transport<S, B>
    where
        S: Service<Request<B>>,
        B: From<RequestBody>,
    {
        Transport {
            service,
            limits: Limits {
                deadline: self.deadline,
                connect_timeout: self.client.connect_timeout,
                body_limit: self.body_limit,
                plain_http: self.client.plain_http,
            },
            body: PhantomData,
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.client.connect_timeout)
            .field("body_limit", &self.body_limit)
            .field("plain_http", &self.client.plain_http)
            .finish_non_exhaustive()
    }
}

/// TLS settings of which no transport can be made; its source says why.
#[derive(Debug)]
pub struct InvalidTls(rustls::Error);

impl fmt::Display for InvalidTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an extra root is no certificate, or the platform has no roots")
    }
}

impl StdError for InvalidTls {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}
