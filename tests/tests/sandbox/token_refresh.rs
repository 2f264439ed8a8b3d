//! `POST /oauth/token?refresh`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth_testkit::sandbox::{CLIENT_ID, CLIENT_SECRET, Sandbox};

use crate::client::{
    FORM, JSON, MULTIPART, REFRESH, TOKEN, bearer, error, flat, header, invalid, invalid_grant,
    log_in, missing, post, post_as, post_json, refresh_body, start, tokens, valid, with,
    wrong_client,
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
fn accepts_three_encodings_and_recognizes_refreshes_by_the_query() {
    let sandbox = Sandbox::start().unwrap();
    let (_, refresh_token) = log_in(&sandbox);
    let members = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh_token),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    ];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
    let parts = members.map(|(name, value)| {
        format!("--part\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let multipart = parts.concat() + "--part--\r\n";
    let json = refresh_body(&refresh_token).to_string();
    for (content_type, body) in [(JSON, json), (FORM, form), (MULTIPART, multipart)] {
        for path in [REFRESH, "/oauth/token?refresh=", "/oauth/token?a&refresh"] {
            tokens(&post_as(&sandbox, path, content_type, &body));
        }
        let response = post_as(&sandbox, TOKEN, content_type, &body);
        assert_eq!(error(&response), missing("code"));
    }
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
}

#[test]
fn client_credentials_are_optional_for_old_apps() {
    let old_app = start(Sandbox::builder().refresh_without_credentials());
    for (sandbox, is_old) in [(Sandbox::start().unwrap(), false), (old_app, true)] {
        let (_, refresh_token) = log_in(&sandbox);
        let body = with(refresh_body(&refresh_token), "client_id", None);
        let body = with(body, "client_secret", None);
        let response = post_json(&sandbox, REFRESH, &body);
        if is_old {
            tokens(&response);
        } else {
            assert_eq!(error(&response), missing("client_id"));
        }
    }
}

#[test]
fn checks_a_basic_header() {
    let sandbox = Sandbox::start().unwrap();
    let (_, refresh_token) = log_in(&sandbox);
    let body = refresh_body(&refresh_token).to_string();
    for (secret, status) in [(CLIENT_SECRET, 200), ("x", 401)] {
        let credentials = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{secret}"));
        let authorization = format!("Basic {credentials}");
        let headers = [("Content-Type", JSON), ("Authorization", &authorization)];
        let response = post(&sandbox, REFRESH, &headers, &body);
        assert_eq!(response.status(), status);
    }
}
