//! Carries an operation to the service and its response back.

use std::{
    fmt, io,
    io::Read as _,
    net::IpAddr,
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    CallError, Cause, CauseKind, DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE,
    Operation, PlainHttp, Replay, ResponseBody, ResponseCollector, Retry, RetryPolicy,
};
use http::{Method, Request, Response};
use rustls::pki_types::CertificateDer;
use ureq::{Agent, AsSendBody, Body, Timeout, config::Config, unversioned::transport::Connector};
use zeroize::Zeroizing;

use crate::{
    call::{self, BudgetedTcp, Witness},
    clock,
    resolve::{self, Lookup, TimedResolver},
    tls::{TlsConnector, Trust},
};

/// How much of a body is read at a time, in bytes: an honest token response in one piece.
const CHUNK: usize = 4 * 1024;

/// The largest head of a response, in bytes; honest ones have less than one KiB.
const MAX_HEAD: usize = 16 * 1024;

/// The buffers of a connection, in bytes. The input holds more than [`MAX_HEAD`], so that a head
/// that is too large is seen as such; the output holds a whole request.
const INPUT_BUFFER: usize = 2 * MAX_HEAD;
const OUTPUT_BUFFER: usize = 16 * 1024;

/// How many bytes a call may read beside the body, and for each byte of its limit: a few interim
/// responses and trailers, and the framing of chunks, which is six bytes for one at the worst.
const READABLE_BESIDE_BODY: usize = 4 * MAX_HEAD;
const READABLE_PER_BODY_BYTE: usize = 6;

/// A blocking transport on ureq and rustls.
///
/// Make one and share it: clones share the connections. A call blocks its thread until the answer
/// or the deadline, and sends its request at most once.
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
    agent: Agent,
    /// Whether the connections of `agent` are ours, and tell when something is written.
    witnessed: bool,
    limits: Limits,
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
    /// A transport with the defaults: rustls with ring and `webpki-roots`, no proxy, and the
    /// limits [`DEFAULT_DEADLINE`], [`DEFAULT_CONNECT_TIMEOUT`] and [`DEFAULT_BODY_LIMIT`].
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Self, InvalidTls> {
        Self::builder().build()
    }

    /// Begins a transport whose settings differ from the defaults.
    pub fn builder() -> Builder {
        Builder {
            limits: Limits {
                deadline: DEFAULT_DEADLINE,
                connect_timeout: DEFAULT_CONNECT_TIMEOUT,
                body_limit: DEFAULT_BODY_LIMIT,
                plain_http: PlainHttp::default(),
            },
            trust: Trust::default(),
            lookup: Arc::new(resolve::system),
        }
    }

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
            .timeout_global(Some(self.limits.deadline))
            .timeout_resolve(Some(self.limits.connect_timeout))
            .timeout_connect(Some(self.limits.connect_timeout));
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

/// The settings of a [`Transport`] that is being made: begun by [`Transport::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    limits: Limits,
    trust: Trust,
    lookup: Arc<Lookup>,
}

impl Builder {
    /// The time for a whole call, from its start until the last byte of the body.
    /// [`DEFAULT_DEADLINE`] if not set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// The time for name resolution, TCP and TLS together. [`DEFAULT_CONNECT_TIMEOUT`] if not set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// The most bytes of a response body that are read. [`DEFAULT_BODY_LIMIT`] if not set.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body_limit = bytes;
        self
    }

    /// Whether plain `http` may leave this machine. Not, if not set.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.limits.plain_http = plain_http;
        self
    }

    /// Trusts one more root certificate, beside those of `webpki-roots` or the platform: a
    /// sandbox's, or an inspecting proxy's.
    pub fn extra_root(mut self, root: CertificateDer<'static>) -> Self {
        self.trust.extra_roots.push(root);
        self
    }

    /// Judges certificates by the platform's verifier and roots instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub fn platform_verifier(mut self) -> Self {
        self.trust.platform_verifier = true;
        self
    }

    /// Resolves host names by `lookup` instead of the system's resolver. It runs on a thread of
    /// its own, and a call stops waiting for it when its time is up.
    pub fn resolver<F>(mut self, lookup: F) -> Self
    where
        F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    {
        self.lookup = Arc::new(lookup);
        self
    }

    /// Makes the transport.
    ///
    /// # Errors
    /// [`InvalidTls`] if an extra root is no certificate, or the platform has no roots.
    pub fn build(self) -> Result<Transport, InvalidTls> {
        self.build_on(BudgetedTcp)
    }

    /// Makes the transport on connections that `tcp` makes.
    fn build_on<C: Connector>(self, tcp: C) -> Result<Transport, InvalidTls> {
        let tls = self.trust.client_config().map_err(InvalidTls)?;
        let config = Config::builder()
            .proxy(None)
            .max_response_header_size(MAX_HEAD)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .build();
        let connector = tcp.chain(TlsConnector(Arc::new(tls))).chain(Witness);
        let resolver = TimedResolver {
            lookup: self.lookup,
            plain_http: self.limits.plain_http,
        };
        Ok(Transport {
            agent: Agent::with_parts(config, connector, resolver),
            witnessed: true,
            limits: self.limits,
        })
    }

    /// Makes the transport on an agent of the caller's, for its proxy, its TLS or its middleware.
    ///
    /// Every call sets what the contract asks for: no redirects, statuses as answers, the deadline
    /// and the limit, no proxy from the environment. The agent's own connections, trust and
    /// resolver are used, and those set here are not. What its errors do not prove to be *not
    /// sent* is [`CallError::Unknown`].
    #[must_use]
    pub fn build_with_agent(self, agent: Agent) -> Transport {
        Transport {
            agent,
            witnessed: false,
            limits: self.limits,
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("trust", &self.trust)
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

impl std::error::Error for InvalidTls {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    //! Every read and every write of a call fails once.

    use std::sync::atomic::{AtomicUsize, Ordering};

    use dropbox_sign_oauth::{Delivery, State};
    use dropbox_sign_oauth_testkit::sandbox::Sandbox;
    use ureq::unversioned::transport::{Buffers, ConnectionDetails, NextTimeout, Transport as Io};

    use super::*;

    /// How many more reads and writes succeed before one fails; shared by all connections.
    type Fuse = Arc<AtomicUsize>;

    #[derive(Debug)]
    struct FaultyTcp(Fuse);

    #[derive(Debug)]
    struct Faulty<T>(T, Fuse);

    impl Connector for FaultyTcp {
        type Out = Faulty<<BudgetedTcp as Connector>::Out>;

        fn connect(
            &self,
            details: &ConnectionDetails<'_>,
            chained: Option<()>,
        ) -> Result<Option<Self::Out>, ureq::Error> {
            let inner = BudgetedTcp.connect(details, chained)?;
            Ok(inner.map(|inner| Faulty(inner, Arc::clone(&self.0))))
        }
    }

    impl<T> Faulty<T> {
        fn burn(&self) -> Result<(), ureq::Error> {
            // A connection that has failed stays dead.
            match self.1.load(Ordering::SeqCst) {
                0 => Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
                left => {
                    self.1.store(left - 1, Ordering::SeqCst);
                    Ok(())
                }
            }
        }
    }

    impl<T: Io> Io for Faulty<T> {
        fn buffers(&mut self) -> &mut dyn Buffers {
            self.0.buffers()
        }

        fn transmit_output(&mut self, n: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
            self.burn()?;
            self.0.transmit_output(n, timeout)
        }

        fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
            self.burn()?;
            self.0.await_input(timeout)
        }

        fn is_open(&mut self) -> bool {
            self.0.is_open()
        }
    }

    #[test]
    fn each_failure_of_io_is_known_for_what_it_is() {
        for sandbox in [
            Sandbox::start().unwrap(),
            Sandbox::builder().tls().start().unwrap(),
        ] {
            let fuse = Fuse::default();
            let mut builder = Transport::builder().deadline(Duration::from_secs(60));
            if let Some(root) = sandbox.root_certificate() {
                builder = builder.extra_root(root);
            }
            let transport = builder.build_on(FaultyTcp(Arc::clone(&fuse))).unwrap();
            let mut deliveries = Vec::new();
            for k in 0.. {
                fuse.store(k, Ordering::SeqCst);
                let state = State::from_stored("900e06e2").unwrap();
                let query = format!("code={}&state=900e06e2", sandbox.issue_code(&state));
                let app = sandbox.app();
                let before = sandbox.requests().len();
                let code = app.callback(&query, &state).unwrap();
                match transport.send(app.generate(code)) {
                    Ok(_) => break,
                    Err(error) => deliveries.push(error.delivery()),
                }
                let seen = sandbox.requests().len() - before;
                assert!(seen <= 1);
                if deliveries.last() == Some(&Delivery::NotSent) {
                    assert_eq!(seen, 0);
                }
            }
            // First nothing was sent, and once something was, it is never called unsent again.
            assert!(deliveries.len() >= 3, "{deliveries:?}");
            assert!(deliveries.is_sorted_by_key(|delivery| *delivery == Delivery::Unknown));
            assert_eq!(deliveries.last(), Some(&Delivery::Unknown));
            let tls = sandbox.root_certificate().is_some();
            assert_eq!(
                deliveries.contains(&Delivery::NotSent),
                tls,
                "{deliveries:?}"
            );
        }
    }
}
