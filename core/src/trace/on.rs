//! Records spans and events with `tracing`.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use http::{Request, Response, StatusCode};
use tracing::{Span, debug, field::Empty, info, info_span, warn};

use crate::{CallError, Error, ErrorCode, Operation, RateLimit, Retry, response::is_success};

const TARGET: &str = "dropbox_sign_oauth";

/// The span of one attempt of a call. It ends when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct CallSpan {
    span: Span,
    delivery: &'static str,
    error: Option<&'static str>,
}

impl CallSpan {
    pub fn new<O: Operation>(retry: &Retry<O>, request: &Request<Vec<u8>>) -> Self {
        let (operation, resends) = retry.name_and_resends();
        let (method, uri) = (request.method(), request.uri());
        let port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let span = info_span!(
            target: TARGET,
            "http.client.request",
            "otel.name" = format_args!("{method} {operation}"),
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "http.request.method" = method.as_str(),
            "http.request.resend_count" = (resends > 0).then_some(resends),
            "http.response.status_code" = Empty,
            "server.address" = uri.host(),
            "server.port" = uri.port_u16().unwrap_or(port),
            "url.path" = uri.path(),
            "error.type" = Empty,
            "dropbox_sign.operation" = operation,
            "dropbox_sign.delivery" = Empty,
            "dropbox_sign.error_code" = Empty,
            "dropbox_sign.connection" = Empty,
            "dropbox_sign.rate_limit.remaining" = Empty,
            "dropbox_sign.duration" = Empty,
        );
        // Kept if the call is canceled.
        Self { span, delivery: "unknown", error: Some("canceled") }
    }

    /// Runs `work` inside of the span.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    /// Records the connection that was used, if it is known: `new`, `reused` or `ahead`.
    pub fn connection(&self, connection: Option<&'static str>) {
        self.span.record("dropbox_sign.connection", connection);
    }

    /// Records the outcome of sending the request, and how long that took.
    pub fn response<B>(
        &mut self,
        elapsed: impl FnOnce() -> Duration,
        outcome: &Result<Response<B>, CallError>,
    ) {
        self.span.record("dropbox_sign.duration", elapsed().as_secs_f64());
        let (status, remaining) = match outcome {
            Ok(response) => {
                let remaining = RateLimit::from_headers(response.headers()).remaining;
                (Some(response.status()), remaining)
            }
            Err(error) => {
                let rejection = error.rejection();
                (error.status(), rejection.and_then(|rejection| rejection.rate_limit.remaining))
            }
        };
        self.span.record("http.response.status_code", status.map(|status| status.as_u16()));
        self.span.record("dropbox_sign.rate_limit.remaining", remaining);
        self.delivery = match outcome {
            Err(CallError::NotSent(_)) => "not_sent",
            Err(CallError::Unknown { .. }) => "unknown",
            Ok(_) | Err(CallError::Answered(_)) => "answered",
        };
        self.error = match outcome {
            Err(error) => Some(class(error)),
            Ok(response) if is_success(response.status()) => None,
            // Of a response that is retried, only the status is read.
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => Some("throttled"),
            Ok(_) => Some("server_fault"),
        };
    }

    /// Records the result of the call in the span of its last attempt.
    pub fn result<T>(&mut self, result: &Result<T, CallError>) {
        let error = result.as_ref().err();
        self.error = error.map(class);
        self.span.record("dropbox_sign.error_code", error.and_then(code));
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.span.record("dropbox_sign.delivery", self.delivery);
        self.span.record("error.type", self.error);
        self.span.record("otel.status_code", self.error.map(|_| "ERROR"));
    }
}

/// The key of a session in its events.
#[derive(Clone, Default, Debug)]
pub(crate) struct Label(Option<Arc<str>>);

impl Label {
    pub(crate) fn new(key: &Arc<str>) -> Self {
        Self(Some(Arc::clone(key)))
    }

    pub(crate) fn refresh_started(&self) {
        debug!(target: TARGET, { dropbox_sign.session = self.key() }, "refresh started");
    }

    pub(crate) fn claim_taken_over(&self) {
        warn!(target: TARGET, { dropbox_sign.session = self.key() }, "claim taken over");
    }

    pub(crate) fn tokens_stored(&self) {
        info!(target: TARGET, { dropbox_sign.session = self.key() }, "refreshed tokens stored");
    }

    pub(crate) fn refresh_failed(&self, error: &CallError, failures: u32) {
        warn!(
            target: TARGET,
            {
                dropbox_sign.session = self.key(),
                "error.type" = class(error),
                dropbox_sign.error_code = code(error),
                dropbox_sign.failures = failures,
            },
            "refresh failed"
        );
    }

    pub(crate) fn store_failed(&self, failures: u32) {
        let key = self.key();
        warn!(
            target: TARGET,
            { dropbox_sign.session = key, dropbox_sign.failures = failures },
            "store failed"
        );
    }

    fn key(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// The class of an error.
fn class(error: &CallError) -> &'static str {
    match error {
        CallError::NotSent(failure) | CallError::Unknown { failure, .. } => failure.class(),
        CallError::Answered(error) => match error {
            Error::Rejected(_) => "rejected",
            Error::Throttled(_) => "throttled",
            Error::ServerFault(_) => "server_fault",
            Error::RedirectRefused { .. } => "redirect_refused",
            Error::StateMismatch => "state_mismatch",
            Error::Malformed { .. } => "malformed",
            Error::TooLarge { .. } => "too_large",
        },
    }
}

/// The code of an error of the server. One that is not in the list is the server's text.
fn code(error: &CallError) -> Option<&str> {
    match error.rejection()?.code.as_ref()? {
        ErrorCode::Other(_) => Some("other"),
        code => Some(code.as_str()),
    }
}
