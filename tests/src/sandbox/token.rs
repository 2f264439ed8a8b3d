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
    credentials,
    grants::{Fresh, Invalid, Issued},
    parameters::Parameters,
    random,
    refusal::Refusal,
    request_body,
    service::{Service, Settings},
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
    let result = match request_body::read(&headers, body).await {
        Ok(parameters) if is_refresh(query.as_deref()) => refresh(&service, &headers, &parameters),
        Ok(parameters) => generate(&service, &headers, &parameters),
        Err(refusal) => Err(refusal),
    };
    let result = match result {
        Err(refusal) if service.settings.nested_errors => Err(refusal.into_nested()),
        result => result.map(Json),
    };
    // RFC 6749 §5.1 requires this header in addition to `Cache-Control: no-store`.
    ([(PRAGMA, "no-cache")], result)
}

fn is_refresh(query: Option<&str>) -> bool {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == "refresh")
}

fn generate(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let client_id = parameters.required("client_id")?;
    let client_secret = parameters.required("client_secret")?;
    let code = parameters.required("code")?;
    let grant_type = parameters.required("grant_type")?;
    let state = parameters.required("state")?;
    if grant_type != "authorization_code" {
        let message = "grant_type must be authorization_code here";
        return Err(Refusal::unsupported_grant_type(message));
    }
    credentials::check(&service.settings, headers)?;
    check_client(&service.settings, client_id, client_secret)?;

    let now = service.clock.now();
    let issued = service.grants().exchange(now, code, state, fresh());
    let issued = issued.map_err(|invalid| {
        Refusal::invalid_grant(match invalid {
            Invalid::Unknown => "The code is unknown",
            Invalid::Expired => "The code has expired",
            Invalid::Used => "The code was already used: its tokens are now revoked",
            Invalid::Revoked => "The user has revoked the grant",
            Invalid::StateDiffers => "The state does not match the authorization",
        })
    })?;
    Ok(response(service, issued, Some(state)))
}

fn refresh(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let settings = &service.settings;
    let grant_type = parameters.required("grant_type")?;
    let refresh_token = parameters.required("refresh_token")?;
    let names = ["client_id", "client_secret"];
    let is_sent = names.iter().any(|name| parameters.optional(name).is_some());
    let client = if settings.refresh_needs_credentials || is_sent {
        let [id, secret] = names.map(|name| parameters.required(name));
        Some((id?, secret?))
    } else {
        None
    };
    if grant_type != "refresh_token" {
        let message = "grant_type must be refresh_token here";
        return Err(Refusal::unsupported_grant_type(message));
    }
    credentials::check(settings, headers)?;
    if let Some((id, secret)) = client {
        check_client(settings, id, secret)?;
    }

    let now = service.clock.now();
    let issued = service.grants().refresh(now, refresh_token, fresh());
    let issued = issued.map_err(|invalid| {
        Refusal::invalid_grant(match invalid {
            Invalid::Used => "The refresh token was already replaced: the grant is now revoked",
            Invalid::Revoked => "The user has revoked the grant",
            Invalid::Unknown | Invalid::Expired | Invalid::StateDiffers => {
                "The refresh token is unknown"
            }
        })
    })?;
    Ok(response(service, issued, None))
}

fn fresh() -> Fresh {
    Fresh { access_token: random::token(), refresh_token: random::token() }
}

fn response(service: &Service, issued: Issued, state: Option<&str>) -> TokenResponse {
    TokenResponse {
        access_token: issued.access_token,
        token_type: "Bearer",
        refresh_token: issued.refresh_token,
        expires_in: service.settings.token_lifetime.as_secs(),
        state: state.map(String::from),
    }
}

fn check_client(settings: &Settings, id: &str, secret: &str) -> Result<(), Refusal> {
    if id == settings.client_id && secret == settings.client_secret {
        Ok(())
    } else {
        let message = "The client_id or the client_secret is wrong";
        Err(Refusal::invalid_client(message))
    }
}
