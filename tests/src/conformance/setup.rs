//! What a transport is given: the settings of its client, and the operation to send.

use std::time::Duration;

use dropbox_sign_oauth::{Error, Operation, Replay, TokenGenerate, TokenRefresh, TokenResponse};
use http::{Request, Response};
use rustls::pki_types::CertificateDer;

use crate::fault::Resolution;

/// The settings of the client of one case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The only root certificate that the client trusts.
    pub root_certificate: CertificateDer<'static>,
    /// The time limit of a call.
    pub deadline: Duration,
    /// The time limit of name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The largest size of a body in bytes.
    pub body_limit: usize,
    /// How the client's resolver must respond: [`Resolution::System`] unless the run is
    /// [with a resolver](super::Conformance::with_resolver).
    pub resolution: Resolution,
    /// Whether the server speaks only HTTP/2: never unless the run is
    /// [with HTTP/2](super::Conformance::with_http2).
    pub http2: bool,
    /// The URI of the proxy that the client must use: none unless the run is
    /// [with a proxy](super::Conformance::with_proxy).
    pub proxy: Option<String>,
}

/// The operation that a transport sends.
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
