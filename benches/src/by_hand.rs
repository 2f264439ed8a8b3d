//! The work on `serde_json` and `base64`, as people write it for one service: no secret is wiped or
//! kept out of logs, no state compared in constant time, no header of the answer looked at.

use std::{collections::HashMap, sync::Mutex};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, Request, Response, header};
use serde::{Deserialize, Serialize};

use crate::{BoxError, fixture};

/// The name of this subject.
pub const NAME: &str = "by hand";

/// The members of a 200.
#[derive(Deserialize, Debug)]
pub struct Tokens {
    /// The token for the API.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// The token for the next refresh.
    pub refresh_token: Option<String>,
    /// Seconds from now.
    pub expires_in: u64,
    /// The state that was sent.
    pub state: Option<String>,
}

/// The members of a 400.
#[derive(Deserialize, Debug)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

/// Tokens that are kept, and when they expire.
#[derive(Debug)]
pub struct Kept {
    access_token: String,
    expires_at: u64,
}

/// Tokens that are good.
#[must_use]
pub fn kept() -> Kept {
    Kept {
        access_token: fixture::REFRESH_TOKEN.into(),
        expires_at: fixture::NOW + 86_400,
    }
}

/// The access token, if it is good at `now`.
///
/// # Panics
/// If another thread has panicked with the tokens in its hands.
pub fn poll(kept: &Mutex<Kept>, now: u64) -> Option<String> {
    let kept = kept.lock().unwrap();
    (now < kept.expires_at).then(|| kept.access_token.clone())
}

#[derive(Serialize)]
struct Generate<'a> {
    client_id: &'a str,
    client_secret: &'a str,
    code: &'a str,
    grant_type: &'a str,
    state: &'a str,
}

#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of the members"
)]
struct Refresh<'a> {
    grant_type: &'a str,
    refresh_token: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
}

/// Reads a callback.
///
/// # Errors
/// If the code is missing, or the state differs.
pub fn callback(query: &str, state: &str) -> Result<String, BoxError> {
    let mut parameters: HashMap<String, String> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    if parameters.get("state").is_none_or(|it| it != state) {
        return Err("another state".into());
    }
    Ok(parameters.remove("code").ok_or("no code")?)
}

/// The request that exchanges a code.
///
/// # Errors
/// If `url` is none.
pub fn build(url: &str, code: &str, state: &str) -> Result<Request<Vec<u8>>, BoxError> {
    let body = serde_json::to_vec(&Generate {
        client_id: fixture::CLIENT_ID,
        client_secret: fixture::CLIENT_SECRET,
        code,
        grant_type: "authorization_code",
        state,
    })?;
    post(url, body)
}

/// The request that refreshes a token.
///
/// # Errors
/// If `url` is none.
pub fn build_refresh(url: &str, refresh_token: &str) -> Result<Request<Vec<u8>>, BoxError> {
    let body = serde_json::to_vec(&Refresh {
        grant_type: "refresh_token",
        refresh_token,
        client_id: fixture::CLIENT_ID,
        client_secret: fixture::CLIENT_SECRET,
    })?;
    post(url, body)
}

fn post(url: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>, BoxError> {
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

/// Reads the response to either.
///
/// # Errors
/// If the status is no success, or the body is not what was expected.
pub fn parse(response: &Response<impl AsRef<[u8]>>) -> Result<Tokens, BoxError> {
    let body = response.body().as_ref();
    if response.status().is_success() {
        return Ok(serde_json::from_slice(body)?);
    }
    let refusal: Refusal = serde_json::from_slice(body)?;
    let description = refusal.error_description.unwrap_or_default();
    Err(format!("{}: {}: {description}", response.status(), refusal.error).into())
}

/// Builds the request, and reads the response to it.
///
/// # Errors
/// As [`parse`].
pub fn exchange(url: &str, code: &str, response: &Response<Vec<u8>>) -> Result<Tokens, BoxError> {
    drop(std::hint::black_box(build(url, code, fixture::STATE)?));
    parse(response)
}
