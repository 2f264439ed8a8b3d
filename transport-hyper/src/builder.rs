//! Makes a transport: its limits, and the service under it.

use std::{error::Error, fmt, future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, PlainHttp,
};
use http::Request;
use rustls::pki_types::CertificateDer;
use tower_service::Service;

use crate::{
    body::RequestBody,
    client::{Client, Settings, system_lookup},
    transport::{Limits, Transport},
};

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
    ///
    /// HTTP/2 may send the head of a request before its body is asked for, so that *not sent* then
    /// means that nothing of the body was: no code and no refresh token, but perhaps the head.
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
    /// A client with bodies of another type is reached by mapping them
    /// (`.map_request(|request: Request<RequestBody>| request.map(BoxBody::new))`), which keeps what
    /// [`RequestBody`] proves; one with `Full<Bytes>` is taken as it is, and proves nothing.
    ///
    /// A request that must not be sent again should get a connection of its own:
    /// [`RequestBody::replay`] tells, and an extension [`Replay::Never`](dropbox_sign_oauth::Replay)
    /// of the request, which is there for clients with other bodies.
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
        let limits = Limits {
            deadline: self.deadline,
            connect_timeout: self.client.connect_timeout,
            body_limit: self.body_limit,
            plain_http: self.client.plain_http,
        };
        Transport::over(service, limits)
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

impl Error for InvalidTls {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
