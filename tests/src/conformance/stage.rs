//! Sets up the servers of a case.

use std::{any::Any, io, net::Ipv4Addr, sync::Arc};

use rustls::{ServerConfig, pki_types::CertificateDer};

use crate::{
    fault::{Case, Origin},
    peer::{BlackHole, ClosedPort, Peer, Script, Tally, Values},
    tls::{Authority, Leaf},
};

/// The certificates of a run.
pub(super) struct Certificates {
    root: CertificateDer<'static>,
    valid: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    of_another_host: Arc<ServerConfig>,
    untrusted: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let authority = Authority::new();
        let valid = authority.server_config(Leaf::Valid);
        let mut http2 = ServerConfig::clone(&valid);
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            root: authority.root(),
            valid,
            expired: authority.server_config(Leaf::Expired),
            of_another_host: authority.server_config(Leaf::OtherHost),
            untrusted: Authority::new().server_config(Leaf::Valid),
            http2: Arc::new(http2),
        }
    }

    pub(super) fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    fn of(&self, leaf: Leaf) -> Arc<ServerConfig> {
        Arc::clone(match leaf {
            Leaf::Valid => &self.valid,
            Leaf::Expired => &self.expired,
            Leaf::OtherHost => &self.of_another_host,
        })
    }
}

/// The second server of a case, to which nothing may be sent.
pub(super) struct Trap(Option<Peer>);

impl Trap {
    pub(super) fn set(case: &Case, values: &Values) -> io::Result<Self> {
        // A client that follows the redirect would succeed.
        let response = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                      Content-Length: {length}\r\n\r\n{\"access_token\":\"{access_token}\"}";
        let script = Script::new().read_request().send(response).render(values);
        let server = case.has_trap.then(|| Peer::start([script], None)).transpose()?;
        Ok(Self(server))
    }

    pub(super) fn base(&self) -> String {
        self.0.as_ref().map(Peer::http).unwrap_or_default()
    }

    pub(super) fn address(&self) -> String {
        let address = self.0.as_ref().map(Peer::address);
        address.map(|it| it.to_string()).unwrap_or_default()
    }

    pub(super) fn is_sprung(&self) -> bool {
        self.0.as_ref().is_some_and(|peer| peer.tally().connections > 0)
    }
}

/// Where the calls of a case go.
pub(super) struct Stage {
    base: String,
    proxy: Option<String>,
    peer: Option<Peer>,
    /// An address at which connecting fails.
    _address: Option<Box<dyn Any + Send>>,
}

impl Stage {
    pub(super) fn set(
        origin: Origin,
        scripts: Vec<Script>,
        certificates: &Certificates,
        trap: &Trap,
    ) -> io::Result<Self> {
        let (tls, base): (_, fn(&Peer) -> String) = match origin {
            Origin::Https(leaf) => (Some(certificates.of(leaf)), Peer::https),
            Origin::HttpsUntrusted => (Some(Arc::clone(&certificates.untrusted)), Peer::https),
            Origin::Http2 => (Some(Arc::clone(&certificates.http2)), Peer::https),
            Origin::HttpsWithoutTls => (None, Peer::https),
            Origin::NotLoopback => (None, not_loopback),
            Origin::Localhost => (None, localhost),
            Origin::Proxy(_) => (Some(certificates.of(Leaf::Valid)), Peer::http),
            _ => (None, Peer::http),
        };
        let behind_proxy = || format!("https://{}", trap.address());
        let (mut proxy, mut peer) = (None, None);
        let mut address: Option<Box<dyn Any + Send>> = None;
        let base = match origin {
            // A name that is reserved for examples and does not resolve.
            Origin::Unresolved(_) => "https://sign.example".into(),
            Origin::BlackHole => {
                let hole = BlackHole::bind()?;
                let base = format!("http://{}", hole.address());
                address = Some(Box::new(hole));
                base
            }
            Origin::Refused | Origin::ProxyRefused(_) => {
                let port = ClosedPort::bind()?;
                let base = format!("http://{}", port.address());
                if let Origin::ProxyRefused(uri) = origin {
                    proxy = Some(format!("{uri}{}", port.address()));
                }
                address = Some(Box::new(port));
                proxy.as_ref().map_or(base, |_| behind_proxy())
            }
            _ => {
                let peer = peer.insert(Peer::start(scripts, tls)?);
                match origin {
                    Origin::Proxy(uri) => {
                        proxy = Some(format!("{uri}{}", peer.address()));
                        behind_proxy()
                    }
                    Origin::ProxyToHttp => {
                        proxy = Some(peer.http());
                        trap.base()
                    }
                    _ => base(peer),
                }
            }
        };
        Ok(Self { base, proxy, peer, _address: address })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    pub(super) fn tally(&self) -> Tally {
        self.peer.as_ref().map(Peer::tally).unwrap_or_default()
    }
}

/// An address that is not of the loopback range but reaches this machine: a request is counted, and
/// nothing leaves the machine.
fn not_loopback(peer: &Peer) -> String {
    format!("http://{}:{}", Ipv4Addr::UNSPECIFIED, peer.address().port())
}

fn localhost(peer: &Peer) -> String {
    format!("http://localhost:{}", peer.address().port())
}
