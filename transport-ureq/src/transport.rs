//! Carries an operation to the service and its response back.

use std::{
    fmt,
    io::{self, Read as _},
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    CallError, Cause, CauseKind, Operation, PlainHttp, Replay, ResponseBody, ResponseCollector,
    Retry, RetryPolicy,
};
use http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body, Timeout};
use zeroize::Zeroizing;

use crate::{call, clock};

/// How much of a body is read at a time, in bytes: an honest token response in one piece.
const CHUNK: usize = 1024;

/// The longest time that ureq is given: it panics where a time is beyond what a clock can count.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The largest head of a response, in bytes; honest ones have less than one KiB.
pub(crate) const MAX_HEAD: usize = 16 * 1024;

/// How many bytes a call may read beside the body, and for each byte of its limit: a few interim
/// responses and trailers, and the framing of chunks, which is six bytes for one at the worst.
const READABLE_BESIDE_BODY: usize = 4 * MAX_HEAD;
const READABLE_PER_BODY_BYTE: usize = 6;

/// A blocking transport on ureq and rustls.
///
/// Make one and share it: clones share the connections. A call blocks its thread until the answer
/// or the deadline; [`send`](Self::send) sends its request at most once.
///
/// ```no_run
/// use dropbox_sign_oauth_ureq::{Transport, core::{App, State}};
///
/// fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
///     let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
///     let transport = Transport::new()?;
///
///     let code = app.callback(query, state)?;
///     let tokens = transport.send(app.generate(code))?;
///     let account = transport.send(app.account(&tokens.access_token))?;
///     println!("connected to {}", account.email_address);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Transport {
    pub(crate) agent: Agent,
    /// Whether the connections of `agent` are ours, and tell when something is written.
    pub(crate) witnessed: bool,
    pub(crate) limits: Limits,
}

/// What bounds each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) plain_http: PlainHttp,
}

impl Transport {
    /// Sends an operation's request, once, and reads its response.
    ///
    /// # Errors
    /// [`CallError::NotSent`] and [`CallError::Unknown`] if no answer came, [`CallError::Answered`] if the
    /// answer is not the result.
    pub fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        let response = self.exchange(operation.request(), operation.replay())?;
        Ok(operation.parse(response)?)
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
    ) -> Result<O::Output, CallError> {
        let replay = operation.replay();
        let mut retry = Retry::new(operation, policy, clock::now());
        loop {
            let outcome = self.exchange(retry.request(), replay);
            match retry.handle(clock::now(), clock::entropy(), outcome) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(wait) => {
                    thread::sleep(wait.delay());
                    retry = wait.resume();
                }
            }
        }
    }

    fn exchange(
        &self,
        request: Request<Vec<u8>>,
        replay: Replay,
    ) -> Result<Response<ResponseBody>, CallError> {
        let insecure = |error| CallError::NotSent(Cause::new(CauseKind::Insecure(error)));
        self.limits
            .plain_http
            .check(request.uri())
            .map_err(insecure)?;
        let expires = Instant::now().checked_add(self.limits.deadline);
        let readable = READABLE_BESIDE_BODY.saturating_add(
            self.limits
                .body_limit
                .saturating_mul(READABLE_PER_BODY_BYTE),
        );
        call::begin(self.limits.connect_timeout, readable);
        let (head, body) = request.into_parts();
        let body = Zeroizing::new(body);
        // ureq sends a GET with a body only if it is made to.
        let response = if body.is_empty() && head.method == Method::GET {
            self.run(Request::from_parts(head, ()), replay)
        } else {
            self.run(Request::from_parts(head, body.as_slice()), replay)
        };
        let (head, body) = response.map_err(|error| self.failure(error))?.into_parts();
        let mut collector = ResponseCollector::new(head, self.limits.body_limit);
        match self.collect(&mut collector, body, expires) {
            Ok(()) => Ok(collector.finish()),
            Err(error) => collector.interrupted(error),
        }
    }

    /// Runs one request under our rules, whatever the agent's own settings are.
    fn run(
        &self,
        request: Request<impl AsSendBody>,
        replay: Replay,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut config = self
            .agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .accept_encoding("")
            .timeout_global(Some(self.limits.deadline.min(FOREVER)))
            .timeout_resolve(Some(self.limits.connect_timeout.min(FOREVER)))
            .timeout_connect(Some(self.limits.connect_timeout.min(FOREVER)));
        if self
            .agent
            .config()
            .proxy()
            .is_some_and(ureq::Proxy::is_from_env)
        {
            config = config.proxy(None);
        }
        if replay == Replay::Never {
            // No kept connection: the server may just have closed it.
            config = config.max_idle_age(Duration::ZERO);
        }
        self.agent.run(config.build())
    }

    /// Reads a body to its end; what is read before the deadline but seen after it is late.
    fn collect(
        &self,
        collector: &mut ResponseCollector,
        body: Body,
        expires: Option<Instant>,
    ) -> Result<(), CallError> {
        collector.reserve()?;
        let mut body = body.into_reader();
        let mut chunk = Zeroizing::new([0; CHUNK]);
        loop {
            let read = match body.read(chunk.as_mut_slice()) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failure(error.into())),
            };
            collector.push(chunk.get(..read).unwrap_or_default())?;
            if expires.is_some_and(|expires| Instant::now() >= expires) {
                return Err(self.failure(ureq::Error::Timeout(Timeout::Global)));
            }
        }
    }

    fn failure(&self, error: ureq::Error) -> CallError {
        let sent = if self.witnessed {
            call::has_written()
        } else {
            !fails_before_writing(&error)
        };
        let kind = match &error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                CauseKind::ConnectTimeout(self.limits.connect_timeout)
            }
            ureq::Error::Timeout(_) => CauseKind::Deadline(self.limits.deadline),
            _ if sent => CauseKind::Exchange,
            _ => CauseKind::Connect,
        };
        let cause = match error {
            ureq::Error::Timeout(_) => Cause::new(kind),
            ureq::Error::Io(error) => Cause::with_source(kind, error),
            error => Cause::with_source(kind, error),
        };
        if sent {
            CallError::Unknown(cause)
        } else {
            CallError::NotSent(cause)
        }
    }
}

/// Whether ureq raises an error only before it writes: what can be known of connections that are
/// not ours.
fn fails_before_writing(error: &ureq::Error) -> bool {
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
        f.debug_struct("Transport")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
