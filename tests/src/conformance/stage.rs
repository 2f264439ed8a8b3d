//! Sets up the server of a case.

use std::{io, net::Ipv4Addr, sync::Arc};

use rustls::ServerConfig;

use crate::{
    fault::Origin,
    peer::{BlackHole, ClosedPort, Peer, Script, Tally},
    tls::{Authority, Leaf},
};

/// Where the calls of a case go.
pub(super) struct Stage {
    pub(super) base: String,
    pub(super) proxy: Option<String>,
    place: Place,
}

/// What is at the address.
enum Place {
    Peer(Peer),
    ClosedPort(ClosedPort),
    BlackHole(BlackHole),
}

impl Stage {
    /// Sets up a server that plays `scripts`. The server behind a proxy is `trap`.
    pub(super) fn set(
        origin: Origin,
        scripts: Vec<Script>,
        authority: &Authority,
        trap: &Peer,
    ) -> io::Result<Self> {
        let valid = || authority.server_config(Leaf::Valid);
        let tls = match origin {
            Origin::Https(leaf) => Some(authority.server_config(leaf)),
            Origin::HttpsUntrusted => Some(Authority::new().server_config(Leaf::Valid)),
            Origin::Http2 => {
                let mut tls = ServerConfig::clone(&valid());
                tls.alpn_protocols = vec![b"h2".to_vec()];
                Some(Arc::new(tls))
            }
            Origin::Proxy(_) => Some(valid()),
            _ => None,
        };
        let place = match origin {
            Origin::BlackHole => Place::BlackHole(BlackHole::bind()?),
            Origin::Refused | Origin::ProxyRefused(_) => Place::ClosedPort(ClosedPort::bind()?),
            _ => Place::Peer(Peer::start(scripts, tls)?),
        };
        let address = match &place {
            Place::Peer(peer) => peer.address(),
            Place::ClosedPort(port) => port.address(),
            Place::BlackHole(hole) => hole.address(),
        };
        let port = address.port();
        let (base, proxy) = match origin {
            Origin::Http | Origin::Refused | Origin::BlackHole => {
                (format!("http://{address}"), None)
            }
            Origin::Https(_) | Origin::HttpsUntrusted | Origin::Http2 | Origin::HttpsWithoutTls => {
                (format!("https://{address}"), None)
            }
            // A name that is reserved for examples and does not resolve.
            Origin::Unresolved(_) => ("https://sign.example".into(), None),
            // Not of the loopback range, but reaches this machine: a request is counted, and nothing
            // leaves the machine.
            Origin::NotLoopback => (format!("http://{}:{port}", Ipv4Addr::UNSPECIFIED), None),
            Origin::Localhost => (format!("http://localhost:{port}"), None),
            Origin::Proxy(uri) | Origin::ProxyRefused(uri) => {
                (trap.https(), Some(format!("{uri}{address}")))
            }
            Origin::ProxyToHttp => (trap.http(), Some(format!("http://{address}"))),
        };
        Ok(Self { base, proxy, place })
    }

    pub(super) fn tally(&self) -> Tally {
        match &self.place {
            Place::Peer(peer) => peer.tally(),
            Place::ClosedPort(_) | Place::BlackHole(_) => Tally::default(),
        }
    }
}
