//! Parses and checks the `Authorization` header.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{builder::Builder, refusal::Refusal};

/// Returns the scheme of a header value, or the empty string if there is no value. An unknown
/// scheme is returned as a description, because a value without a scheme may be a secret.
pub(super) fn scheme(value: &str) -> &'static str {
    let scheme = value.split(' ').next().unwrap_or_default();
    let known = ["Basic", "Bearer", "Digest", "Token"];
    match known.iter().find(|name| name.eq_ignore_ascii_case(scheme)) {
        Some(name) => name,
        None if scheme.is_empty() => "",
        None => "another scheme",
    }
}

/// Decodes the user name and password of a Basic header (RFC 7617 §2).
fn basic(value: &str) -> Option<(String, String)> {
    let (_, credentials) = value.split_once(' ')?;
    let credentials = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    let (user, password) = credentials.split_once(':')?;
    Some((user.into(), password.into()))
}

/// Checks the header of a token request. The settings decide whether it is required.
pub(super) fn check(settings: &Builder, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let problem = match (values.next(), values.next()) {
        (None, _) if settings.require_basic => "is missing",
        (None, _) => return Ok(()),
        (Some(_), Some(_)) => "is duplicated",
        (Some(value), None) => {
            let value = value.to_str().unwrap_or_default();
            match (scheme(value), basic(value)) {
                ("Basic", Some(credentials)) if is_known(settings, &credentials) => return Ok(()),
                ("Basic", Some(_)) => "has other credentials",
                ("Basic", None) => "is not Base64 of a user name and password",
                _ => "has another scheme",
            }
        }
    };
    Err(Refusal::invalid_client(format!(
        "The Authorization header {problem}; \
         expected `Basic base64(form(client_id):form(client_secret))`"
    )))
}

/// Returns whether a Basic header contains the API key of the settings.
pub(super) fn is_api_key(settings: &Builder, value: &str) -> bool {
    let key = settings.api_key.as_deref();
    basic(value).is_some_and(|(user, password)| key == Some(&user) && password.is_empty())
}

fn is_known(settings: &Builder, (user, password): &(String, String)) -> bool {
    let is_api_key = settings.api_key.as_ref() == Some(user) && password.is_empty();
    let is_client = form_decoded(user).as_ref() == Some(&settings.client_id)
        && form_decoded(password).as_ref() == Some(&settings.client_secret);
    is_api_key || is_client
}

/// Decodes the user name or password of a client, which are form-encoded (RFC 6749 §2.3.1).
fn form_decoded(half: &str) -> Option<String> {
    if half.contains(['&', '=']) {
        return None;
    }
    let (decoded, _) = form_urlencoded::parse(half.as_bytes()).next()?;
    Some(decoded.into_owned())
}
