//! Builds a transport: its limits, its trust and its connections.

use std::{error::Error, fmt, io, net::IpAddr, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, MAX_RESPONSE_HEAD, PlainHttp,
};
use rustls::{ClientConfig, pki_types::CertificateDer};
use ureq::{
    Agent,
    config::Config,
    unversioned::transport::{Connector, TcpConnector},
};

use crate::{
    connect::Dialer,
    proxy::Proxies,
    resolve::{self, Lookup, TimedResolver},
    spare::Ahead,
    tls::{TlsConnector, Trust},
    transport::{Connections, Limits, Transport},
    witness::Witness,
};

/// The buffers of a connection, in bytes. The input holds more than [`MAX_RESPONSE_HEAD`], so that
/// a larger head is recognized; the output holds a whole request.
const INPUT_BUFFER: usize = 2 * MAX_RESPONSE_HEAD;
const OUTPUT_BUFFER: usize = 16 * 1024;

impl Transport {
    /// Creates a transport with default settings: rustls with ring and `webpki-roots`, no proxy,
    /// [`DEFAULT_DEADLINE`], [`DEFAULT_CONNECT_TIMEOUT`] and [`DEFAULT_BODY_LIMIT`].
    ///
    /// # Errors
    /// Those of [`TransportBuilder::build`].
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Returns a builder with default settings.
    pub fn builder() -> TransportBuilder {
        TransportBuilder {
            limits: Limits {
                deadline: DEFAULT_DEADLINE,
                connect_timeout: DEFAULT_CONNECT_TIMEOUT,
                body_limit: DEFAULT_BODY_LIMIT,
                plain_http: PlainHttp::default(),
            },
            trust: Trust::default(),
            lookup: None,
            proxy: ProxySetting::None,
        }
    }
}

/// Builds a [`Transport`]. Created by [`Transport::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct TransportBuilder {
    limits: Limits,
    trust: Trust,
    lookup: Option<Arc<Lookup>>,
    proxy: ProxySetting,
}

enum ProxySetting {
    None,
    /// `None` if the URI is invalid.
    Uri(Option<Proxies>),
    Env,
}

impl TransportBuilder {
    /// Sets the time for a whole call, from its start until the last byte of the body. Defaults to
    /// [`DEFAULT_DEADLINE`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// Sets the time for name resolution, TCP, a proxy's tunnel and TLS together. Defaults to
    /// [`DEFAULT_CONNECT_TIMEOUT`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// Sets the most bytes of a response body that are read. Defaults to [`DEFAULT_BODY_LIMIT`].
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.limits.body_limit = bytes;
        self
    }

    /// Sets where plain `http` may go. Defaults to [`PlainHttp::LoopbackOnly`].
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.limits.plain_http = plain_http;
        self
    }

    /// Trusts one more root certificate beside those of `webpki-roots` or the platform, such as
    /// that of a sandbox or of an inspecting proxy.
    pub fn extra_root(mut self, root: CertificateDer<'static>) -> Self {
        self.trust.extra_roots.push(root);
        self
    }

    /// Verifies certificates by the platform's verifier and roots instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub fn platform_verifier(mut self) -> Self {
        self.trust.platform_verifier = true;
        self
    }

    /// Uses this TLS configuration, such as one with a client certificate.
    ///
    /// It replaces the default roots and verifier, so it excludes [`extra_root`](Self::extra_root)
    /// and `platform_verifier`. Its ALPN protocols are ignored: ureq speaks HTTP/1.1 only.
    pub fn tls_config(mut self, config: ClientConfig) -> Self {
        self.trust.config = Some(config);
        self
    }

    /// Connects through a proxy: `http://` or `https://` for an HTTP proxy (CONNECT), `socks5://`
    /// or `socks5h://` for a SOCKS5 proxy. The proxy resolves the server's host name. The URI may
    /// have credentials, percent-encoded: `http://user:password@proxy.example.com:3128`.
    ///
    /// Every request goes through the proxy or fails. A plain `http` request fails unless
    /// [`PlainHttp::Anywhere`] is set: the proxy's `localhost` is another host.
    pub fn proxy(mut self, uri: &str) -> Self {
        self.proxy = ProxySetting::Uri(Proxies::all(uri));
        self
    }

    /// Connects through the proxies that the environment names when [`build`](Self::build) is
    /// called. Without this setting they are ignored.
    ///
    /// - For `https`, the first that is set of `https_proxy`, `HTTPS_PROXY`, `all_proxy` and
    ///   `ALL_PROXY`.
    /// - For `http`, the first of `http_proxy`, `all_proxy` and `ALL_PROXY`. `HTTP_PROXY` is
    ///   ignored, since a request can set it in a CGI program.
    /// - `no_proxy` or `NO_PROXY` lists the hosts that are connected to directly, separated by
    ///   commas: domains with their subdomains, addresses, networks (`10.0.0.0/8`), or `*`.
    pub fn proxy_from_env(mut self) -> Self {
        self.proxy = ProxySetting::Env;
        self
    }

    /// Resolves host names by `lookup` instead of the system's resolver. It runs on a thread of its
    /// own: a call stops waiting for it at its timeout. At most 16 lookups run at a time, and other
    /// calls wait for them. With an HTTP or SOCKS proxy, it resolves the proxy's name.
    pub fn resolver<F>(mut self, lookup: F) -> Self
    where
        F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    {
        self.lookup = Some(Arc::new(lookup));
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    /// [`BuildError`] if a root certificate or the proxy is invalid, if the platform has no roots,
    /// or if [`tls_config`](Self::tls_config) is set together with other trust.
    pub fn build(self) -> Result<Transport, BuildError> {
        self.build_with_connector(TcpConnector::default())
    }

    /// Builds the transport on the TCP connections of `tcp`.
    pub(crate) fn build_with_connector<C: Connector>(
        self,
        tcp: C,
    ) -> Result<Transport, BuildError> {
        let proxies = match self.proxy {
            ProxySetting::None => Some(Proxies::default()),
            ProxySetting::Uri(proxies) => proxies,
            ProxySetting::Env => Proxies::from_env(),
        };
        let proxies = proxies.ok_or(Kind::Proxy)?;
        let tls = TlsConnector(Arc::new(self.trust.client_config()?));
        let config = Config::builder()
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .build();
        let dialer = Dialer { tcp, tls: tls.clone(), plain_http: self.limits.plain_http };
        let connector = Ahead(dialer.chain(tls)).chain(Witness);
        let resolver = TimedResolver::new(self.lookup.unwrap_or_else(|| Arc::new(resolve::system)));
        Ok(Transport {
            agent: Agent::with_parts(config, connector, resolver),
            connections: Connections::Witnessed(proxies),
            limits: self.limits,
            spares: Arc::default(),
        })
    }

    /// Builds the transport on the caller's agent, with its proxy, its TLS and its middleware.
    ///
    /// The rules of [`Transport`] still hold: no redirects, no status as an error, the deadline and
    /// the limits. There are four differences:
    /// - A failure is [`CallError::NotSent`](crate::CallError::NotSent) only if none of the request's
    ///   body was read and the error is one that ureq raises before it sends. For a request without
    ///   a body it is always [`CallError::Unknown`](crate::CallError::Unknown).
    /// - A stale pooled connection is not replaced.
    /// - A proxy that the agent has from the environment is used only with
    ///   [`proxy_from_env`](Self::proxy_from_env).
    /// - Connecting is up to the agent: the number of its lookups and the addresses that `localhost`
    ///   resolves to are not checked.
    ///
    /// # Errors
    /// [`BuildError`] if a proxy, a resolver or TLS is set on this builder: those are settings of
    /// the agent.
    pub fn build_with_agent(self, agent: Agent) -> Result<Transport, BuildError> {
        let proxy_from_env = match self.proxy {
            ProxySetting::Uri(_) => return Err(Kind::Agent.into()),
            ProxySetting::None => false,
            ProxySetting::Env => true,
        };
        if self.trust.is_set() || self.lookup.is_some() {
            return Err(Kind::Agent.into());
        }
        Ok(Transport {
            agent,
            connections: Connections::Foreign { proxy_from_env },
            limits: self.limits,
            spares: Arc::default(),
        })
    }
}

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Settings that no transport can be built from.
#[derive(Debug)]
pub struct BuildError(Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Tls(rustls::Error),
    Proxy,
    Trust,
    Agent,
}

impl From<Kind> for BuildError {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Tls(_) => "an extra root is invalid, or the platform has no roots",
            Kind::Proxy => "the proxy is not a valid http, https, socks5 or socks5h URI",
            Kind::Trust => "the TLS configuration excludes extra roots and platform verifier",
            Kind::Agent => "the agent excludes a proxy, a resolver and TLS settings",
        })
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Tls(error) => Some(error),
            Kind::Proxy | Kind::Trust | Kind::Agent => None,
        }
    }
}
