//! Error responses, in the vendor's two shapes.

use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use serde_json::json;

type Text = Cow<'static, str>;

/// An error response.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Text,
    /// Whether the code and message are `error` and `error_description`, instead of `error_name`
    /// and `error_msg` within `error`.
    is_flat: bool,
    /// The value of `WWW-Authenticate`.
    challenge: Option<&'static str>,
}

/// The message of an error response: an extension of the response, for the log.
#[derive(Clone)]
pub(super) struct Reason(pub(super) Text);

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Text>) -> Self {
        Self { status, code, message: message.into(), is_flat: false, challenge: None }
    }

    /// The body cannot be read, or a parameter is missing.
    pub(super) fn bad_request(message: impl Into<Text>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// An error of the token endpoint whose code is in RFC 6749 §5.2.
    pub(super) fn oauth(code: &'static str, message: impl Into<Text>) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, code, message);
        Self { is_flat: true, ..refusal }
    }

    /// Always has a challenge. RFC 6749 §5.2 requires it if the request has an `Authorization`
    /// header, and allows it otherwise.
    pub(super) fn invalid_client(message: impl Into<Text>) -> Self {
        let refusal = Self::oauth("invalid_client", message);
        let challenge = Some("Basic realm=\"Dropbox Sign sandbox\"");
        Self { status: StatusCode::UNAUTHORIZED, challenge, ..refusal }
    }

    /// The bearer token is missing or invalid. `challenge` is described in RFC 6750 §3.
    pub(super) fn unauthorized(message: &str, challenge: &'static str) -> Self {
        let message = format!("Unauthorized user. {message}");
        let refusal = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        Self { challenge: Some(challenge), ..refusal }
    }

    pub(super) fn into_nested(self) -> Self {
        Self { is_flat: false, ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = if self.is_flat {
            json!({ "error": self.code, "error_description": self.message })
        } else {
            json!({ "error": { "error_msg": self.message, "error_name": self.code } })
        };
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(Reason(self.message));
        let challenge = self.challenge.map(HeaderValue::from_static);
        response.headers_mut().extend(challenge.map(|value| (WWW_AUTHENTICATE, value)));
        response
    }
}
