//! Sends an operation's request and reads its response.

use std::{
    fmt,
    io::{self, Read},
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    App, CallError, Failure, InsecureUri, MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS, Operation,
    PlainHttp, Replay, ResponseBody, ResponseCollector, Retry, RetryPolicy, UnixTime,
    trace::CallSpan,
};
use dropbox_sign_oauth_store::Entropy;
use http::{
    HeaderValue, Method, Request, Response, Uri,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    request::Parts,
    uri::Scheme,
};
use ureq::{Agent, AsSendBody, Body, Proxy, SendBody, Timeout};
use zeroize::Zeroizing;

use crate::{call, proxy::Proxies, spare::Spares};

/// How many bytes of a body are read at a time: an ordinary token response fits.
const CHUNK: usize = 1024;

/// The longest timeout that ureq is given: it panics on one that the clock cannot represent.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How many bytes a call may read beside the body, and for each byte of the body limit: some
/// interim responses and trailers, and chunk framing, which is at worst six bytes for one.
const READABLE_BESIDE_BODY: usize = 4 * MAX_RESPONSE_HEAD;
const READABLE_PER_BODY_BYTE: usize = 6;

/// A blocking transport on ureq and rustls.
///
/// Create one and share it: clones share their connections. A call blocks its thread until the
/// response or the deadline.
///
/// ```no_run
/// use std::error::Error;
///
/// use dropbox_sign_oauth_ureq::{App, State, TokenSet, Transport, UnixTime};
///
/// fn finish_login(
///     app: &App,
///     transport: &Transport,
///     query: &str,
///     state: &State,
/// ) -> Result<TokenSet, Box<dyn Error>> {
///     let code = app.callback(query, state)?;
///     let response = transport.send(app.generate(code))?;
///     let tokens = TokenSet::new(response, UnixTime::now());
///     let account = transport.send(app.account(&tokens.access_token))?;
///     println!("connected to {}", account.email_address);
///     Ok(tokens)
/// }
/// ```
#[derive(Clone)]
pub struct Transport {
    pub(crate) agent: Agent,
    pub(crate) connections: Connections,
    pub(crate) limits: Limits,
    pub(crate) spares: Arc<Spares>,
}

/// Who opens the connections.
#[derive(Clone)]
pub(crate) enum Connections {
    /// This crate: they record what is written to them.
    Witnessed(Proxies),
    /// The caller's agent.
    Foreign {
        /// Whether a proxy that the agent has from the environment is used.
        proxy_from_env: bool,
    },
}

/// What bounds each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) plain_http: PlainHttp,
}

/// A call whose request is being sent.
struct Call<'a> {
    head: Parts,
    body: &'a [u8],
    replay: Replay,
    proxy: Option<&'a Proxy>,
    expires: Option<Instant>,
}

impl Call<'_> {
    /// The time until the deadline.
    fn left(&self) -> Duration {
        let left = |expires: Instant| expires.saturating_duration_since(Instant::now());
        self.expires.map_or(FOREVER, left).min(FOREVER)
    }

    /// Whether a body is sent: ureq sends one with a GET if it is given one, even an empty one.
    fn has_body(&self) -> bool {
        !self.body.is_empty() || self.head.method != Method::GET
    }
}

impl Transport {
    /// Sends an operation's request and reads its response.
    ///
    /// The request is sent once. If it is safe to repeat, and a pooled connection turns out to be
    /// closed before a byte of the response arrived, it is sent once more on a new connection.
    ///
    /// # Errors
    /// [`CallError::NotSent`] and [`CallError::Unknown`] if there is no complete response,
    /// [`CallError::Answered`] if the response is not a success.
    pub fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        self.send_with_retry(operation, RetryPolicy::default().attempts(1))
    }

    /// Like [`send`](Self::send), with further attempts as `policy` allows where they are safe: see
    /// [`Retry`]. Sleeps between the attempts; each has a deadline of its own.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), from the last attempt.
    pub fn send_with_retry<O: Operation>(
        &self,
        operation: O,
        policy: RetryPolicy,
    ) -> Result<O::Output, CallError> {
        let replay = operation.replay();
        let mut retry = Retry::new(operation, policy, UnixTime::now());
        let mut entropy = Entropy::new();
        loop {
            let (request, started) = (retry.request(), Instant::now());
            let mut span = CallSpan::new(&retry, &request);
            let outcome = span.in_scope(|| self.exchange(&span, request, replay));
            span.response(|| started.elapsed(), &outcome);
            match retry.handle(UnixTime::now(), entropy.next_u64(), outcome) {
                ControlFlow::Break(result) => {
                    span.result(&result);
                    return result;
                }
                ControlFlow::Continue(wait) => {
                    drop(span);
                    thread::sleep(wait.delay());
                    retry = wait.resume();
                }
            }
        }
    }

    /// Opens a connection for the next code, which saves the time that opening it takes: call this
    /// when the user's authorization begins or the callback arrives. Does not block.
    ///
    /// If codes are less than ten seconds apart, connections are opened ahead without it. At most
    /// two to a server are open. Each is used for one code, within four seconds, or is closed. If
    /// the server has closed it by then, the code is sent on a new connection. A transport on the caller's
    /// agent opens none.
    pub fn connect_ahead(&self, app: &App) {
        if let Connections::Witnessed(_) = self.connections {
            self.spares.open(self, app.endpoints().token());
        }
    }

    /// Runs a request to `uri` until it has a connection.
    pub(crate) fn connect(&self, uri: &Uri) {
        let proxy = self.proxy(uri);
        if self.check_plain_http(uri, proxy.is_some()).is_err() {
            return;
        }
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        let head = request.into_parts().0;
        call::start(self.limits.connect_timeout, 0);
        let call = Call { head, body: &[], replay: Replay::Never, proxy, expires: None };
        // The connector takes the connection and fails.
        let _ = self.attempt(&call, (), false);
    }

    fn exchange(
        &self,
        span: &CallSpan,
        request: Request<Vec<u8>>,
        replay: Replay,
    ) -> Result<Response<ResponseBody>, CallError> {
        let proxy = self.proxy(request.uri());
        let is_allowed = self.check_plain_http(request.uri(), proxy.is_some());
        is_allowed.map_err(|error| CallError::NotSent(Failure::insecure(error)))?;
        let (head, body) = request.into_parts();
        let body = Zeroizing::new(body);
        let call = Call {
            head,
            body: &body,
            replay,
            proxy,
            expires: Instant::now().checked_add(self.limits.deadline),
        };
        let response = match self.connections {
            Connections::Witnessed(_) => self.run_witnessed(span, &call),
            Connections::Foreign { .. } => self.run_foreign(&call),
        };
        let (head, body) = response?.into_parts();
        if head.headers.len() > MAX_RESPONSE_HEADERS {
            let message = "the response has too many headers";
            let error = io::Error::new(io::ErrorKind::InvalidData, message);
            return Err(self.failure(error.into(), true, replay));
        }
        let chunk = self.chunk_size(head.headers.contains_key(TRANSFER_ENCODING));
        let mut collector = ResponseCollector::new(head, self.limits.body_limit);
        match self.collect(&mut collector, body, chunk, &call) {
            Ok(()) => Ok(collector.finish()),
            Err(error) => collector.interrupted(error),
        }
    }

    /// The proxy that a request to `uri` goes through.
    fn proxy(&self, uri: &Uri) -> Option<&Proxy> {
        match &self.connections {
            Connections::Witnessed(proxies) => proxies.select(uri),
            Connections::Foreign { proxy_from_env } => {
                let proxy = self.agent.config().proxy()?;
                let is_used = *proxy_from_env || !proxy.is_from_env();
                (is_used && !proxy.is_no_proxy(uri)).then_some(proxy)
            }
        }
    }

    fn check_plain_http(&self, uri: &Uri, is_proxied: bool) -> Result<(), InsecureUri> {
        self.limits.plain_http.check(uri)?;
        if is_proxied && uri.scheme() == Some(&Scheme::HTTP) {
            // The proxy's `localhost` is another host.
            let other_host = Uri::from_static("http://host.invalid");
            self.limits.plain_http.check(&other_host)?;
        }
        Ok(())
    }

    fn run_witnessed(&self, span: &CallSpan, call: &Call<'_>) -> Result<Response<Body>, CallError> {
        let readable = self.limits.body_limit.saturating_mul(READABLE_PER_BODY_BYTE);
        let readable = readable.saturating_add(READABLE_BESIDE_BODY);
        call::start(self.limits.connect_timeout, readable);
        let attempt = |reuse| {
            if call.has_body() {
                self.attempt(call, call.body, reuse)
            } else {
                self.attempt(call, (), reuse)
            }
        };
        let is_safe = call.replay == Replay::Safe;
        let (uri, limit) = (&call.head.uri, self.limits.connect_timeout);
        let limit = limit.min(call.left());
        let offer = if is_safe { None } else { self.spares.offer(self, uri, limit) };
        let mut response = attempt(is_safe);
        let is_ahead = offer.is_some();
        drop(offer);
        // After the deadline, the second attempt fails at once.
        if is_safe && response.is_err() && call::get().may_be_stale() {
            call::restart(self.limits.connect_timeout);
            response = attempt(false);
        }
        let state = call::get();
        let reused = state.was_sent().then_some("reused");
        span.connection(match state.connected {
            true if is_ahead => Some("ahead"),
            true => Some("new"),
            false => reused,
        });
        if !is_safe && response.is_ok() {
            self.spares.responded(uri);
        }
        response.map_err(|error| self.failure(error, call::get().was_sent(), call.replay))
    }

    fn run_foreign(&self, call: &Call<'_>) -> Result<Response<Body>, CallError> {
        let reuse = call.replay == Replay::Safe;
        let mut body = WitnessBody { bytes: call.body, was_read: false };
        let (response, may_be_sent) = if call.has_body() {
            let response = self.attempt(call, SendBody::from_reader(&mut body), reuse);
            (response, body.was_read)
        } else {
            // Without a body there is no witness: a middleware may have sent it.
            (self.attempt(call, (), reuse), true)
        };
        response.map_err(|error| {
            let sent = may_be_sent || !fails_before_sending(&error);
            self.failure(error, sent, call.replay)
        })
    }

    /// Runs one request under the rules of every call, whatever the agent's own settings are.
    fn attempt(
        &self,
        call: &Call<'_>,
        body: impl AsSendBody,
        reuse: bool,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = Request::from_parts(call.head.clone(), body);
        if call.has_body() {
            let length = HeaderValue::from(call.body.len());
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let connect_timeout = self.limits.connect_timeout.min(FOREVER);
        let mut config = self
            .agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .accept_encoding("")
            .max_response_header_size(MAX_RESPONSE_HEAD)
            .proxy(call.proxy.cloned())
            .timeout_global(Some(call.left()))
            .timeout_resolve(Some(connect_timeout))
            .timeout_connect(Some(connect_timeout));
        if !reuse {
            config = config.max_idle_age(Duration::ZERO);
        }
        self.agent.run(config.build())
    }

    /// How many bytes of a body are read at a time. ureq drops the data that it has decoded if a
    /// broken chunk follows in the same read.
    fn chunk_size(&self, is_chunked: bool) -> usize {
        match self.connections {
            Connections::Witnessed(_) => {
                call::update(|call| call.bytewise = is_chunked);
                CHUNK
            }
            Connections::Foreign { .. } if is_chunked => 1,
            Connections::Foreign { .. } => CHUNK,
        }
    }

    /// Reads a body to its end; what arrived before the deadline but is read after it is late.
    fn collect(
        &self,
        collector: &mut ResponseCollector,
        body: Body,
        chunk_size: usize,
        call: &Call<'_>,
    ) -> Result<(), CallError> {
        let failure = |error| self.failure(error, true, call.replay);
        collector.reserve()?;
        let mut body = body.into_reader();
        let mut chunk = Zeroizing::new([0; CHUNK]);
        let chunk = chunk.get_mut(..chunk_size).unwrap_or_default();
        loop {
            let read = match body.read(chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failure(error.into())),
            };
            collector.push(chunk.get(..read).unwrap_or_default())?;
            if call.expires.is_some_and(|expires| Instant::now() >= expires) {
                return Err(failure(ureq::Error::Timeout(Timeout::Global)));
            }
        }
        // ureq takes a connection that fails for the end of a body without a length.
        match (&self.connections, call::get().read_error) {
            (Connections::Witnessed(_), Some(kind)) => Err(failure(io::Error::from(kind).into())),
            _ => Ok(()),
        }
    }

    fn failure(&self, error: ureq::Error, sent: bool, replay: Replay) -> CallError {
        let failure = match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                Failure::connect_timeout(self.limits.connect_timeout)
            }
            ureq::Error::Timeout(_) => Failure::deadline(self.limits.deadline),
            ureq::Error::Io(error) if sent => Failure::exchange(error),
            ureq::Error::Io(error) => match error.downcast() {
                Ok(insecure) => Failure::insecure(insecure),
                Err(error) => Failure::connect(error),
            },
            error if sent => Failure::exchange(error),
            error => Failure::connect(error),
        };
        if sent { CallError::Unknown { failure, replay } } else { CallError::NotSent(failure) }
    }
}

/// A request body that records whether any of it was read, which a client or a middleware does
/// before it sends any of it.
struct WitnessBody<'a> {
    bytes: &'a [u8],
    was_read: bool,
}

impl Read for WitnessBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.was_read = true;
        self.bytes.read(buffer)
    }
}

/// Whether ureq raises an error only before it writes a request to a connection.
fn fails_before_sending(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::BadUri(_)
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::ConnectionFailed
        | ureq::Error::HostNotFound
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::RequireHttpsOnly(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
        | ureq::Error::Tls(_)
        | ureq::Error::TlsRequired => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("limits", &self.limits).finish_non_exhaustive()
    }
}
