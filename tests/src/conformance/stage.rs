//! Sets up the servers of a case.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

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
        let server = case
            .has_trap
            .then(|| Peer::start([script], None))
            .transpose()?;
        Ok(Self(server))
    }

    pub(super) fn base(&self) -> String {
        self.0.as_ref().map(Peer::http).unwrap_or_default()
    }

    pub(super) fn is_sprung(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|peer| peer.tally().connections > 0)
    }
}

/// Where the calls of a case go.
pub(super) struct Stage {
    base: String,
    target: Target,
}

/// Keeps a target alive.
enum Target {
    Peer(Peer),
    Closed { _port: ClosedPort },
    Hole { _hole: BlackHole },
    None,
}

impl Stage {
    pub(super) fn set(
        origin: Origin,
        scripts: Vec<Script>,
        certificates: &Certificates,
    ) -> io::Result<Self> {
        let peer = |base: fn(SocketAddr) -> String, tls| {
            let peer = Peer::start(scripts, tls)?;
            io::Result::Ok((base(peer.address()), Target::Peer(peer)))
        };
        let (base, target) = match origin {
            Origin::Http => peer(http, None)?,
            Origin::Https(leaf) => peer(https, Some(certificates.of(leaf)))?,
            Origin::HttpsUntrusted => peer(https, Some(Arc::clone(&certificates.untrusted)))?,
            Origin::Http2 => peer(https, Some(Arc::clone(&certificates.http2)))?,
            Origin::HttpsWithoutTls => peer(https, None)?,
            Origin::Refused => {
                let port = ClosedPort::bind()?;
                (http(port.address()), Target::Closed { _port: port })
            }
            Origin::BlackHole => {
                let hole = BlackHole::bind()?;
                (http(hole.address()), Target::Hole { _hole: hole })
            }
            // A name that is reserved for examples and does not resolve.
            Origin::Unresolved(_) => ("https://sign.example".into(), Target::None),
            Origin::NotLoopback => peer(not_loopback, None)?,
        };
        Ok(Self { base, target })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn tally(&self) -> Tally {
        match &self.target {
            Target::Peer(peer) => peer.tally(),
            Target::Closed { .. } | Target::Hole { .. } | Target::None => Tally::default(),
        }
    }
}

fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// An address that is not of the loopback range but reaches this machine: a request is counted, and
/// nothing leaves the machine.
fn not_loopback(address: SocketAddr) -> String {
    http((Ipv4Addr::UNSPECIFIED, address.port()).into())
}

fn https(address: SocketAddr) -> String {
    format!("https://{address}")
}
