//! The authorize page.

use std::time::Duration;

use dropbox_sign_oauth_testkit::sandbox::{CLIENT_ID, EMAIL_ADDRESS, Sandbox};
use http::{Response, StatusCode};

use crate::client::{
    CALLBACK, FORM, STATE, TOKEN, generate_body, get, get_account, header, json_body, post_as,
    post_json, start, tokens, with,
};

pub(crate) fn query(changes: &[(&str, Option<&str>)]) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("state", STATE),
        ("redirect_uri", CALLBACK),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.extend(value.map(|value| (*name, value)));
    }
    let mut query = form_urlencoded::Serializer::new(String::from("/oauth/authorize?"));
    query.extend_pairs(parameters).finish()
}

/// Returns the ticket in the form of a page.
#[track_caller]
pub(crate) fn ticket(page: &Response<String>) -> String {
    assert_eq!(page.status(), StatusCode::OK, "{}", page.body());
    let field = r#"<input type="hidden" name="ticket" value=""#;
    let (_, rest) = page.body().split_once(field).expect("a form with a ticket");
    rest.split_once('"').unwrap().0.to_owned()
}

pub(crate) fn decide(sandbox: &Sandbox, ticket: &str, decision: &str) -> Response<String> {
    let body = format!("ticket={ticket}&decision={decision}");
    post_as(sandbox, "/oauth/authorize", FORM, &body)
}

/// Exchanges the code of a redirect to `callback`, and returns the access token.
#[track_caller]
fn exchange_redirect(sandbox: &Sandbox, redirect: &Response<String>, callback: &str) -> String {
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(redirect, "referrer-policy"), "no-referrer");
    assert_eq!(header(redirect, "cache-control"), "no-store");
    let rest = header(redirect, "location").strip_prefix(callback).unwrap();
    let code = rest.strip_suffix(&format!("&state={STATE}")).unwrap();
    let code = code.strip_prefix("code=").unwrap();
    let body = with(generate_body(sandbox), "code", Some(code));
    tokens(&post_json(sandbox, TOKEN, &body)).0
}

/// Returns the reason on an error page.
#[track_caller]
fn refusal(page: &Response<String>) -> String {
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(page, "location"), "");
    let heading = "<h1>This authorization request is invalid</h1>\n<p>";
    let (_, rest) = page.body().split_once(heading).expect("a refusal");
    rest.split_once("</p>").unwrap().0.to_owned()
}

#[test]
fn page_is_self_contained_and_escaped() {
    let sandbox = start(Sandbox::builder().client("<i>'\"&", "secret"));
    let query = query(&[("client_id", Some("<i>'\"&"))]);
    let page = get(&sandbox, &query);
    assert_eq!(page.status(), StatusCode::OK);
    let html = page.body();

    let (_, nonce) = html.split_once("<style nonce=\"").unwrap();
    let (nonce, _) = nonce.split_once('"').unwrap();
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        (
            "content-security-policy",
            &format!(
                "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; \
                 frame-ancestors 'none'"
            ),
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(header(&page, name), value, "{name}");
    }

    for part in [
        "<!DOCTYPE html>\n<html lang=\"en\">",
        "<title>Authorize an app – Dropbox Sign sandbox</title>",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
        "<h1>Authorize this app?</h1>",
        "<dd>&lt;i&gt;&#39;&quot;&amp;</dd>",
        &format!("<dd>{EMAIL_ADDRESS}</dd>"),
        &format!("<dd>{CALLBACK}</dd>"),
        "<form method=\"post\" action=\"/oauth/authorize\"",
        &format!("name=\"decision\" value=\"{EMAIL_ADDRESS}\">Approve</button>"),
        "name=\"decision\" value=\"deny\">Deny</button>",
    ] {
        assert_eq!(html.matches(part).count(), 1, "{part}");
    }
    for absent in ["<script", "<link", "<img", "<iframe", "src=", "url(", "@import", STATE] {
        assert!(!html.contains(absent), "{absent}");
    }
    // Every page has a new nonce and ticket.
    let other = get(&sandbox, &query);
    assert!(!other.body().contains(nonce));
    assert_ne!(ticket(&page), ticket(&other));
}

#[test]
fn user_chooses_an_account_and_returns_with_a_code() {
    let two = Sandbox::builder().accounts(["ann@example.com", "bob@example.com"]);
    for (builder, account, label) in [
        (Sandbox::builder(), EMAIL_ADDRESS, "Approve"),
        (two.clone(), "ann@example.com", "Approve as ann@example.com"),
        (two, "bob@example.com", "Approve as bob@example.com"),
    ] {
        let sandbox = start(builder);
        let page = get(&sandbox, &query(&[]));
        let button = format!("value=\"{account}\">{label}</button>");
        assert!(page.body().contains(&button));
        let redirect = decide(&sandbox, &ticket(&page), account);
        let token = exchange_redirect(&sandbox, &redirect, "http://127.0.0.1:9/callback?");
        let response = get_account(&sandbox, &format!("Bearer {token}"));
        assert_eq!(json_body(&response)["account"]["email_address"], account);
    }
}

#[test]
fn denial_redirects_with_an_error() {
    let denied = "http://127.0.0.1:9/callback?error=access_denied\
                  &error_description=The+user+denied+the+request&state=900e06e2";
    let sandbox = Sandbox::start().unwrap();
    let page = get(&sandbox, &query(&[]));
    let redirect = decide(&sandbox, &ticket(&page), "deny");
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    assert_eq!(header(&redirect, "location"), denied);
}

#[test]
fn ticket_is_valid_for_one_decision() {
    const EXPIRED: &str = "The page has expired.";
    let sandbox = Sandbox::start().unwrap();
    let first = ticket(&get(&sandbox, &query(&[])));
    for decision in ["", "maybe", "you@example.com"] {
        let page = decide(&sandbox, &first, decision);
        assert_eq!(refusal(&page), "The form has no decision.");
    }
    let page = decide(&sandbox, &first, "deny&decision=deny");
    assert_eq!(refusal(&page), "The form has a duplicate field.");

    // None of these used the ticket. A double click sends the form twice.
    let redirect = decide(&sandbox, &first, EMAIL_ADDRESS);
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    for decision in [EMAIL_ADDRESS, "deny"] {
        let repeated = decide(&sandbox, &first, decision);
        assert_eq!(header(&repeated, "location"), header(&redirect, "location"));
    }
    for ticket in ["", "00000000000000000000000000000000"] {
        assert_eq!(refusal(&decide(&sandbox, ticket, EMAIL_ADDRESS)), EXPIRED);
    }

    let late = ticket(&get(&sandbox, &query(&[])));
    sandbox.advance(Duration::from_secs(60 * 60));
    assert_eq!(refusal(&decide(&sandbox, &late, EMAIL_ADDRESS)), EXPIRED);
}

#[test]
fn redirects_to_the_requested_callback_or_the_default_with_the_state() {
    let builder = Sandbox::builder().automatic();
    let sandbox = start(builder.callback("https://example.com/app?a=1"));
    for (redirect_uri, callback) in [
        (None, "https://example.com/app?a=1&"),
        (Some(""), "https://example.com/app?a=1&"),
        (Some(CALLBACK), "http://127.0.0.1:9/callback?"),
        (Some("com.example.app:/callback/x"), "com.example.app:/callback/x?"),
    ] {
        let redirect = get(&sandbox, &query(&[("redirect_uri", redirect_uri)]));
        exchange_redirect(&sandbox, &redirect, callback);
    }
    // The state is returned unchanged.
    let odd = "a b+c&d=e/ü%\u{1f600}";
    let redirect = get(&sandbox, &query(&[("state", Some(odd))]));
    let (_, query) = header(&redirect, "location").split_once('?').unwrap();
    let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    assert_eq!(state.unwrap().1, odd);
}

#[test]
fn never_redirects_an_invalid_request() {
    const INVALID_URI: &str = "Invalid redirect_uri: a redirect URI must be absolute, without a \
                               fragment, and either https, http to a loopback host, or of a \
                               private-use scheme.";
    let sandbox = start(Sandbox::builder().automatic());
    for (name, value, reason) in [
        ("client_id", None, "The parameter client_id is missing."),
        ("client_id", Some("x"), "No app has this client_id."),
        ("response_type", None, "The parameter response_type is missing."),
        ("response_type", Some("token"), "The response_type is not code."),
        ("state", None, "The parameter state is missing."),
        ("state", Some(""), "The parameter state is missing."),
        ("redirect_uri", None, "The redirect_uri is missing, and the app has no callback."),
        ("redirect_uri", Some("/callback"), INVALID_URI),
        ("redirect_uri", Some("https://example.com/#x"), INVALID_URI),
        ("redirect_uri", Some("javascript:alert(1)"), INVALID_URI),
        (
            "scope",
            Some("basic_account_info"),
            "The parameter scope is not accepted: scopes are in the app&#39;s settings.",
        ),
    ] {
        let page = get(&sandbox, &query(&[(name, value)]));
        assert_eq!(refusal(&page), reason, "{name} {value:?}");
    }
    let duplicate = format!("{}&state=x", query(&[]));
    for (query, reason) in [
        (&*duplicate, "Duplicate parameter state."),
        ("/oauth/authorize", "The parameter client_id is missing."),
    ] {
        assert_eq!(refusal(&get(&sandbox, query)), reason, "{query}");
    }
}
