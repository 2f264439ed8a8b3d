//! Errors, in the two shapes that the vendor has for them.

use std::borrow::Cow;

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{ALLOW, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    shape: Shape,
    /// The value of `WWW-Authenticate`.
    challenge: Option<&'static str>,
    /// The value of `Allow`.
    allow: Option<&'static str>,
}

#[derive(Serialize, Debug)]
#[serde(untagged)]
enum Shape {
    /// Of everything below `/v3`, and of the token endpoint for what is wrong with the request as
    /// such.
    Nested { error: Nested },
    /// Of the token endpoint (RFC 6749 §5.2).
    Flat {
        error: &'static str,
        error_description: Cow<'static, str>,
    },
}

#[derive(Serialize, Debug)]
struct Nested {
    error_msg: Cow<'static, str>,
    error_name: &'static str,
}

impl Refusal {
    /// The body cannot be read, or lacks something.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::nested(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A missing parameter, in the words of the live service.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::bad_request(format!("Parameter {parameter} is missing"))
    }

    /// The bearer token is missing or not good; `challenge` is of RFC 6750 §3.
    pub(super) fn unauthorized(message: &'static str, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::nested(StatusCode::UNAUTHORIZED, "unauthorized", message)
        }
    }

    pub(super) fn not_found() -> Self {
        Self::nested(StatusCode::NOT_FOUND, "not_found", "Not found.")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::nested(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_supported",
                "This method is not supported here.",
            )
        }
    }

    /// The vendor documents no code for it.
    pub(super) fn body_too_large() -> Self {
        Self::nested(
            StatusCode::PAYLOAD_TOO_LARGE,
            "bad_request",
            "The body is too large.",
        )
    }

    pub(super) fn exceeded_rate() -> Self {
        Self::nested(
            StatusCode::TOO_MANY_REQUESTS,
            "exceeded_rate",
            "Too many requests.",
        )
    }

    pub(super) fn invalid_request(description: String) -> Self {
        Self::flat(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// With the challenge that RFC 6749 §5.2 asks for when the client tried the header, and allows
    /// otherwise.
    pub(super) fn invalid_client(description: &'static str) -> Self {
        Self {
            challenge: Some("Basic realm=\"Dropbox Sign sandbox\""),
            ..Self::flat(StatusCode::UNAUTHORIZED, "invalid_client", description)
        }
    }

    pub(super) fn invalid_grant(description: &'static str) -> Self {
        Self::flat(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    pub(super) fn unsupported_grant_type(description: &'static str) -> Self {
        Self::flat(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            description,
        )
    }

    fn nested(
        status: StatusCode,
        error_name: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let error_msg = message.into();
        let error = Nested {
            error_msg,
            error_name,
        };
        Self::new(status, Shape::Nested { error })
    }

    fn flat(
        status: StatusCode,
        error: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let error_description = description.into();
        Self::new(
            status,
            Shape::Flat {
                error,
                error_description,
            },
        )
    }

    fn new(status: StatusCode, shape: Shape) -> Self {
        Self {
            status,
            shape,
            challenge: None,
            allow: None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.shape)).into_response();
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
