//! Every read and every write of a call fails once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{
    Transport,
    core::{Delivery, State},
    ureq::{
        self,
        unversioned::transport::{
            Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport as Io,
        },
    },
};

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
fn each_failure_of_io_is_known_for_what_it_is() {
    for sandbox in [
        Sandbox::start().unwrap(),
        Sandbox::builder().tls().start().unwrap(),
    ] {
        let fuse = Fuse::default();
        let mut builder = Transport::builder().deadline(Duration::from_secs(60));
        if let Some(root) = sandbox.root_certificate() {
            builder = builder.extra_root(root);
        }
        let transport = builder
            .build_with_connector(FaultyTcp(Arc::clone(&fuse)))
            .unwrap();
        let mut deliveries = Vec::new();
        for k in 0.. {
            fuse.store(k, Ordering::SeqCst);
            let state = State::from_stored("900e06e2").unwrap();
            let issued = sandbox.issue_code(&state);
            let query = format!("code={issued}&state=900e06e2");
            let app = sandbox.app();
            let code = app.callback(&query, &state).unwrap();
            match transport.send(app.generate(code)) {
                Ok(_) => break,
                Err(error) => deliveries.push(error.delivery()),
            }
            // Its own requests: one of the round before may come this late.
            let requests = sandbox.requests();
            let bodies = requests.iter().map(|it| String::from_utf8_lossy(&it.body));
            let seen = bodies.filter(|body| body.contains(&issued)).count();
            assert!(seen <= 1);
            if deliveries.last() == Some(&Delivery::NotSent) {
                assert_eq!(seen, 0);
            }
        }
        // First nothing was sent, and once something was, it is never called unsent again.
        assert!(deliveries.len() >= 3, "{deliveries:?}");
        assert!(deliveries.is_sorted_by_key(|delivery| *delivery == Delivery::Unknown));
        assert_eq!(deliveries.last(), Some(&Delivery::Unknown));
        let tls = sandbox.root_certificate().is_some();
        assert_eq!(
            deliveries.contains(&Delivery::NotSent),
            tls,
            "{deliveries:?}"
        );
    }
}
