//! `GET /v3/account`.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use http::StatusCode;

use crate::client::{
    REFRESH, TOKEN, bearer, error, generate_body, get_account, header, invalid, invalid_grant,
    json_body, log_in, nested, post_json, refresh_body, start, state, tokens, valid, with,
};

#[test]
fn returns_the_account_in_the_vendors_order() {
    let sandbox = Sandbox::start().unwrap();
    let (access_token, _) = log_in(&sandbox);
    for scheme in ["Bearer", "bearer"] {
        let response = get_account(&sandbox, &format!("{scheme} {access_token}"));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(
            response.body(),
            "{\"account\":{\
             \"account_id\":\"5008b25c7f67153e57d5a357b1687968068fb465\",\
             \"email_address\":\"me@dropboxsign.com\",\
             \"is_locked\":false,\"is_paid_hs\":true,\"is_paid_hf\":false,\
             \"quotas\":{\"api_signature_requests_left\":1250,\"documents_left\":null,\
             \"templates_total\":null,\"templates_left\":null,\"sms_verifications_left\":null,\
             \"num_fax_pages_left\":null},\
             \"callback_url\":null,\"role_code\":null,\"team_id\":null,\"locale\":\"en-US\",\
             \"usage\":{\"fax_pages_sent\":null},\
             \"settings\":{\"signer_access_codes\":false,\"sms_delivery\":false,\
             \"sms_authentication\":false}}}"
        );
    }
}

#[test]
fn returns_any_account() {
    let sandbox = Sandbox::start().unwrap();
    let code = sandbox.issue_code_for("a\"b@c", &state());
    let body = with(generate_body(&sandbox), "code", Some(&code));
    let (access_token, _) = tokens(&post_json(&sandbox, TOKEN, &body));
    let response = get_account(&sandbox, &format!("Bearer {access_token}"));
    let account = &json_body(&response)["account"];
    assert_eq!(account["account_id"], "6122624063");
    assert_eq!(account["email_address"], "a\"b@c");
}

#[test]
fn rejects_other_authorization_schemes_by_name() {
    const NO_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\"";
    const INVALID_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\", error=\"invalid_token\"";
    let unknown = "The access token is unknown.";
    let received = |scheme: &str| {
        format!("Expected `Authorization: Bearer ACCESS_TOKEN`, but received {scheme}.")
    };
    let sandbox = Sandbox::start().unwrap();
    let (access_token, refresh_token) = log_in(&sandbox);
    for (authorization, message, challenge) in [
        ("", "No credentials supplied.", NO_TOKEN),
        ("Bearer", &received("Bearer"), NO_TOKEN),
        (&format!("Basic {access_token}"), &received("Basic"), NO_TOKEN),
        (&access_token, &received("another scheme"), NO_TOKEN),
        ("Bearer x", unknown, INVALID_TOKEN),
        (&format!("Bearer {refresh_token}"), unknown, INVALID_TOKEN),
        (&format!("Bearer  {access_token}"), unknown, INVALID_TOKEN),
    ] {
        let response = get_account(&sandbox, authorization);
        let message = format!("Unauthorized user. {message}");
        assert_eq!(error(&response), nested(401, "unauthorized", &message));
        assert_eq!(header(&response, "www-authenticate"), challenge);
    }
}

#[test]
fn accepts_the_configured_api_key() {
    let sandbox = start(Sandbox::builder().api_key("key"));
    for (credentials, status) in [("key:", 200), ("key:x", 401), ("other:", 401), ("key", 401)] {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        let response = get_account(&sandbox, &authorization);
        assert_eq!(response.status(), status, "{credentials}");
    }
}

#[test]
fn rejects_an_expired_access_token_until_it_is_refreshed() {
    let sandbox = start(Sandbox::builder().token_lifetime(Duration::from_secs(600)));
    let response = post_json(&sandbox, TOKEN, &generate_body(&sandbox));
    assert_eq!(json_body(&response)["expires_in"], 600);
    let (access_token, refresh_token) = tokens(&response);
    assert_eq!(bearer(&sandbox, &access_token), valid());
    sandbox.advance(Duration::from_secs(600));
    assert_eq!(bearer(&sandbox, &access_token), invalid("has expired"));

    let body = refresh_body(&refresh_token.unwrap());
    let (access_token, _) = tokens(&post_json(&sandbox, REFRESH, &body));
    assert_eq!(bearer(&sandbox, &access_token), valid());
}

#[test]
fn revoking_any_secret_revokes_the_grant() {
    let sandbox = Sandbox::start().unwrap();
    let revoked = || invalid_grant("The user has revoked the grant");
    for by_access_token in [true, false] {
        let (access_token, refresh_token) = log_in(&sandbox);
        let secret = if by_access_token { &access_token } else { &refresh_token };
        assert!(sandbox.revoke(secret));
        assert_eq!(bearer(&sandbox, &access_token), invalid("was revoked"));
        let body = refresh_body(&refresh_token);
        assert_eq!(error(&post_json(&sandbox, REFRESH, &body)), revoked());
    }
    let body = generate_body(&sandbox);
    assert!(sandbox.revoke(body["code"].as_str().unwrap()));
    assert_eq!(error(&post_json(&sandbox, TOKEN, &body)), revoked());
    assert!(!sandbox.revoke("x"));
}
