//! `GET /v3/account`: returns the account of an access token.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{
        HeaderMap,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    response::IntoResponse,
};

use super::{
    ACCOUNT_ID, EMAIL_ADDRESS,
    credentials::{is_api_key, scheme},
    grants::Invalid,
    refusal::Refusal,
    service::Service,
};

const NO_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\"";
const INVALID_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\", error=\"invalid_token\"";

pub(super) async fn account(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Refusal> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    let email_address = match (scheme(value), value.split_once(' ')) {
        ("Bearer", Some((_, token))) => {
            let account = service.grants().account(service.clock.now(), token);
            account.map_err(|invalid| Refusal::unauthorized(message(invalid), INVALID_TOKEN))?
        }
        ("Basic", _) if is_api_key(&service.settings, value) => {
            service.settings.accounts[0].as_str().into()
        }
        ("", _) => return Err(Refusal::unauthorized("No credentials supplied.", NO_TOKEN)),
        (scheme, _) => {
            let message =
                format!("Expected `Authorization: Bearer ACCESS_TOKEN`, but received {scheme}.");
            return Err(Refusal::unauthorized(&message, NO_TOKEN));
        }
    };
    Ok(([(CONTENT_TYPE, "application/json")], body(&email_address)))
}

fn message(invalid: Invalid) -> &'static str {
    match invalid {
        Invalid::Expired => "The access token has expired.",
        Invalid::Revoked => "The access token was revoked.",
        Invalid::Unknown | Invalid::Used | Invalid::StateDiffers => "The access token is unknown.",
    }
}

/// Returns an `AccountResponse` with the values and the member order of the vendor's example.
fn body(email_address: &str) -> String {
    let id = match email_address {
        EMAIL_ADDRESS => ACCOUNT_ID.into(),
        // The address in hexadecimal.
        _ => email_address.bytes().fold(String::new(), |id, byte| format!("{id}{byte:02x}")),
    };
    let email_address = serde_json::Value::from(email_address);
    format!(
        r#"{{"account":{{"account_id":"{id}","email_address":{email_address},"is_locked":false,"is_paid_hs":true,"is_paid_hf":false,"quotas":{{"api_signature_requests_left":1250,"documents_left":null,"templates_total":null,"templates_left":null,"sms_verifications_left":null,"num_fax_pages_left":null}},"callback_url":null,"role_code":null,"team_id":null,"locale":"en-US","usage":{{"fax_pages_sent":null}},"settings":{{"signer_access_codes":false,"sms_delivery":false,"sms_authentication":false}}}}}}"#
    )
}
