//! Both adapters behind one type, so that a test states once what both must do.

use std::time::Duration;

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::{
    self as ureq, CallError, CertificateDer, Operation, PlainHttp, RetryPolicy,
};
use tokio::runtime::{Builder, Runtime};

/// A transport of either adapter.
pub(crate) enum Client {
    Hyper(hyper::Transport, Runtime),
    Ureq(ureq::Transport),
}

/// Longer than any call of these tests takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// What differs between the tests.
pub(crate) struct Settings {
    pub(crate) root: Option<CertificateDer<'static>>,
    pub(crate) deadline: Duration,
    pub(crate) proxy: Option<String>,
    pub(crate) plain_http: PlainHttp,
}

impl Default for Settings {
    fn default() -> Self {
        Self { root: None, deadline: DEADLINE, proxy: None, plain_http: PlainHttp::default() }
    }
}

impl Client {
    /// Creates a client of each adapter that trusts the sandbox.
    pub(crate) fn both(sandbox: &Sandbox) -> [Self; 2] {
        Self::both_with(Settings { root: sandbox.root_certificate(), ..Settings::default() })
    }

    pub(crate) fn both_with(settings: Settings) -> [Self; 2] {
        let Settings { root, deadline, proxy, plain_http } = settings;
        let mut hyper = hyper::Transport::builder()
            .deadline(deadline)
            .connect_timeout(deadline)
            .plain_http(plain_http);
        let mut ureq = ureq::Transport::builder()
            .deadline(deadline)
            .connect_timeout(deadline)
            .plain_http(plain_http);
        if let Some(root) = root {
            (hyper, ureq) = (hyper.extra_root(root.clone()), ureq.extra_root(root));
        }
        if let Some(proxy) = proxy {
            (hyper, ureq) = (hyper.proxy(&proxy), ureq.proxy(&proxy));
        }
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        [Self::Hyper(hyper.build().unwrap(), runtime), Self::Ureq(ureq.build().unwrap())]
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
