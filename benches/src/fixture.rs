//! The vendor's documented example.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// A client id.
pub const CLIENT_ID: &str = "cc91c61d00f8bb2ece1428035716b";
/// A client secret.
pub const CLIENT_SECRET: &str = "1d14434088507ffa390e6f5528465";
/// A code.
pub const CODE: &str = "1b0d28d90c86c141";
/// The state of one authorization.
pub const STATE: &str = "900e06e2";
/// A refresh token.
pub const REFRESH_TOKEN: &str = "hNTI2MTFmM2VmZDQxZTZjOWRmZmFjZmVmMGMyNGFjMzI2MGI5YzgzNmE3";
/// The token endpoint.
pub const TOKEN_URL: &str = "https://app.hellosign.com/oauth/token";

/// The body of a 200.
pub const TOKENS: &str = r#"{"access_token":"NWNiOTMxOGFkOGVjMDhhNTAxZN2NkNjgxMjMwOWJiYTEzZTBmZGUzMjMThhMzYyMzc=","token_type":"Bearer","refresh_token":"hNTI2MTFmM2VmZDQxZTZjOWRmZmFjZmVmMGMyNGFjMzI2MGI5YzgzNmE3","expires_in":86400,"state":"900e06e2"}"#;
/// The body of a 400 in the shape of RFC 6749 §5.2.
pub const RFC_REFUSAL: &str =
    r#"{"error":"invalid_grant","error_description":"Authorization code is invalid or expired."}"#;
/// The body of a 400 in the shape of the vendor's API.
pub const VENDOR_REFUSAL: &str = r#"{"error":{"error_msg":"Authorization code is invalid or expired.","error_name":"invalid_grant"}}"#;

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_TYPE, "application/json"),
    (HeaderName::from_static("x-ratelimit-limit"), "100"),
    (HeaderName::from_static("x-ratelimit-limit-remaining"), "99"),
    (HeaderName::from_static("x-ratelimit-reset"), "1700000000"),
];

/// Returns a response with the vendor's headers.
#[must_use]
pub fn response(status: StatusCode, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}

/// Returns the 200.
#[must_use]
pub fn success() -> Response<Vec<u8>> {
    response(StatusCode::OK, TOKENS)
}

/// Returns a 400 with this body.
#[must_use]
pub fn refusal(body: &str) -> Response<Vec<u8>> {
    response(StatusCode::BAD_REQUEST, body)
}
