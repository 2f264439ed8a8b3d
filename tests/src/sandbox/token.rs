//! `POST /oauth/token`: exchanges a code for tokens or, with `?refresh`, refreshes an access token.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, header::PRAGMA},
    response::IntoResponse,
};
use serde::Serialize;

use super::{
    builder::Builder, credentials, grants::Invalid, parameters::Parameters, refusal::Refusal,
    service::Service,
};

/// The response to an exchange or a refresh. The members have the order of the vendor's example.
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires_in: u64,
    /// Only in the response to an exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

pub(super) async fn token(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let query = query.unwrap_or_default();
    let is_refresh = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "refresh");
    let grant = if is_refresh { refresh } else { generate };
    let parameters = Parameters::from_body(&headers, body).await;
    let result = parameters.and_then(|parameters| grant(&service, &headers, &parameters));
    let result = match result {
        Err(refusal) if service.settings.nested_errors => Err(refusal.into_nested()),
        result => result.map(Json),
    };
    // RFC 6749 §5.1 requires this header in addition to `Cache-Control: no-store`.
    ([(PRAGMA, "no-cache")], result)
}

fn generate(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let client = required_client(parameters)?;
    let code = parameters.required("code")?;
    let grant_type = parameters.required("grant_type")?;
    let state = parameters.required("state")?;
    check(&service.settings, headers, grant_type, "authorization_code", Some(client))?;

    let exchanged = service.grants().exchange(service.clock.now(), code, state);
    let (access_token, refresh_token) = exchanged.map_err(|invalid| {
        let message = match invalid {
            Invalid::Unknown => "The code is unknown",
            Invalid::Expired => "The code has expired",
            Invalid::Used => "The code was already used: its tokens are now revoked",
            Invalid::Revoked => "The user has revoked the grant",
            Invalid::StateDiffers => "The state does not match the authorization",
        };
        Refusal::oauth("invalid_grant", message)
    })?;
    Ok(response(service, access_token, Some(refresh_token), Some(state)))
}

fn refresh(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let settings = &service.settings;
    let grant_type = parameters.required("grant_type")?;
    let refresh_token = parameters.required("refresh_token")?;
    let is_sent = ["client_id", "client_secret"].map(|name| parameters.optional(name).is_some());
    let client = (!settings.refresh_without_credentials || is_sent.contains(&true))
        .then(|| required_client(parameters))
        .transpose()?;
    check(settings, headers, grant_type, "refresh_token", client)?;

    let refreshed = service.grants().refresh(service.clock.now(), refresh_token);
    let (access_token, refresh_token) = refreshed.map_err(|invalid| {
        let message = match invalid {
            Invalid::Used => "The refresh token was already replaced: the grant is now revoked",
            Invalid::Revoked => "The user has revoked the grant",
            Invalid::Unknown | Invalid::Expired | Invalid::StateDiffers => {
                "The refresh token is unknown"
            }
        };
        Refusal::oauth("invalid_grant", message)
    })?;
    Ok(response(service, access_token, refresh_token, None))
}

fn required_client(parameters: &Parameters) -> Result<[&str; 2], Refusal> {
    Ok([parameters.required("client_id")?, parameters.required("client_secret")?])
}

fn check(
    settings: &Builder,
    headers: &HeaderMap,
    grant_type: &str,
    expected: &str,
    client: Option<[&str; 2]>,
) -> Result<(), Refusal> {
    if grant_type != expected {
        let message = format!("grant_type must be {expected} here");
        return Err(Refusal::oauth("unsupported_grant_type", message));
    }
    credentials::check(settings, headers)?;
    let known = [settings.client_id.as_str(), &settings.client_secret];
    if client.is_some_and(|client| client != known) {
        let message = "The client_id or the client_secret is wrong";
        return Err(Refusal::invalid_client(message));
    }
    Ok(())
}

fn response(
    service: &Service,
    access_token: String,
    refresh_token: Option<String>,
    state: Option<&str>,
) -> TokenResponse {
    TokenResponse {
        access_token,
        token_type: "Bearer",
        refresh_token,
        expires_in: service.settings.token_lifetime.as_secs(),
        state: state.map(String::from),
    }
}
