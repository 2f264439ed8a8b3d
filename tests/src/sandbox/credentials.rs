//! Parses and checks the `Authorization` header.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    refusal::Refusal,
    service::{Basic, Settings},
};

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
pub(super) fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let credentials = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    let (user, password) = credentials.split_once(':')?;
    Some((user.into(), password.into()))
}

/// Checks the header of a token request. The settings decide whether it is required.
pub(super) fn check(settings: &Settings, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) if settings.basic == Basic::Required => return refuse("is missing"),
        (None, _) => return Ok(()),
        (Some(value), None) => value.to_str().unwrap_or("?"),
        (Some(_), Some(_)) => return refuse("is duplicated"),
    };
    if scheme(value) != "Basic" {
        let other = match scheme(value) {
            "" => "no scheme",
            other => other,
        };
        return refuse(&format!("has {other}"));
    }
    let is_lenient = settings.basic == Basic::Lenient;
    match basic(value) {
        Some((user, password)) if settings.is_known(&user, &password) => Ok(()),
        Some((user, _)) if is_lenient && user.is_empty() => Ok(()),
        None if is_lenient => Ok(()),
        Some(_) => refuse("has other credentials"),
        None => refuse("is not Base64 of a user name and password"),
    }
}

fn refuse(problem: &str) -> Result<(), Refusal> {
    Err(Refusal::invalid_client(format!(
        "The Authorization header {problem}; \
         expected `Basic base64(form(client_id):form(client_secret))`"
    )))
}

impl Settings {
    pub(super) fn is_api_key(&self, user: &str, password: &str) -> bool {
        self.api_key.as_deref() == Some(user) && password.is_empty()
    }

    fn is_known(&self, user: &str, password: &str) -> bool {
        let is_client = form_decoded(user).as_ref() == Some(&self.client_id)
            && form_decoded(password).as_ref() == Some(&self.client_secret);
        self.is_api_key(user, password) || is_client
    }
}

/// Decodes the user name or password of a client, which are form-encoded (RFC 6749 §2.3.1).
fn form_decoded(half: &str) -> Option<String> {
    if half.contains(['&', '=']) {
        return None;
    }
    let (decoded, _) = form_urlencoded::parse(half.as_bytes()).next()?;
    Some(decoded.into_owned())
}
