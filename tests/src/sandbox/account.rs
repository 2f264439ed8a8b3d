//! `GET /v3/account`: whose access token it is.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header::AUTHORIZATION},
};
use serde_json::{Value, json};

use super::{ACCOUNT_ID, EMAIL_ADDRESS, grants::NotGood, refusal::Refusal, service::Service};

/// Of RFC 6750 §3: a request without credentials is told no error code.
const NO_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\"";
const INVALID_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\", error=\"invalid_token\"";

pub(super) async fn account(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let token = bearer(&headers).ok_or_else(|| {
        Refusal::unauthorized("Unauthorized user. No credentials supplied.", NO_TOKEN)
    })?;
    service
        .grants()
        .check(service.clock.now(), token)
        .map_err(|not_good| Refusal::unauthorized(message(not_good), INVALID_TOKEN))?;
    // The members of the vendor's `AccountResponse`, with the values of its example.
    Ok(Json(json!({
        "account": {
            "account_id": ACCOUNT_ID,
            "email_address": EMAIL_ADDRESS,
            "is_locked": false,
            "is_paid_hs": true,
            "is_paid_hf": false,
            "quotas": {
                "api_signature_requests_left": 1250,
                "documents_left": null,
                "templates_total": null,
                "templates_left": null,
                "sms_verifications_left": null,
                "num_fax_pages_left": null,
            },
            "callback_url": null,
            "role_code": null,
            "team_id": null,
            "locale": "en-US",
            "usage": { "fax_pages_sent": null },
            "settings": {
                "signer_access_codes": false,
                "sms_delivery": false,
                "sms_authentication": false,
            },
        },
    })))
}

/// The token of `Authorization: Bearer …`, if there is one such header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn message(not_good: NotGood) -> &'static str {
    match not_good {
        NotGood::Expired => "Unauthorized user. The access token has expired.",
        NotGood::Revoked => "Unauthorized user. The access token was revoked.",
        NotGood::Unknown | NotGood::Spent | NotGood::StateDiffers => {
            "Unauthorized user. The access token is not known."
        }
    }
}
