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
