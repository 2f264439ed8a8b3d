//! Error responses, in the vendor's two shapes.

use std::borrow::Cow;

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{ALLOW, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error response. The code and message are `error` and `error_description` in [`Shape::Flat`],
/// and `error_name` and `error_msg` in [`Shape::Nested`].
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    shape: Shape,
    /// The value of `WWW-Authenticate`.
    challenge: Option<&'static str>,
    /// The value of `Allow`.
    allow: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// The shape of all errors that are not [`Flat`](Self::Flat).
    Nested,
    /// The shape of errors of the token endpoint whose code is in RFC 6749 §5.2.
    Flat,
}

/// The message of an error response: an extension of the response, for the log.
#[derive(Clone)]
pub(super) struct Reason(pub(super) Cow<'static, str>);

impl Refusal {
    fn new(
        shape: Shape,
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, message: message.into(), shape, challenge: None, allow: None }
    }

    fn nested(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Shape::Nested, status, code, message)
    }

    fn flat(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Shape::Flat, StatusCode::BAD_REQUEST, code, message)
    }

    /// The body cannot be read, or a parameter is missing.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::nested(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A parameter is missing. The message is that of the live service.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::bad_request(format!("Parameter {parameter} is missing"))
    }

    /// The bearer token is missing or invalid. `challenge` is described in RFC 6750 §3.
    pub(super) fn unauthorized(message: String, challenge: &'static str) -> Self {
        let mut refusal = Self::nested(StatusCode::UNAUTHORIZED, "unauthorized", message);
        refusal.challenge = Some(challenge);
        refusal
    }

    pub(super) fn not_found() -> Self {
        Self::nested(StatusCode::NOT_FOUND, "not_found", "Not found.")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let message = "This method is not supported here.";
        let mut refusal = Self::nested(status, "method_not_supported", message);
        refusal.allow = Some(allow);
        refusal
    }

    /// The vendor documents no code for this error, so it is `bad_request`.
    pub(super) fn body_too_large() -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::nested(status, "bad_request", "The body is too large.")
    }

    pub(super) fn exceeded_rate() -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::nested(status, "exceeded_rate", "Too many requests.")
    }

    pub(super) fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::nested(status, "unavailable", "The service is unavailable.")
    }

    pub(super) fn invalid_request(message: String) -> Self {
        Self::flat("invalid_request", message)
    }

    /// Always has a challenge. RFC 6749 §5.2 requires it if the request has an `Authorization`
    /// header, and allows it otherwise.
    pub(super) fn invalid_client(message: impl Into<Cow<'static, str>>) -> Self {
        let mut refusal = Self::flat("invalid_client", message);
        refusal.status = StatusCode::UNAUTHORIZED;
        refusal.challenge = Some("Basic realm=\"Dropbox Sign sandbox\"");
        refusal
    }

    pub(super) fn invalid_grant(message: &'static str) -> Self {
        Self::flat("invalid_grant", message)
    }

    pub(super) fn unsupported_grant_type(message: &'static str) -> Self {
        Self::flat("unsupported_grant_type", message)
    }

    /// Changes the shape to the nested one.
    pub(super) fn into_nested(mut self) -> Self {
        self.shape = Shape::Nested;
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = match self.shape {
            Shape::Nested => json!({
                "error": { "error_msg": self.message, "error_name": self.code },
            }),
            Shape::Flat => json!({ "error": self.code, "error_description": self.message }),
        };
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(Reason(self.message));
        let headers = [(WWW_AUTHENTICATE, self.challenge), (ALLOW, self.allow)];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
