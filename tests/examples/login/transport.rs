//! Both adapters behind one face.

use std::{fmt::Display, fs, panic, path::Path};

use dropbox_sign_oauth::{CallError, Operation};
use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_ureq as ureq;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::task;

use crate::{arguments::Adapter, failure::Failure};

pub(crate) enum Transport {
    Hyper(Box<hyper::Transport>),
    Ureq(ureq::Transport),
}

impl Transport {
    /// A transport that trusts the certificate of a file too.
    pub(crate) fn new(adapter: Adapter, root_certificate: Option<&Path>) -> Result<Self, Failure> {
        let root = root_certificate.map(read_certificate).transpose()?;
        let transport = match adapter {
            Adapter::Hyper => {
                let builder = hyper::Transport::builder();
                let builder = root.into_iter().fold(builder, hyper::Builder::extra_root);
                let transport = builder.build().map_err(|error| error.to_string());
                transport.map(|transport| Self::Hyper(transport.into()))
            }
            Adapter::Ureq => {
                let builder = ureq::Transport::builder();
                let builder = root.into_iter().fold(builder, ureq::Builder::extra_root);
                let transport = builder.build().map_err(|error| error.to_string());
                transport.map(Self::Ureq)
            }
        };
        transport.map_err(|error| match root_certificate {
            Some(path) => no_certificate(path, "it is none, neither as PEM nor as DER"),
            None => Failure::new(error),
        })
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

/// Reads a certificate, as PEM or as DER.
fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, Failure> {
    let bytes = fs::read(path).map_err(|error| no_certificate(path, error))?;
    // Whether what is no PEM is a certificate at all, the transport finds out.
    Ok(CertificateDer::from_pem_slice(&bytes).unwrap_or_else(|_| bytes.into()))
}

fn no_certificate(path: &Path, error: impl Display) -> Failure {
    Failure::new(format!(
        "cannot take a certificate from {}: {error}; check --root-certificate",
        path.display()
    ))
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
