//! `POST /oauth/token`.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth::Token;
use dropbox_sign_oauth_testkit::sandbox::{CLIENT_ID, CLIENT_SECRET, Sandbox};
use http::StatusCode;
use serde_json::{Value, json};

use crate::client::{
    FORM, JSON, MULTIPART, REFRESH, STATE, TOKEN, bad_request, bearer, error, flat, generate_body,
    header, invalid, invalid_grant, log_in, missing, nested, post, post_as, post_json,
    refresh_body, start, state, tokens, valid, with, wrong_client, wrong_header,
};

#[test]
fn exchanges_a_code_in_three_encodings() {
    const PART: &str = "Content-Disposition: form-data; name=\"";
    let sandbox = Sandbox::start().unwrap();
    let mut seen = Vec::new();
    for (content_type, before, equals, between, after) in [
        (JSON, "{\"", "\":\"", "\",\"", "\"}"),
        ("Application/JSON; charset=utf-8", " { \"", "\" : \"", "\" , \"", "\" } "),
        (FORM, "", "=", "&", ""),
        (
            MULTIPART,
            &format!("--part\r\n{PART}"),
            "\"\r\n\r\n",
            &format!("\r\n--part\r\n{PART}"),
            "\r\n--part--\r\n",
        ),
    ] {
        let code = sandbox.issue_code(&state());
        let members = [
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("code", &code),
            ("grant_type", "authorization_code"),
            ("state", STATE),
            ("unknown", "ignored"),
        ];
        let members = members.map(|(name, value)| [name, value].join(equals));
        let body = format!("{before}{}{after}", members.join(between));
        let response = post_as(&sandbox, TOKEN, content_type, &body);

        let (access_token, refresh_token) = tokens(&response);
        let refresh_token = refresh_token.unwrap();
        assert_eq!(
            *response.body(),
            format!(
                "{{\"access_token\":\"{access_token}\",\"token_type\":\"Bearer\",\
                 \"refresh_token\":\"{refresh_token}\",\"expires_in\":86400,\
                 \"state\":\"900e06e2\"}}"
            )
        );
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(header(&response, "pragma"), "no-cache");
        assert_eq!(bearer(&sandbox, &access_token), valid());
        for token in [access_token, refresh_token] {
            assert!(Token::new(&token).is_ok());
            assert!(!seen.contains(&token), "the token was issued before");
            seen.push(token);
        }
    }
}

#[test]
fn rejects_unreadable_bodies() {
    const CONTENT_TYPE: &str = "Content-Type must be application/json, \
                                application/x-www-form-urlencoded or multipart/form-data";
    let not_json = || bad_request("The body is not a JSON object");
    let sandbox = Sandbox::start().unwrap();
    for (content_type, body, expected) in [
        ("text/plain", "{}", bad_request(CONTENT_TYPE)),
        ("", "{}", bad_request(CONTENT_TYPE)),
        (JSON, "[]", not_json()),
        (JSON, "{\"code\":\"canary\"", not_json()),
        (JSON, "{} {}", not_json()),
        (JSON, "{\"state\":\"\u{fffd}\",}", not_json()),
        (JSON, "{\"state\":1}", bad_request("Parameter state must be a string")),
        ("multipart/form-data", "x", bad_request("Content-Type has no multipart boundary")),
        (MULTIPART, "--part", bad_request("The body is not multipart/form-data")),
        (FORM, "state=&state=1", flat(400, "invalid_request", "Duplicate parameter state")),
    ] {
        for path in [TOKEN, REFRESH] {
            let response = post_as(&sandbox, path, content_type, body);
            assert_eq!(error(&response), expected, "{content_type} {body}");
        }
    }
    // An empty body is read whatever its type is.
    for content_type in [JSON, FORM, MULTIPART, "text/plain", ""] {
        let response = post_as(&sandbox, TOKEN, content_type, "");
        assert_eq!(error(&response), missing("client_id"), "{content_type}");
    }
}

#[test]
fn rejects_an_invalid_exchange_without_using_the_code() {
    let sandbox = Sandbox::start().unwrap();
    for (member, value, expected) in [
        ("client_id", Some(""), missing("client_id")),
        ("client_id", Some("x"), wrong_client()),
        ("client_secret", Some("x"), wrong_client()),
        ("code", Some("x"), invalid_grant("The code is unknown")),
        ("state", Some("x"), invalid_grant("The state does not match the authorization")),
        (
            "grant_type",
            Some("refresh_token"),
            flat(400, "unsupported_grant_type", "grant_type must be authorization_code here"),
        ),
    ] {
        let body = generate_body(&sandbox);
        let changed = with(body.clone(), member, value);
        let response = post_json(&sandbox, TOKEN, &changed);
        assert_eq!(error(&response), expected, "{member} {value:?}");
        assert_eq!(header(&response, "cache-control"), "no-store");
        let challenge = match response.status() {
            StatusCode::UNAUTHORIZED => "Basic realm=\"Dropbox Sign sandbox\"",
            _ => "",
        };
        assert_eq!(header(&response, "www-authenticate"), challenge);
        tokens(&post_json(&sandbox, TOKEN, &body));
    }
}

#[test]
fn reports_missing_parameters_in_the_vendors_order() {
    let sandbox = Sandbox::start().unwrap();
    // Unknown members of any type are ignored.
    let mut body = json!({"test_mode": true, "metadata": {"code": 1, "list": [null]}});
    for member in ["client_id", "client_secret", "code", "grant_type", "state"] {
        for value in [None, Some(Value::Null)] {
            if let Some(value) = value {
                body[member] = value;
            }
            let response = post_json(&sandbox, TOKEN, &body);
            assert_eq!(error(&response), missing(member));
        }
        body[member] = "x".into();
    }
}

#[test]
fn nested_errors_option_changes_the_shape_of_errors() {
    let sandbox = start(Sandbox::builder().nested_errors());
    let body = with(generate_body(&sandbox), "code", Some("x"));
    let response = post_json(&sandbox, TOKEN, &body);
    let expected = nested(400, "invalid_grant", "The code is unknown");
    assert_eq!(error(&response), expected);
}

#[test]
fn code_expires_after_ten_minutes() {
    let sandbox = Sandbox::start().unwrap();
    // A minute may pass during the test.
    for (seconds, is_valid) in [(540, true), (600, false)] {
        let body = generate_body(&sandbox);
        sandbox.advance(Duration::from_secs(seconds));
        let response = post_json(&sandbox, TOKEN, &body);
        if is_valid {
            tokens(&response);
        } else {
            assert_eq!(error(&response), invalid_grant("The code has expired"));
        }
    }
}

#[test]
fn second_exchange_revokes_the_first() {
    let sandbox = Sandbox::start().unwrap();
    let body = generate_body(&sandbox);
    let (access_token, refresh_token) = tokens(&post_json(&sandbox, TOKEN, &body));
    let (other, _) = log_in(&sandbox);
    assert_eq!(bearer(&sandbox, &access_token), valid());

    let used = invalid_grant("The code was already used: its tokens are now revoked");
    // At any time and with any state.
    sandbox.advance(Duration::from_secs(601));
    assert_eq!(error(&post_json(&sandbox, TOKEN, &with(body, "state", Some("other")))), used);
    assert_eq!(bearer(&sandbox, &access_token), invalid("was revoked"));
    let refresh = refresh_body(&refresh_token.unwrap());
    let revoked = invalid_grant("The user has revoked the grant");
    assert_eq!(error(&post_json(&sandbox, REFRESH, &refresh)), revoked);
    assert_eq!(bearer(&sandbox, &other), valid());
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

#[test]
fn checks_the_basic_header_and_reports_the_expected_one() {
    const ID: &str = "id/1+";
    const SECRET: &str = "s:e%&=";
    const OTHER: &str = "has other credentials";
    const NOT_BASE64: &str = "is not Base64 of a user name and password";
    const SCHEME: &str = "has another scheme";
    let builder = Sandbox::builder().client(ID, SECRET).api_key("key");
    let [optional, required] = [builder.clone(), builder.require_basic()].map(start);
    let body = |sandbox: &Sandbox| {
        let body = with(generate_body(sandbox), "client_id", Some(ID));
        with(body, "client_secret", Some(SECRET))
    };
    let encoded = basic("id%2F1%2B:s%3Ae%25%26%3D");
    for (authorization, problem) in [
        (encoded.clone(), None),
        (encoded.replace("Basic", "bASIC"), None),
        (basic("key:"), None),
        (basic(&format!("{ID}:{SECRET}")), Some(OTHER)),
        (basic("id%2F1%2B:x"), Some(OTHER)),
        (basic("x:s%3Ae%25%26%3D"), Some(OTHER)),
        (basic("id%2F1%2B&x:s%3Ae%25%26%3D"), Some(OTHER)),
        (basic("key:x"), Some(OTHER)),
        (basic(":"), Some(OTHER)),
        (basic("key"), Some(NOT_BASE64)),
        ("Basic :".into(), Some(NOT_BASE64)),
        ("Basic".into(), Some(NOT_BASE64)),
        (encoded.replace("Basic", "Bearer"), Some(SCHEME)),
        (encoded.replace("Basic ", ""), Some(SCHEME)),
    ] {
        for sandbox in [&optional, &required] {
            let body = body(sandbox);
            let headers = [("Content-Type", JSON), ("Authorization", &authorization)];
            let response = post(sandbox, TOKEN, &headers, &body.to_string());
            if let Some(problem) = problem {
                assert_eq!(error(&response), wrong_header(problem), "{authorization}");
                let challenge = header(&response, "www-authenticate");
                assert_eq!(challenge, "Basic realm=\"Dropbox Sign sandbox\"");
            } else {
                tokens(&response);
            }
            let twice = [headers[0], headers[1], headers[1]];
            let response = post(sandbox, TOKEN, &twice, &body.to_string());
            assert_eq!(error(&response), wrong_header("is duplicated"));

            // The header does not replace the body's credentials.
            let body = with(body, "client_id", None).to_string();
            let response = post(sandbox, TOKEN, &headers, &body);
            assert_eq!(error(&response), missing("client_id"));
        }
    }
    tokens(&post_json(&optional, TOKEN, &body(&optional)));
    let response = post_json(&required, TOKEN, &body(&required));
    assert_eq!(error(&response), wrong_header("is missing"));
}
