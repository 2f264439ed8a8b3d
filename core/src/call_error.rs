//! Why a call gave no result, and what is known about its request: the error of every transport.

use alloc::boxed::Box;
use core::{error::Error as StdError, fmt, time::Duration};

use crate::{
    error::Error,
    transport::{Delivery, InsecureUri},
};

/// Why a call gave no result; the variant says what is known about the request.
///
/// This crate makes no calls: both adapters answer with it, and so can any other transport.
#[derive(Debug)]
pub enum CallError {
    /// Provably nothing of the request reached the server: it is safe to send it again, as
    /// `send_with_retry` of both adapters does.
    NotSent(Cause),
    /// Some of the request may have reached the server, and no whole answer came back. Never send
    /// a code again after it: authorize again.
    Unknown(Cause),
    /// The server answered, and this is what its answer means.
    Answered(Error),
}

impl CallError {
    /// What is known about the request.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::NotSent(_) => Delivery::NotSent,
            Self::Unknown(_) => Delivery::Unknown,
            Self::Answered(_) => Delivery::Answered,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(cause) => write!(f, "the request was not sent: {cause}"),
            Self::Unknown(cause) => write!(
                f,
                "whether the request reached the server is not known: {cause}; \
                 a code that it carried may be spent, so do not send that again"
            ),
            Self::Answered(error) => error.fmt(f),
        }
    }
}

impl StdError for CallError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotSent(cause) | Self::Unknown(cause) => cause.source(),
            Self::Answered(error) => error.source(),
        }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Answered(error)
    }
}

/// What went wrong on the way; its source, if it has one, is the error of the layer below.
#[derive(Debug)]
pub struct Cause {
    kind: CauseKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The ways in which a call fails without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CauseKind {
    /// The address is not one to which a secret may be sent; nothing was tried.
    Insecure(InsecureUri),
    /// No connection could be made: name resolution, TCP or TLS failed.
    Connect,
    /// No connection was made in time.
    ConnectTimeout(Duration),
    /// No whole answer came in time.
    Deadline(Duration),
    /// The connection failed, or what came over it is not HTTP.
    Exchange,
}

impl Cause {
    /// A cause that says everything by its kind.
    #[must_use]
    pub fn new(kind: CauseKind) -> Self {
        Self { kind, source: None }
    }

    /// A cause with the error of the layer below.
    #[must_use]
    pub fn with_source(
        kind: CauseKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = Some(source.into());
        Self { kind, source }
    }

    /// Which of the ways it is.
    #[must_use]
    pub fn kind(&self) -> CauseKind {
        self.kind
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CauseKind::Insecure(error) => error.fmt(f),
            CauseKind::Connect => f.write_str("no connection to the server could be made"),
            CauseKind::ConnectTimeout(limit) => {
                write!(f, "no connection to the server was made within {limit:?}")
            }
            CauseKind::Deadline(limit) => write!(f, "no whole answer came within {limit:?}"),
            CauseKind::Exchange => f.write_str("the connection failed"),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
