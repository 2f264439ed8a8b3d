//! The settings and operations of a call, and the class of its outcome.

use std::{error::Error as StdError, io, time::Duration};

use dropbox_sign_oauth::{
    CallError, Error, Operation, Replay, TokenGenerate, TokenRefresh, TokenResponse,
};
use http::{Request, Response};
use rustls::pki_types::CertificateDer;

use crate::fault::{BODY_LIMIT, Outcome, Resolution};

/// The settings of the client of one case.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(super) root: CertificateDer<'static>,
    pub(super) deadline: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) resolution: Resolution,
    pub(super) http2: bool,
    pub(super) proxy: Option<String>,
}

impl Setup {
    /// The only root certificate that the client trusts.
    #[must_use]
    pub fn root_certificate(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The time limit of a call.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The time limit of name resolution, TCP and TLS together.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The largest size of a body in bytes.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        BODY_LIMIT
    }

    /// How the client's resolver must respond: [`Resolution::System`] unless the run is
    /// [with a resolver](super::Conformance::with_resolver).
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// Whether the server speaks only HTTP/2: never unless the run is
    /// [with HTTP/2](super::Conformance::with_http2).
    #[must_use]
    pub fn http2(&self) -> bool {
        self.http2
    }

    /// The URI of the proxy that the client must use: none unless the run is
    /// [with a proxy](super::Conformance::with_proxy).
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

/// The operation that a transport is to send.
#[derive(Debug)]
#[must_use = "an operation does nothing until its request is sent"]
#[non_exhaustive]
pub enum TokenOperation {
    /// The exchange of a code.
    Generate(TokenGenerate),
    /// A refresh.
    Refresh(TokenRefresh),
}

impl Operation for TokenOperation {
    type Output = TokenResponse;

    fn replay(&self) -> Replay {
        match self {
            Self::Generate(operation) => operation.replay(),
            Self::Refresh(operation) => operation.replay(),
        }
    }

    fn request(&self) -> Request<Vec<u8>> {
        match self {
            Self::Generate(operation) => operation.request(),
            Self::Refresh(operation) => operation.request(),
        }
    }

    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<TokenResponse, Error> {
        match self {
            Self::Generate(operation) => operation.parse(response),
            Self::Refresh(operation) => operation.parse(response),
        }
    }
}

/// Returns the class of an error, if it is known.
pub(super) fn outcome(error: &CallError) -> Option<Outcome> {
    Some(match error {
        CallError::NotSent(_) => Outcome::NotSent,
        CallError::Unknown { .. } => Outcome::Unknown,
        CallError::Answered(error) => match error {
            Error::Rejected(_) => Outcome::Rejected,
            Error::Throttled(_) => Outcome::Throttled,
            Error::ServerFault(_) => Outcome::ServerFault,
            Error::RedirectRefused { .. } => Outcome::Redirect,
            Error::StateMismatch => Outcome::StateMismatch,
            Error::Malformed { .. } => Outcome::Malformed,
            Error::TooLarge { .. } => Outcome::TooLarge,
            _ => return None,
        },
    })
}

/// Returns an error and its sources.
pub(super) fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>() {
            // `io::Error::source` skips the error that it wraps.
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        }
    })
}
