//! `POST /oauth/token`: a code for tokens; with `?refresh`, a refresh token for an access token.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{
        HeaderMap,
        header::{AUTHORIZATION, PRAGMA},
    },
    response::IntoResponse,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::{
    grants::{Fresh, NotGood},
    parameters::Parameters,
    random,
    refusal::Refusal,
    request_body,
    service::{Service, Settings},
};

/// The answer to both, in the order of the vendor's example.
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires_in: u64,
    /// Only a code has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

pub(super) async fn token(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let answer = match request_body::read(&headers, body).await {
        Ok(parameters) if is_refresh(query.as_deref()) => refresh(&service, &headers, &parameters),
        Ok(parameters) => generate(&service, &headers, &parameters),
        Err(refusal) => Err(refusal),
    };
    // `Cache-Control: no-store` is on every answer; RFC 6749 §5.1 asks for this too.
    ([(PRAGMA, "no-cache")], answer.map(Json))
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
        return Err(Refusal::unsupported_grant_type(
            "grant_type must be authorization_code here",
        ));
    }
    check_header(&service.settings, headers)?;
    check_client(&service.settings, client_id, client_secret)?;

    let now = service.clock.now();
    let issued = service
        .grants()
        .exchange(now, code, state, fresh())
        .map_err(|not_good| {
            Refusal::invalid_grant(match not_good {
                NotGood::Unknown => "The code is not known",
                NotGood::Expired => "The code has expired",
                NotGood::Spent => "The code was used before: its tokens are now revoked",
                NotGood::Revoked => "The user has revoked the grant",
                NotGood::StateDiffers => "The state is not the one of the authorization",
            })
        })?;
    Ok(TokenResponse {
        access_token: issued.access_token,
        token_type: "Bearer",
        refresh_token: issued.refresh_token,
        expires_in: service.settings.token_lifetime.as_secs(),
        state: Some(state.into()),
    })
}

fn refresh(
    service: &Service,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let settings = &service.settings;
    let grant_type = parameters.required("grant_type")?;
    let refresh_token = parameters.required("refresh_token")?;
    let client = ["client_id", "client_secret"];
    let sent = client
        .iter()
        .any(|name| parameters.optional(name).is_some());
    let client = if settings.refresh_needs_credentials || sent {
        let [id, secret] = client.map(|name| parameters.required(name));
        Some((id?, secret?))
    } else {
        None
    };
    if grant_type != "refresh_token" {
        return Err(Refusal::unsupported_grant_type(
            "grant_type must be refresh_token here",
        ));
    }
    check_header(settings, headers)?;
    if let Some((id, secret)) = client {
        check_client(settings, id, secret)?;
    }

    let now = service.clock.now();
    let issued = service
        .grants()
        .refresh(now, refresh_token, fresh())
        .map_err(|not_good| {
            Refusal::invalid_grant(match not_good {
                NotGood::Spent => "The refresh token was replaced before: the grant is now revoked",
                NotGood::Revoked => "The user has revoked the grant",
                NotGood::Unknown | NotGood::Expired | NotGood::StateDiffers => {
                    "The refresh token is not known"
                }
            })
        })?;
    Ok(TokenResponse {
        access_token: issued.access_token,
        token_type: "Bearer",
        refresh_token: issued.refresh_token,
        expires_in: settings.token_lifetime.as_secs(),
        state: None,
    })
}

fn fresh() -> Fresh {
    Fresh {
        access_token: random::token(),
        refresh_token: random::token(),
    }
}

fn check_client(settings: &Settings, id: &str, secret: &str) -> Result<(), Refusal> {
    if id == settings.client_id && secret == settings.client_secret {
        Ok(())
    } else {
        Err(Refusal::invalid_client(
            "The client_id or the client_secret is wrong",
        ))
    }
}

/// Checks the `Authorization` header, which must be there only if the settings say so.
fn check_header(settings: &Settings, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let good = match (values.next(), values.next()) {
        (None, _) if settings.basic_required => {
            return Err(Refusal::invalid_client(
                "The Authorization header is missing",
            ));
        }
        (None, _) => true,
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(basic)
            .is_some_and(|(user, password)| is_known(settings, &user, &password)),
        (Some(_), Some(_)) => false,
    };
    if good {
        Ok(())
    } else {
        Err(Refusal::invalid_client("The Authorization header is wrong"))
    }
}

/// The user name and password of a Basic header (RFC 7617 §2).
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    let (user, password) = credentials.split_once(':')?;
    Some((user.into(), password.into()))
}

fn is_known(settings: &Settings, user: &str, password: &str) -> bool {
    let is_api_key = settings.api_key.as_deref() == Some(user) && password.is_empty();
    let is_client = form_decoded(user).as_ref() == Some(&settings.client_id)
        && form_decoded(password).as_ref() == Some(&settings.client_secret);
    is_api_key || is_client
}

/// Half of the client's Basic credentials, which RFC 6749 §2.3.1 has form-encoded.
fn form_decoded(half: &str) -> Option<String> {
    if half.contains(['&', '=']) {
        return None;
    }
    let (decoded, _) = form_urlencoded::parse(half.as_bytes()).next()?;
    Some(decoded.into_owned())
}
