//! `POST /oauth/token?refresh`.

use dropbox_sign_oauth_testkit::sandbox::Sandbox;

use crate::client::{
    JSON, REFRESH, TOKEN, bearer, error, flat, header, invalid, invalid_grant, log_in, missing,
    post, post_json, refresh_body, start, tokens, valid, with, wrong_client, wrong_header,
};

#[test]
fn keeps_rotates_or_omits_the_refresh_token() {
    let rotating = Sandbox::builder().rotate_refresh_tokens();
    let omitting = Sandbox::builder().omit_refresh_token();
    for (builder, is_same, stays_valid) in [
        (Sandbox::builder(), Some(true), true),
        (rotating, Some(false), false),
        (omitting, None, true),
    ] {
        let sandbox = start(builder);
        let (access_token, refresh_token) = log_in(&sandbox);
        let body = refresh_body(&refresh_token);
        let response = post_json(&sandbox, REFRESH, &body);

        let (new, new_refresh_token) = tokens(&response);
        let same = new_refresh_token.as_ref().map(|new| *new == refresh_token);
        assert_eq!(same, is_same);
        let member = new_refresh_token.map(|token| format!("\"refresh_token\":\"{token}\","));
        assert_eq!(
            *response.body(),
            format!(
                "{{\"access_token\":\"{new}\",\"token_type\":\"Bearer\",{}\"expires_in\":86400}}",
                member.unwrap_or_default()
            )
        );
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(header(&response, "pragma"), "no-cache");
        assert_ne!(new, access_token);
        assert_eq!(bearer(&sandbox, &new), valid());

        let again = post_json(&sandbox, REFRESH, &body);
        if stays_valid {
            tokens(&again);
        } else {
            let reason = "The refresh token was already replaced: the grant is now revoked";
            assert_eq!(error(&again), invalid_grant(reason));
            assert_eq!(bearer(&sandbox, &new), invalid("was revoked"));
        }
    }
}

#[test]
fn recognizes_refreshes_by_the_query() {
    let sandbox = Sandbox::start().unwrap();
    let (_, refresh_token) = log_in(&sandbox);
    let body = refresh_body(&refresh_token);
    for path in [REFRESH, "/oauth/token?refresh=", "/oauth/token?a&refresh"] {
        tokens(&post_json(&sandbox, path, &body));
    }
    assert_eq!(error(&post_json(&sandbox, TOKEN, &body)), missing("code"));
}

#[test]
fn rejects_an_invalid_refresh() {
    let new_app = Sandbox::start().unwrap();
    let old_app = start(Sandbox::builder().refresh_without_credentials());
    let grant_type = "grant_type must be refresh_token here";
    for (members, expected) in [
        (&[("grant_type", None)][..], missing("grant_type")),
        (&[("refresh_token", None)], missing("refresh_token")),
        (&[("client_id", None)], missing("client_id")),
        (&[("client_secret", None)], missing("client_secret")),
        (&[("client_secret", Some("x"))], wrong_client()),
        (&[("refresh_token", Some("x"))], invalid_grant("The refresh token is unknown")),
        (
            &[("grant_type", Some("authorization_code"))],
            flat(400, "unsupported_grant_type", grant_type),
        ),
    ] {
        for sandbox in [&new_app, &old_app] {
            let (_, refresh_token) = log_in(sandbox);
            let body =
                members.iter().fold(refresh_body(&refresh_token), |body, (member, value)| {
                    with(body, member, *value)
                });
            let response = post_json(sandbox, REFRESH, &body);
            assert_eq!(error(&response), expected, "{members:?}");
        }
    }
    let (_, refresh_token) = log_in(&old_app);
    let mut body = refresh_body(&refresh_token);
    let headers = [("Content-Type", JSON), ("Authorization", "Basic eDp5")];
    let response = post(&old_app, REFRESH, &headers, &body.to_string());
    assert_eq!(error(&response), wrong_header("has other credentials"));
    for member in ["client_id", "client_secret"] {
        body = with(body, member, None);
    }
    tokens(&post_json(&old_app, REFRESH, &body));
}
