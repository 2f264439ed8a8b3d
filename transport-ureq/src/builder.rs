//! Makes a transport: its limits, its trust and its connections.

use std::{fmt, io, net::IpAddr, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_DEADLINE, PlainHttp,
};
use rustls::pki_types::CertificateDer;
use ureq::{Agent, config::Config, unversioned::transport::Connector};

use crate::{
    call::{BudgetedTcp, Witness},
    resolve::{self, Lookup, TimedResolver},
    tls::{TlsConnector, Trust},
    transport::{Limits, MAX_HEAD, Transport},
};

/// The buffers of a connection, in bytes. The input holds more than [`MAX_HEAD`], so that a head
/// that is too large is seen as such; the output holds a whole request.
const INPUT_BUFFER: usize = 2 * MAX_HEAD;
const OUTPUT_BUFFER: usize = 16 * 1024;

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
        self.build_with_connector(BudgetedTcp)
    }

    /// Makes the transport on connections that `connector` makes, in the place of TCP to the address
    /// of the URI: through a proxy, say. TLS comes on top, where the URI is `https`.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with_connector<C: Connector>(self, connector: C) -> Result<Transport, InvalidTls> {
        let tls = self.trust.client_config().map_err(InvalidTls)?;
        let config = Config::builder()
            .proxy(None)
            .max_response_header_size(MAX_HEAD)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .build();
        let connector = connector.chain(TlsConnector(Arc::new(tls))).chain(Witness);
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
    /// sent* is [`CallError::Unknown`](dropbox_sign_oauth::CallError::Unknown).
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
