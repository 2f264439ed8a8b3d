//! Certificates for servers on this machine: an authority of its own for every test run, which
//! nobody else trusts.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

/// A certificate authority, made fresh: its key never leaves the process.
///
/// Clients trust it by its [`root`](Self::root). A second authority is an unknown issuer to them.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Which certificate a server shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaf {
    /// Valid for `localhost`, `127.0.0.1` and `::1`.
    Valid,
    /// For the same names, but expired since 2001.
    Expired,
    /// Valid, but for `other.example` alone.
    OtherHost,
}

impl Leaf {
    fn names(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Valid | Self::Expired => &["localhost", "127.0.0.1", "::1"],
            Self::OtherHost => &["other.example"],
        };
        names.iter().copied().map(String::from).collect()
    }

    fn last_year(self) -> i32 {
        match self {
            Self::Valid | Self::OtherHost => LAST_YEAR,
            Self::Expired => FIRST_YEAR,
        }
    }
}

/// Fixed years rather than some around today: what is tested then does not hang on the clock.
const FIRST_YEAR: i32 = 2000;
const LAST_YEAR: i32 = 2099;

impl Authority {
    /// Makes an authority with a new key.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn new() -> Self {
        let key = key();
        let mut params = params(Vec::new(), LAST_YEAR);
        // A name of its own: an authority of the same name would be known to clients by its name,
        // and only its signatures be wrong.
        let id = BASE64_URL_SAFE_NO_PAD.encode(params.key_identifier(&key));
        let name = format!("dropbox-sign-oauth test authority {id}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key);
        Self(issuer.expect("a self-signed certificate of constant contents"))
    }

    /// The root certificate, for a client's trust store.
    #[must_use]
    pub fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// The root certificate as a PEM file has it.
    #[must_use]
    pub fn root_pem(&self) -> String {
        self.0.pem()
    }

    /// The TLS side of a server that shows a certificate of this authority, without ALPN.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn server_config(&self, leaf: Leaf) -> Arc<ServerConfig> {
        let mut params = params(leaf.names(), leaf.last_year());
        let name = "dropbox-sign-oauth test server";
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = key();
        let certificate = params
            .signed_by(&key, &self.0)
            .expect("a certificate of constant contents");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring serves the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key.into())
            .expect("the key is the certificate's");
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// The TLS side of a client that trusts these roots and no other, without ALPN.
///
/// # Panics
/// If one of them is no certificate.
#[must_use]
pub fn client_config(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).expect("a root certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring serves the default versions")
        .with_root_certificates(store)
        .with_no_client_auth()
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key from the operating system's random bytes")
}

fn params(names: Vec<String>, last_year: i32) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("the names are ASCII");
    // Without rcgen's default name.
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date_time_ymd(FIRST_YEAR, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    params
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::{
        ClientConnection, ServerConnection,
        pki_types::{ServerName, UnixTime},
        time_provider::TimeProvider,
    };

    use super::*;

    /// 2026-01-01.
    #[derive(Debug)]
    struct Then;

    impl TimeProvider for Then {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(
                1_767_225_600,
            )))
        }
    }

    /// What a client that trusts `trusted` makes of the certificate.
    fn handshake(
        trusted: &Authority,
        server: Arc<ServerConfig>,
        name: &'static str,
    ) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.root()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(Then))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut sent = Vec::new();
            client.write_tls(&mut sent).unwrap();
            server.read_tls(&mut sent.as_slice()).unwrap();
            server.process_new_packets().map_err(|e| e.to_string())?;
            let mut sent = Vec::new();
            server.write_tls(&mut sent).unwrap();
            client.read_tls(&mut sent.as_slice()).unwrap();
            client.process_new_packets().map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    #[test]
    fn a_client_accepts_the_valid_one_alone() {
        let authority = Authority::new();
        for name in ["localhost", "127.0.0.1", "::1"] {
            let server = authority.server_config(Leaf::Valid);
            assert_eq!(handshake(&authority, server, name), Ok(()), "{name}");
        }
        let unknown = Authority::new().server_config(Leaf::Valid);
        for (server, because) in [
            (
                authority.server_config(Leaf::Expired),
                "certificate expired",
            ),
            (
                authority.server_config(Leaf::OtherHost),
                "not valid for name",
            ),
            (unknown, "UnknownIssuer"),
        ] {
            let error = handshake(&authority, server, "localhost").unwrap_err();
            assert!(error.contains(because), "{error}");
        }
    }

    #[test]
    fn the_pem_is_the_root() {
        use rustls::pki_types::pem::PemObject;

        let authority = Authority::new();
        let read = CertificateDer::from_pem_slice(authority.root_pem().as_bytes()).unwrap();
        assert_eq!(read, authority.root());
    }
}
