//! Both adapters behind one face.

use std::panic;

use dropbox_sign_oauth::{CallError, Operation};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_ureq as ureq;
use tokio::task;

use crate::{arguments::Adapter, failure::Failure};

pub(crate) enum Transport {
    Hyper(Box<hyper::Transport>),
    Ureq(ureq::Transport),
}

impl Transport {
    pub(crate) fn new(adapter: Adapter) -> Result<Self, Failure> {
        let transport = match adapter {
            Adapter::Hyper => hyper::Transport::new()
                .map(|transport| Self::Hyper(transport.into()))
                .map_err(|error| error.to_string()),
            Adapter::Ureq => ureq::Transport::new()
                .map(Self::Ureq)
                .map_err(|error| error.to_string()),
        };
        transport.map_err(Failure::new)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hyper(_) => "hyper",
            Self::Ureq(_) => "ureq",
        }
    }

    pub(crate) async fn send<O>(&self, operation: O) -> Result<O::Output, CallError>
    where
        O: Operation<Output: Send> + Send + 'static,
    {
        match self {
            Self::Hyper(transport) => transport.send(operation).await,
            Self::Ureq(transport) => {
                let transport = transport.clone();
                unblock(move || transport.send(operation)).await
            }
        }
    }
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
