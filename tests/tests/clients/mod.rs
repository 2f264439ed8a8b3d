//! Both adapters behind one face, so that a test says once what both must do.

use std::time::Duration;

use dropbox_sign_oauth::{CallError, Operation, RetryPolicy};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq as ureq;
use tokio::runtime::Runtime;

/// A transport of either adapter.
pub(crate) enum Client {
    Hyper(hyper::Transport, Runtime),
    Ureq(ureq::Transport),
}

/// Long enough for a busy machine: no test here waits for it.
const DEADLINE: Duration = Duration::from_secs(60);

impl Client {
    /// One client of each adapter, that trusts the sandbox.
    pub(crate) fn both(sandbox: &Sandbox) -> [Self; 2] {
        let mut hyper = hyper::Transport::builder().deadline(DEADLINE);
        let mut ureq = ureq::Transport::builder().deadline(DEADLINE);
        if let Some(root) = sandbox.root_certificate() {
            hyper = hyper.extra_root(root.clone());
            ureq = ureq.extra_root(root);
        }
        [
            Self::hyper(hyper.build().unwrap()),
            Self::Ureq(ureq.build().unwrap()),
        ]
    }

    pub(crate) fn hyper(transport: hyper::Transport) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self::Hyper(transport, runtime)
    }

    pub(crate) fn send<O: Operation>(&self, operation: O) -> Result<O::Output, CallError> {
        match self {
            Self::Hyper(transport, runtime) => runtime.block_on(transport.send(operation)),
            Self::Ureq(transport) => transport.send(operation),
        }
    }

    pub(crate) fn send_with_retry<O: Operation>(
        &self,
        operation: O,
        policy: RetryPolicy,
    ) -> Result<O::Output, CallError> {
        match self {
            Self::Hyper(transport, runtime) => {
                runtime.block_on(transport.send_with_retry(operation, policy))
            }
            Self::Ureq(transport) => transport.send_with_retry(operation, policy),
        }
    }
}
