//! The outcome of a call: the error of every transport, and retries.

pub(crate) mod limits;
pub(crate) mod retry;

use alloc::boxed::Box;
use core::{error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use crate::{
    operation::Replay,
    plain_http::InsecureUri,
    remedy::{Remedy, remedy_of},
    response::{error::Error, error_code::ErrorCode, rejection::Rejection, rejects_access_token},
    time::UnixTime,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a call has no result. The variant says whether the request was sent.
///
/// Both adapters return this error, and so can any other transport.
#[derive(Debug)]
pub enum CallError {
    /// Provably, no part of the request reached the server. It is safe to send it again.
    NotSent(Failure),
    /// Some of the request may have reached the server, and no complete response arrived. A
    /// request that is [`Replay::Never`] must not be sent again.
    Unknown {
        /// What failed.
        failure: Failure,
        /// Whether the request may be sent more than once.
        replay: Replay,
    },
    /// The server responded, and the response has no result.
    Answered(Error),
}

impl CallError {
    /// Returns the status of the response, if the error has one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.response_error()?.status()
    }

    /// Returns what the error response says, if the server rejected or rate-limited the request or
    /// failed.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.response_error()?.rejection()
    }

    /// Returns how long the server asks to wait from `now`, if it does. At most
    /// [`MAX_WAIT`](crate::MAX_WAIT).
    #[must_use]
    pub fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        self.rejection()?.wait(now)
    }

    /// Returns whether the call exceeded a time limit.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.failure().is_some_and(Failure::is_timeout)
    }

    /// Returns whether the request provably had no effect: it was not sent, or was rate-limited (429).
    /// Its code is then unused.
    #[must_use]
    pub fn had_no_effect(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Answered(Error::Throttled(_)))
    }

    /// Returns whether the server rejected the access token of the request (401).
    #[must_use]
    pub fn rejects_access_token(&self) -> bool {
        self.status().is_some_and(rejects_access_token)
    }

    /// Returns whether the server rejected the code or refresh token (`invalid_grant`).
    #[must_use]
    pub fn is_invalid_grant(&self) -> bool {
        matches!(
            self,
            Self::Answered(Error::Rejected(rejection))
                if rejection.code == Some(ErrorCode::InvalidGrant)
        )
    }

    /// Returns what a program can do about this error.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::NotSent(failure) if failure.is_insecure() => Remedy::FixConfiguration,
            Self::Unknown { replay: Replay::Never, .. } => Remedy::StartOver,
            Self::NotSent(_) | Self::Unknown { .. } => Remedy::retry(None),
            Self::Answered(error) => error.remedy(),
        }
    }

    fn response_error(&self) -> Option<&Error> {
        match self {
            Self::Answered(error) => Some(error),
            Self::NotSent(_) | Self::Unknown { .. } => None,
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotSent(failure) | Self::Unknown { failure, .. } => Some(failure),
            Self::Answered(_) => None,
        }
    }
}

remedy_of!(CallError);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(failure) => write!(f, "the request was not sent: {failure}"),
            Self::Unknown { failure, replay } => {
                write!(f, "the request may have reached the server: {failure}")?;
                match replay {
                    Replay::Never => f.write_str("; the code may be spent"),
                    Replay::Safe => Ok(()),
                }
            }
            Self::Answered(error) => error.fmt(f),
        }
    }
}

impl StdError for CallError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotSent(failure) | Self::Unknown { failure, .. } => failure.source(),
            Self::Answered(error) => error.source(),
        }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Answered(error)
    }
}

/// What failed in a call without a complete response. The source is the error of the layer below.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Insecure(InsecureUri),
    Connect,
    ConnectTimeout(Duration),
    Deadline(Duration),
    Exchange,
}

impl Failure {
    /// The URI must not receive a secret, so no connection was attempted.
    #[must_use]
    pub fn insecure(error: InsecureUri) -> Self {
        Self::new(Kind::Insecure(error), None)
    }

    /// Name resolution, TCP, TLS or the proxy failed.
    #[must_use]
    pub fn connect(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Connect, Some(source.into()))
    }

    /// Connecting took longer than `limit`.
    #[must_use]
    pub fn connect_timeout(limit: Duration) -> Self {
        Self::new(Kind::ConnectTimeout(limit), None)
    }

    /// No complete response arrived within `limit`.
    #[must_use]
    pub fn deadline(limit: Duration) -> Self {
        Self::new(Kind::Deadline(limit), None)
    }

    /// The connection failed, or the data on it is not HTTP.
    #[must_use]
    pub fn exchange(source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Exchange, Some(source.into()))
    }

    fn new(kind: Kind, source: Option<BoxError>) -> Self {
        Self { kind, source }
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn class(&self) -> &'static str {
        match self.kind {
            Kind::Insecure(_) => "insecure",
            Kind::Connect => "connect",
            Kind::ConnectTimeout(_) => "connect_timeout",
            Kind::Deadline(_) => "deadline",
            Kind::Exchange => "exchange",
        }
    }

    /// Returns whether a time limit was exceeded.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::ConnectTimeout(_) | Kind::Deadline(_))
    }

    /// Returns whether the URI must not receive a secret.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        matches!(self.kind, Kind::Insecure(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Insecure(error) => error.fmt(f),
            Kind::Connect => f.write_str("connecting to the server failed"),
            Kind::ConnectTimeout(limit) => write!(f, "connecting took longer than {limit:?}"),
            Kind::Deadline(limit) => write!(f, "no complete response arrived within {limit:?}"),
            Kind::Exchange => f.write_str("the connection failed"),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use http::{Response, Uri};

    use super::*;
    use crate::{PlainHttp, json_body};

    fn unknown(failure: Failure, replay: Replay) -> CallError {
        CallError::Unknown { failure, replay }
    }

    #[test]
    fn states_what_happened() {
        let insecure = PlainHttp::default().check(&Uri::from_static("http://example.com"));
        let limit = Duration::from_secs(30);
        let not_sent = "the request was not sent";
        let unknown_delivery = "the request may have reached the server";
        for (error, start, message, is_timeout) in [
            (
                CallError::NotSent(Failure::insecure(insecure.unwrap_err())),
                not_sent,
                "the URI is neither https nor http to a loopback host",
                false,
            ),
            (
                CallError::NotSent(Failure::connect("refused")),
                not_sent,
                "connecting to the server failed",
                false,
            ),
            (
                CallError::NotSent(Failure::connect_timeout(limit)),
                not_sent,
                "connecting took longer than 30s",
                true,
            ),
            (
                unknown(Failure::deadline(limit), Replay::Safe),
                unknown_delivery,
                "no complete response arrived within 30s",
                true,
            ),
            (
                unknown(Failure::exchange("reset"), Replay::Never),
                unknown_delivery,
                "the connection failed; the code may be spent",
                false,
            ),
        ] {
            assert_eq!(error.to_string(), [start, message].join(": "));
            assert_eq!(error.is_timeout(), is_timeout, "{message}");
            assert_eq!(error.had_no_effect(), start == not_sent, "{message}");
        }
    }

    #[test]
    fn the_source_is_the_error_of_the_layer_below() {
        let error = unknown(Failure::exchange("reset"), Replay::Safe);
        assert_eq!(error.source().unwrap().to_string(), "reset");
        assert!(CallError::NotSent(Failure::deadline(Duration::ZERO)).source().is_none());
    }

    #[test]
    fn recognizes_rejected_tokens_and_grants_and_unused_codes() {
        for (status, body, rejects_token, is_invalid_grant, had_no_effect) in [
            (401, "", true, false, false),
            (401, r#"{"error":"invalid_grant"}"#, true, true, false),
            (400, r#"{"error":"invalid_grant"}"#, false, true, false),
            (429, r#"{"error":"invalid_grant"}"#, false, false, true),
            (500, r#"{"error":"invalid_grant"}"#, false, false, false),
        ] {
            let response = Response::builder().status(status).body(body).unwrap();
            let error = CallError::from(json_body(&response, &[]).err().unwrap());
            assert_eq!(error.rejects_access_token(), rejects_token, "{status}");
            assert_eq!(error.is_invalid_grant(), is_invalid_grant, "{status}");
            assert_eq!(error.had_no_effect(), had_no_effect, "{status}");
        }
    }
}
