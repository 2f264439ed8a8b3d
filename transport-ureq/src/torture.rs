//! Every read and every write of a call fails once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dropbox_sign_oauth::{CallError, State};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport as Io,
};

use crate::{Transport, TransportBuilder};

#[path = "../tests/support/mod.rs"]
mod support;

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

/// Exchanges codes at `sandbox` until one succeeds; the nth fails at its nth read or write.
/// Returns whether each was sent as far as its error says.
fn torture(sandbox: &Sandbox, mut builder: TransportBuilder) -> Vec<bool> {
    if let Some(root) = sandbox.root_certificate() {
        builder = builder.extra_root(root);
    }
    let fuse = Fuse::default();
    let transport = builder
        .deadline(Duration::from_secs(60))
        .build_with_connector(FaultyTcp(Arc::clone(&fuse)))
        .unwrap();
    let app = sandbox.app();
    let mut outcomes = Vec::new();
    for k in 0.. {
        fuse.store(k, Ordering::SeqCst);
        let state = State::random();
        let issued = sandbox.issue_code(&state);
        let query = format!("code={issued}&state={}", state.as_str());
        let code = app.callback(&query, &state).unwrap();
        match transport.send(app.generate(code)) {
            Ok(_) => break,
            Err(CallError::NotSent(_)) => outcomes.push(false),
            Err(CallError::Unknown { .. }) => outcomes.push(true),
            Err(other) => panic!("{other:?}"),
        }
        // Only its own requests: one of the round before may arrive this late.
        let requests = sandbox.requests();
        let bodies = requests.iter().map(|it| String::from_utf8_lossy(&it.body));
        let seen = bodies.filter(|body| body.contains(&issued)).count();
        assert!(seen <= usize::from(outcomes[k]));
    }
    // Once something was sent, no later failure is called unsent.
    assert!(outcomes.is_sorted(), "{outcomes:?}");
    assert_eq!(outcomes.last(), Some(&true));
    outcomes
}

#[test]
fn classifies_each_failure_over_plain_http() {
    let sandbox = Sandbox::start().unwrap();
    let outcomes = torture(&sandbox, Transport::builder());
    assert!(!outcomes.contains(&false), "{outcomes:?}");
}

#[test]
fn classifies_each_failure_over_tls() {
    let sandbox = Sandbox::builder().tls().start().unwrap();
    let outcomes = torture(&sandbox, Transport::builder());
    assert_eq!(outcomes.first(), Some(&false));
}

#[test]
fn classifies_each_failure_through_a_proxy() {
    let sandbox = Sandbox::builder().tls().start().unwrap();
    let address = ([127, 0, 0, 1], sandbox.port()).into();
    for tls in [false, true] {
        let proxy = support::http_proxy(tls, address, usize::MAX);
        let builder = Transport::builder().extra_root(support::AUTHORITY.root());
        let outcomes = torture(&sandbox, builder.proxy(&proxy.base()));
        assert_eq!(outcomes.first(), Some(&false));
    }
}
