//! Certificates for loopback servers, of an authority that only the tests trust.

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

/// A certificate authority with a new key, which never leaves the process.
///
/// Clients trust its [`root`](Self::root). Any other authority is an unknown issuer to them.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The certificate that a server presents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaf {
    /// Valid for `localhost`, `127.0.0.1` and `::1`.
    Valid,
    /// For the same names, expired since 2001.
    Expired,
    /// Valid for `other.example` only.
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

/// Fixed years, so that the tests do not depend on the clock.
const FIRST_YEAR: i32 = 2000;
const LAST_YEAR: i32 = 2099;

impl Authority {
    /// Creates an authority with a new key.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub fn new() -> Self {
        let key = key();
        let mut params = params(Vec::new(), LAST_YEAR);
        // A unique name: clients would take two authorities of one name for the same issuer with a
        // wrong signature.
        let id = BASE64_URL_SAFE_NO_PAD.encode(params.key_identifier(&key));
        let name = format!("dropbox-sign-oauth test authority {id}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key);
        Self(issuer.expect("a valid certificate"))
    }

    /// The root certificate, for a client's trust store.
    #[must_use]
    pub fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// The root certificate in PEM.
    #[must_use]
    pub fn root_pem(&self) -> String {
        self.0.pem()
    }

    /// Returns the TLS configuration of a server with a certificate of this authority, without ALPN.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub fn server_config(&self, leaf: Leaf) -> Arc<ServerConfig> {
        let mut params = params(leaf.names(), leaf.last_year());
        let name = "dropbox-sign-oauth test server";
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a valid certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions")
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

/// Returns the TLS configuration of a client that trusts only these roots, without ALPN.
///
/// # Panics
/// If one of them is not a certificate.
#[must_use]
pub fn client_config(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).expect("a root certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
        .with_root_certificates(store)
        .with_no_client_auth()
}

fn key() -> KeyPair {
    KeyPair::generate().expect("random bytes")
}

fn params(names: Vec<String>, last_year: i32) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("the names are ASCII");
    // Without rcgen's default name.
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date_time_ymd(FIRST_YEAR, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    params
}
