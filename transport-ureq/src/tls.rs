//! TLS: which certificates are trusted, and the connector that speaks it.
//!
//! ureq's own rustls connector cannot take a whole [`ClientConfig`], and panics where no process
//! default names a cryptography provider.

use std::{
    fmt,
    io::{Read as _, Write as _},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
        TransportAdapter,
    },
};

use crate::{
    builder::{BuildError, Kind},
    call,
};

/// Which certificates are trusted.
#[derive(Default)]
pub(crate) struct Trust {
    /// A configuration of the caller's, which excludes the rest.
    pub(crate) config: Option<ClientConfig>,
    /// Roots beside the others.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Verify by the platform's verifier instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub(crate) platform_verifier: bool,
}

impl Trust {
    /// Whether anything differs from the default.
    pub(crate) fn is_set(&self) -> bool {
        self.config.is_some() || self.has_roots()
    }

    fn has_roots(&self) -> bool {
        #[cfg(feature = "platform-verifier")]
        if self.platform_verifier {
            return true;
        }
        !self.extra_roots.is_empty()
    }

    pub(crate) fn client_config(mut self) -> Result<ClientConfig, BuildError> {
        match self.config.take() {
            Some(_) if self.has_roots() => Err(Kind::Trust.into()),
            Some(mut config) => {
                config.alpn_protocols.clear();
                Ok(config)
            }
            None => Ok(self.verify_by_roots().map_err(Kind::Tls)?),
        }
    }

    fn verify_by_roots(self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        #[cfg(feature = "platform-verifier")]
        if self.platform_verifier {
            let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(
                self.extra_roots,
                provider,
            )?;
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth());
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in self.extra_roots {
            roots.add(root)?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Wraps a connection to an `https` URI in TLS and completes the handshake.
#[derive(Clone)]
pub(crate) struct TlsConnector(pub(crate) Arc<ClientConfig>);

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::Tls("the host is not a name that a certificate can have"))?;
        let conn = ClientConnection::new(Arc::clone(&self.0), name)
            .map_err(|error| Error::Other(error.into()))?;
        let transport: Box<dyn Transport> = Box::new(transport);
        let mut stream = StreamOwned::new(
            conn,
            TransportAdapter::new(transport, Arc::clone(&details.current_time)),
        );
        stream.sock.set_timeout(call::connect_budget(details.timeout));
        stream.conn.complete_io(&mut stream.sock)?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsTransport { buffers, stream })))
    }
}

pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

/// The buffers hold plain text, so they are not shown.
impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let buffer = self.buffers.input_append_buf();
        let amount = match self.stream.read(buffer) {
            Ok(amount) => amount,
            // What was decrypted before a broken record or an alert is still there.
            Err(error) => match self.stream.conn.reader().read(buffer) {
                Ok(amount) if amount > 0 => amount,
                _ => return Err(error.into()),
            },
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// A connection with unread data is not reused: the data would be taken for the next response.
    fn is_open(&mut self) -> bool {
        let pending = self.stream.conn.process_new_packets();
        let quiet = pending
            .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed());
        let transport = self.stream.sock.get_mut();
        quiet && transport.buffers().input().is_empty() && transport.is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
