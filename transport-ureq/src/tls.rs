//! TLS: which certificates are trusted, and a link of ureq's connector chain that speaks it.
//!
//! ureq's own rustls connector cannot take a whole [`ClientConfig`], and panics where no process
//! default provides the cryptography; this one is given both.

use std::{fmt, io::Read as _, io::Write as _, sync::Arc};

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

use crate::call;

/// Whose certificates are trusted.
#[derive(Clone, Default, Debug)]
pub(crate) struct Trust {
    /// Roots beside the others.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Judge by the platform's verifier instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub(crate) platform_verifier: bool,
}

impl Trust {
    pub(crate) fn client_config(self) -> Result<ClientConfig, rustls::Error> {
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
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for root in self.extra_roots {
            roots.add(root)?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Wraps a connection to an `https` address in TLS, and completes the handshake before it counts
/// as made.
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
            .map_err(|_| Error::Tls("the host is no name that a certificate can have"))?;
        let conn = ClientConnection::new(Arc::clone(&self.0), name)
            .map_err(|error| Error::Other(error.into()))?;
        let transport: Box<dyn Transport> = Box::new(transport);
        let mut stream = StreamOwned::new(
            conn,
            TransportAdapter::new(transport, Arc::clone(&details.current_time)),
        );
        stream.sock.set_timeout(call::connect_budget(details));
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
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// A connection on which something already waits to be read is not one for the next request:
    /// it would be taken for its response.
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
