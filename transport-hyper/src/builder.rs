//! The settings of a transport.

use std::{error::Error, fmt, future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, PlainHttp,
};
use http::Request;
use rustls::{ClientConfig, pki_types::CertificateDer};
use tower_service::Service;

use crate::{
    body::RequestBody,
    client::{Client, ProxySetting, Settings, system_lookup},
    transport::{Limits, Transport},
};

impl Transport {
    /// Returns a transport with default settings: HTTP/1.1, rustls with ring and `webpki-roots`, no
    /// proxy.
    ///
    /// # Errors
    /// As [`TransportBuilder::build`].
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Returns a builder with default settings.
    pub fn builder() -> TransportBuilder {
        TransportBuilder {
            deadline: DEFAULT_DEADLINE,
            body_limit: DEFAULT_BODY_LIMIT,
            client: Settings {
                connect_timeout: DEFAULT_CONNECT_TIMEOUT,
                plain_http: PlainHttp::default(),
                extra_roots: Vec::new(),
                #[cfg(feature = "platform-verifier")]
                platform_verifier: false,
                tls_config: None,
                #[cfg(feature = "http2")]
                http2: false,
                proxy: ProxySetting::default(),
                lookup: Arc::new(system_lookup),
            },
        }
    }
}

impl<S: Service<Request<RequestBody>>> Transport<S> {
    /// Returns a transport on `service`, with default limits: see
    /// [`TransportBuilder::build_with_service`].
    pub fn with_service(service: S) -> Self {
        Transport::builder().build_with_service(service)
    }
}

/// Builds a [`Transport`]: see [`Transport::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct TransportBuilder {
    deadline: Duration,
    body_limit: usize,
    client: Settings,
}

impl TransportBuilder {
    /// Sets the time limit of a call, from its start to the last byte of the body. Defaults to
    /// [`DEFAULT_DEADLINE`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the time limit of proxy, name resolution, TCP and TLS together. Defaults to
    /// [`DEFAULT_CONNECT_TIMEOUT`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.client.connect_timeout = timeout;
        self
    }

    /// Sets the largest size of a response body in bytes. Defaults to [`DEFAULT_BODY_LIMIT`].
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets where plain `http` is allowed. Defaults to [`PlainHttp::LoopbackOnly`].
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.client.plain_http = plain_http;
        self
    }

    /// Trusts another root certificate, in addition to those of `webpki-roots` or the platform: the
    /// root of a test server, or of a proxy that inspects TLS.
    pub fn extra_root(mut self, root: CertificateDer<'static>) -> Self {
        self.client.extra_roots.push(root);
        self
    }

    /// Verifies certificates with the platform's verifier and roots instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub fn platform_verifier(mut self) -> Self {
        self.client.platform_verifier = true;
        self
    }

    /// Uses this TLS configuration: client certificates, another provider, other versions.
    ///
    /// It replaces the default roots and verifier, so it excludes [`extra_root`](Self::extra_root)
    /// and `platform_verifier`. Its ALPN protocols are ignored.
    pub fn tls_config(mut self, config: ClientConfig) -> Self {
        self.client.tls_config = Some(config);
        self
    }

    /// Offers HTTP/2 in addition to HTTP/1.1; the server chooses.
    #[cfg(feature = "http2")]
    pub fn http2(mut self) -> Self {
        self.client.http2 = true;
        self
    }

    /// Sends every request through the proxy at `uri`: `http://` and `https://` with the `CONNECT`
    /// method, `socks5://` and `socks5h://`, where the proxy resolves the names. Defaults to none.
    ///
    /// The URI may have credentials: `http://user:password@proxy:3128`. They are not shown in
    /// errors or `Debug`. A call fails as *not sent* if the proxy does not open a tunnel; it never
    /// bypasses the proxy. Plain `http` goes through a proxy only with [`PlainHttp::Anywhere`],
    /// because the proxy's loopback hosts are not those of this machine.
    pub fn proxy(mut self, uri: &str) -> Self {
        self.client.proxy = ProxySetting::Uri(uri.to_owned());
        self
    }

    /// Uses the proxies that the environment names, as [`proxy`](Self::proxy) does. They are read
    /// once, by [`build`](Self::build); without this call they are ignored.
    ///
    /// - `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, for `https`; the first that is set.
    /// - `http_proxy`, `all_proxy`, `ALL_PROXY` for `http`. `HTTP_PROXY` is ignored, since a CGI
    ///   request can set it.
    /// - `no_proxy`, `NO_PROXY`: hosts that are connected to directly, separated by commas.
    ///   `example.com` and `.example.com` also match subdomains; addresses, networks (`10.0.0.0/8`)
    ///   and `*` are allowed.
    pub fn proxy_from_env(mut self) -> Self {
        self.client.proxy = ProxySetting::Environment;
        self
    }

    /// Resolves host names with `lookup` instead of the system's resolver. The future is dropped
    /// when its call ends.
    pub fn resolver<F, R>(mut self, lookup: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        self.client.lookup = Arc::new(move |host| Box::pin(lookup(host)));
        self
    }

    /// Returns the transport.
    ///
    /// # Errors
    /// [`BuildError`] if a certificate, a proxy or their combination is invalid.
    pub fn build(self) -> Result<Transport, BuildError> {
        let client = self.build_client()?;
        Ok(self.build_with_service(client))
    }

    /// Returns the default client alone, to put middleware on it.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_client(&self) -> Result<Client, BuildError> {
        Client::new(&self.client)
    }

    /// Returns a transport on a service of the caller: middleware on [`Client`], or another client.
    ///
    /// The deadline, the limit of the body, the number of headers and the rule for plain http are
    /// enforced as set here. Connecting is up to the service. It must not follow redirects.
    ///
    /// A client with another type of body needs a conversion, `request.map(BoxBody::new)` for
    /// instance, which keeps the proof that [`RequestBody`] gives. Such a client should open a new
    /// connection for a request that must not be sent twice: see [`RequestBody::replay`], which the
    /// request also has as an extension if it is [`Never`](dropbox_sign_oauth::Replay::Never).
    ///
    /// ```
    /// use dropbox_sign_oauth_hyper::{RequestBody, Transport};
    /// use http::Request;
    /// use http_body_util::Full;
    /// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    /// use tower::ServiceBuilder;
    ///
    /// let client = Client::builder(TokioExecutor::new())
    ///     .retry_canceled_requests(false)
    ///     .build_http::<Full<bytes::Bytes>>();
    /// let service = ServiceBuilder::new()
    ///     .map_request(|request: Request<RequestBody>| request.map(Full::from))
    ///     .service(client);
    /// let transport = Transport::with_service(service);
    /// ```
    pub fn build_with_service<S: Service<Request<RequestBody>>>(self, service: S) -> Transport<S> {
        let limits = Limits {
            deadline: self.deadline,
            connect_timeout: self.client.connect_timeout,
            body_limit: self.body_limit,
            plain_http: self.client.plain_http,
        };
        Transport::with_limits(service, limits)
    }
}

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder")
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.client.connect_timeout)
            .field("body_limit", &self.body_limit)
            .field("plain_http", &self.client.plain_http)
            .finish_non_exhaustive()
    }
}

/// Settings that no transport can be built from.
#[derive(Debug)]
pub struct BuildError(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Tls(rustls::Error),
    Proxy,
    Conflict,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Tls(_) => "an extra root is invalid, or the platform has no roots",
            Kind::Proxy => "the proxy is not a valid http, https, socks5 or socks5h URI",
            Kind::Conflict => "the TLS configuration excludes extra roots and platform verifier",
        })
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Tls(error) => Some(error),
            Kind::Proxy | Kind::Conflict => None,
        }
    }
}
