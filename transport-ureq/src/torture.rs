//! Every read and every write of an exchange fails once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dropbox_sign_oauth_testkit::{
    conformance::torture,
    peer::{Peer, Script},
    samples::{TOKENS, ok},
    tls::{Authority, Leaf},
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport as Io,
};

use crate::Transport;

/// How many more reads and writes succeed before one fails; shared by all connections.
type Fuse = Arc<AtomicUsize>;

#[derive(Debug)]
struct FaultyTcp(Fuse);

#[derive(Debug)]
struct Faulty<T>(T, Fuse);

impl Connector for FaultyTcp {
    type Out = Faulty<<TcpConnector as Connector>::Out>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let inner = TcpConnector::default().connect(details, chained)?;
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
fn classifies_each_failure() {
    const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";
    let authority = Authority::new();
    let server = |script: Script| script.read_request().send(ok(TOKENS));
    let tunnel = |script: Script| server(script.read_request().send(CONNECTED).start_tls());
    for (script, proxy, is_tls) in [
        (server(Script::new().without_tls()), None, false),
        (server(Script::new()), None, true),
        (tunnel(Script::new().without_tls()), Some("http"), true),
        (tunnel(Script::new()), Some("https"), true),
    ] {
        let peer = Peer::start([script], Some(authority.server_config(Leaf::Valid))).unwrap();
        let fuse = Fuse::default();
        // A transport for each call, so that no connection is opened ahead and uses the fuse.
        let transport = || {
            let mut builder =
                Transport::builder().deadline(Duration::from_secs(60)).extra_root(authority.root());
            if let Some(scheme) = proxy {
                builder = builder.proxy(&format!("{scheme}://{}", peer.address()));
            }
            builder.build_with_connector(FaultyTcp(Arc::clone(&fuse))).unwrap()
        };
        let base = if is_tls { peer.https() } else { peer.http() };
        let not_sent = torture(&peer, &base, |successes, operation| {
            fuse.store(successes, Ordering::SeqCst);
            transport().send(operation)
        });
        // Over plain http, the first write may send the request.
        assert_eq!(not_sent.contains(&true), is_tls, "{proxy:?}: {not_sent:?}");
    }
}
