//! Sets up what a case calls.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rustls::{ServerConfig, pki_types::CertificateDer};

use crate::{
    fault::{BlackHole, Case, ClosedPort, Origin, Script, Server, Tally, Values},
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

/// The second server of a case, which nobody is to ask for anything.
pub(super) struct Trap(Option<Server>);

impl Trap {
    pub(super) fn set(case: &Case, values: &Values) -> io::Result<Self> {
        // Whoever falls into it gets tokens: it would be a success, if it were not watched.
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                      Content-Length: {length}\r\n\r\n{\"access_token\":\"{access_token}\"}";
        let script = Script::new().read_request().send(answer).render(values);
        let server = case
            .has_trap
            .then(|| Server::start(vec![script], None))
            .transpose()?;
        Ok(Self(server))
    }

    pub(super) fn base(&self) -> String {
        let address = self.0.as_ref().map(Server::address);
        address.map(http).unwrap_or_default()
    }

    pub(super) fn is_sprung(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|server| server.tally().connections > 0)
    }
}

/// Where the calls of a case go.
pub(super) struct Stage {
    base: String,
    peer: Peer,
}

enum Peer {
    Server(Server),
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
        let server = |scheme: fn(SocketAddr) -> String, tls| {
            let server = Server::start(scripts, tls)?;
            io::Result::Ok((scheme(server.address()), Peer::Server(server)))
        };
        let (base, peer) = match origin {
            Origin::Http => server(http, None)?,
            Origin::Https(leaf) => server(https, Some(certificates.of(leaf)))?,
            Origin::HttpsUntrusted => server(https, Some(Arc::clone(&certificates.untrusted)))?,
            Origin::Http2 => server(https, Some(Arc::clone(&certificates.http2)))?,
            Origin::HttpsWithoutTls => server(https, None)?,
            Origin::Refused => {
                let port = ClosedPort::bind()?;
                (http(port.address()), Peer::Closed { _port: port })
            }
            Origin::BlackHole => {
                let hole = BlackHole::bind()?;
                (http(hole.address()), Peer::Hole { _hole: hole })
            }
            // A name that is reserved for examples: nobody answers to it.
            Origin::Unresolved(_) => ("https://sign.example".into(), Peer::None),
            Origin::NotLoopback => server(not_loopback, None)?,
        };
        Ok(Self { base, peer })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn tally(&self) -> Tally {
        match &self.peer {
            Peer::Server(server) => server.tally(),
            Peer::Closed { .. } | Peer::Hole { .. } | Peer::None => Tally::default(),
        }
    }
}

fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// An address that is not of the loopback range, but by which the system connects to this machine:
/// whoever sends to it in spite of that is counted, and nothing leaves the machine.
fn not_loopback(address: SocketAddr) -> String {
    http((Ipv4Addr::UNSPECIFIED, address.port()).into())
}

fn https(address: SocketAddr) -> String {
    format!("https://{address}")
}
