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
    ACCOUNT_ID, EMAIL_ADDRESS, SECOND_ACCOUNT_ID, SECOND_EMAIL_ADDRESS,
    credentials::{basic, scheme},
    grants::Invalid,
    refusal::Refusal,
    service::Service,
};

/// RFC 6750 §3: a request without credentials gets no error code.
const NO_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\"";
const INVALID_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\", error=\"invalid_token\"";

/// A user of the sandbox.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub(super) id: &'static str,
    pub(super) email_address: &'static str,
}

pub(super) static ACCOUNTS: [Account; 2] = [
    Account { id: ACCOUNT_ID, email_address: EMAIL_ADDRESS },
    Account { id: SECOND_ACCOUNT_ID, email_address: SECOND_EMAIL_ADDRESS },
];

pub(super) async fn account(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Refusal> {
    let account = authenticate(&service, &headers)?;
    Ok(([(CONTENT_TYPE, "application/json")], body(account)))
}

fn authenticate(service: &Service, headers: &HeaderMap) -> Result<&'static Account, Refusal> {
    let value = headers.get(AUTHORIZATION);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let refuse = |reason: &str, challenge| {
        Err(Refusal::unauthorized(format!("Unauthorized user. {reason}"), challenge))
    };
    match (scheme(value), value.split_once(' ')) {
        ("Bearer", Some((_, token))) => {
            let now = service.clock.now();
            let account = service.grants().check(now, token);
            account.or_else(|invalid| refuse(message(invalid), INVALID_TOKEN))
        }
        ("Basic", _) if service.settings.api_key.is_some() => match basic(value) {
            Some((key, password)) if service.settings.is_api_key(&key, &password) => {
                Ok(&ACCOUNTS[0])
            }
            _ => refuse("The API key is unknown.", NO_TOKEN),
        },
        ("", _) => refuse("No credentials supplied.", NO_TOKEN),
        (scheme, _) => refuse(
            &format!("Expected `Authorization: Bearer ACCESS_TOKEN`, but received {scheme}."),
            NO_TOKEN,
        ),
    }
}

fn message(invalid: Invalid) -> &'static str {
    match invalid {
        Invalid::Expired => "The access token has expired.",
        Invalid::Revoked => "The access token was revoked.",
        Invalid::Unknown | Invalid::Used | Invalid::StateDiffers => "The access token is unknown.",
    }
}

/// Returns an `AccountResponse` with the values and the member order of the vendor's example.
fn body(account: &Account) -> String {
    let Account { id, email_address } = account;
    format!(
        r#"{{"account":{{"account_id":"{id}","email_address":"{email_address}","is_locked":false,"is_paid_hs":true,"is_paid_hf":false,"quotas":{{"api_signature_requests_left":1250,"documents_left":null,"templates_total":null,"templates_left":null,"sms_verifications_left":null,"num_fax_pages_left":null}},"callback_url":null,"role_code":null,"team_id":null,"locale":"en-US","usage":{{"fax_pages_sent":null}},"settings":{{"signer_access_codes":false,"sms_delivery":false,"sms_authentication":false}}}}}}"#
    )
}
