//! The work with `serde_json` and `base64`, as an application would write it for this service
//! alone.
//!
//! Secrets are neither wiped nor redacted, states are not compared in constant time, and the
//! headers of responses are ignored.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::{BoxError, fixture};

/// The name of this subject.
pub const NAME: &str = "by hand";

/// The tokens of a 200.
#[derive(Deserialize, Debug)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The lifetime in seconds.
    pub expires_in: u64,
    /// The state of the request.
    pub state: Option<String>,
}

/// The body of an error response.
#[derive(Deserialize, Debug)]
struct Refusal {
    error: Code,
    error_description: Option<String>,
}

/// The `error` member, in the shape of RFC 6749 §5.2 or of the vendor's API.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Code {
    Rfc(String),
    Vendor { error_name: String, error_msg: Option<String>, error_path: Option<String> },
}

/// The server rejected the request.
#[derive(Debug)]
struct Refused(StatusCode, Refusal);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, message, path) = match &self.1.error {
            Code::Rfc(code) => (code, &self.1.error_description, &None),
            Code::Vendor { error_name, error_msg, error_path } => {
                (error_name, error_msg, error_path)
            }
        };
        write!(f, "{}: {code}: {message:?} {path:?}", self.0)
    }
}

impl std::error::Error for Refused {}

#[derive(Serialize)]
struct Body<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    grant_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

/// Builds the request that exchanges a code.
///
/// # Errors
/// If `url` is invalid.
pub fn build(url: &str, code: &str, state: &str) -> Result<Request<Vec<u8>>, BoxError> {
    post(url, "authorization_code", Some((code, state)), None)
}

/// Builds the request that refreshes a token.
///
/// # Errors
/// If `url` is invalid.
pub fn build_refresh(url: &str, refresh_token: &str) -> Result<Request<Vec<u8>>, BoxError> {
    post(url, "refresh_token", None, Some(refresh_token))
}

fn post(
    url: &str,
    grant_type: &str,
    code: Option<(&str, &str)>,
    refresh_token: Option<&str>,
) -> Result<Request<Vec<u8>>, BoxError> {
    let body = serde_json::to_vec(&Body {
        client_id: fixture::CLIENT_ID,
        client_secret: fixture::CLIENT_SECRET,
        code: code.map(|(code, _)| code),
        refresh_token,
        grant_type,
        state: code.map(|(_, state)| state),
    })?;
    let pair = format!("{}:{}", fixture::CLIENT_ID, fixture::CLIENT_SECRET);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
    let json = HeaderValue::from_static("application/json");
    Ok(Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, json.clone())
        .header(header::ACCEPT, json)
        .header(header::USER_AGENT, HeaderValue::from_static("by-hand/0.1"))
        .header(header::AUTHORIZATION, basic)
        .body(body)?)
}

/// Parses the response to either request.
///
/// # Errors
/// If the server rejected the request or the body is not the expected JSON.
pub fn parse(response: &Response<impl AsRef<[u8]>>) -> Result<Tokens, BoxError> {
    let body = response.body().as_ref();
    if response.status().is_success() {
        return Ok(serde_json::from_slice(body)?);
    }
    let refusal = serde_json::from_slice(body)?;
    Err(Refused(response.status(), refusal).into())
}

/// Builds the request and parses the response.
///
/// # Errors
/// As [`parse`].
pub fn exchange(url: &str, code: &str, response: &Response<Vec<u8>>) -> Result<Tokens, BoxError> {
    drop(std::hint::black_box(build(url, code, fixture::STATE)?));
    parse(response)
}
