//! The sandbox as its clients see it: what each address answers, byte for byte where it matters.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dropbox_sign_oauth::{AuthorizationCode, Operation, State, Token, TokenResponse};
use dropbox_sign_oauth_testkit::{
    sandbox::{
        ACCOUNT_ID, Builder, CLIENT_ID, CLIENT_SECRET, EMAIL_ADDRESS, RecordedRequest, Sandbox,
    },
    tls::{Authority, Leaf, client_config},
};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use serde_json::{Value, json};

const STATE: &str = "900e06e2";
const CALLBACK: &str = "http://127.0.0.1:9/callback";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=part";

// The client.

/// Sends one request on a connection of its own, and reads the answer until it ends.
fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path_and_query: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response<String> {
    let mut request = format!("{method} {path_and_query} HTTP/1.1\r\n");
    let length = body.len().to_string();
    let own = [
        ("Host", "localhost"),
        ("Content-Length", &length),
        ("Connection", "close"),
    ];
    for (name, value) in headers.iter().chain(&own) {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream
        .write_all(&[request.as_bytes(), body].concat())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    read_answer(&answer)
}

#[track_caller]
fn read_answer(answer: &[u8]) -> Response<String> {
    let answer = std::str::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let mut response = Response::new(body.to_owned());
    *response.status_mut() = status[..3].parse().unwrap();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    let length = header(&response, "content-length").parse();
    assert_eq!(length, Ok(body.len()), "the answer is whole");
    response
}

fn connect(sandbox: &Sandbox) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, sandbox.port())).unwrap();
    // A test fails rather than hangs.
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream
}

fn get(sandbox: &Sandbox, path_and_query: &str) -> Response<String> {
    exchange(connect(sandbox), "GET", path_and_query, &[], b"")
}

fn post(
    sandbox: &Sandbox,
    path_and_query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<String> {
    exchange(
        connect(sandbox),
        "POST",
        path_and_query,
        headers,
        body.as_bytes(),
    )
}

fn post_json(sandbox: &Sandbox, path_and_query: &str, body: &Value) -> Response<String> {
    let headers = [("Content-Type", JSON)];
    post(sandbox, path_and_query, &headers, &body.to_string())
}

fn account(sandbox: &Sandbox, authorization: Option<&str>) -> Response<String> {
    let headers: Vec<_> = authorization
        .map(|value| ("Authorization", value))
        .into_iter()
        .collect();
    exchange(connect(sandbox), "GET", "/v3/account", &headers, b"")
}

/// Carries an operation of the core, as an adapter does.
fn send<O: Operation>(
    stream: impl Read + Write,
    operation: O,
) -> Result<O::Output, dropbox_sign_oauth::Error> {
    let request: Request<Vec<u8>> = operation.request();
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let path_and_query = request.uri().path_and_query().unwrap().as_str();
    let method = request.method().as_str();
    operation.parse(exchange(
        stream,
        method,
        path_and_query,
        &headers,
        request.body(),
    ))
}

#[track_caller]
fn header<'r>(response: &'r Response<String>, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
fn json_body(response: &Response<String>) -> Value {
    assert_eq!(header(response, "content-type"), "application/json");
    serde_json::from_str(response.body()).unwrap()
}

/// Status and body of an error.
#[track_caller]
fn error(response: &Response<String>) -> (u16, Value) {
    (response.status().as_u16(), json_body(response))
}

fn nested(status: u16, name: &str, message: &str) -> (u16, Value) {
    (
        status,
        json!({"error": {"error_msg": message, "error_name": name}}),
    )
}

fn flat(status: u16, error: &str, description: &str) -> (u16, Value) {
    (
        status,
        json!({"error": error, "error_description": description}),
    )
}

fn missing(parameter: &str) -> (u16, Value) {
    nested(
        400,
        "bad_request",
        &format!("Parameter {parameter} is missing"),
    )
}

fn start(builder: Builder) -> Sandbox {
    builder.start().unwrap()
}

fn state() -> State {
    State::from_stored(STATE).unwrap()
}

/// The body of a token request with a fresh code, as the vendor's example has it.
fn generate_body(sandbox: &Sandbox) -> Value {
    json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": sandbox.issue_code(&state()),
        "grant_type": "authorization_code",
        "state": STATE,
    })
}

fn refresh_body(refresh_token: &str) -> Value {
    json!({
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    })
}

/// `body` with a member set, or taken away.
fn with(mut body: Value, member: &str, value: Option<&str>) -> Value {
    let members = body.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.into(), value.into()),
        None => members.remove(member),
    };
    body
}

/// The two tokens of a successful answer.
#[track_caller]
fn tokens(response: &Response<String>) -> (String, Option<String>) {
    assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
    let body = json_body(response);
    let access_token = body["access_token"].as_str().unwrap().to_owned();
    (
        access_token,
        body["refresh_token"].as_str().map(String::from),
    )
}

/// Exchanges a fresh code.
#[track_caller]
fn log_in(sandbox: &Sandbox) -> (String, String) {
    let body = generate_body(sandbox);
    let (access_token, refresh_token) = tokens(&post_json(sandbox, "/oauth/token", &body));
    (access_token, refresh_token.unwrap())
}

fn bearer(sandbox: &Sandbox, access_token: &str) -> (u16, String) {
    let answer = account(sandbox, Some(&format!("Bearer {access_token}")));
    let message = json_body(&answer)["error"]["error_msg"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status().as_u16(), message)
}

fn good() -> (u16, String) {
    (200, String::new())
}

fn not_good(because: &str) -> (u16, String) {
    (
        401,
        format!("Unauthorized user. The access token {because}."),
    )
}

// Start and stop.

#[test]
fn it_stops_when_it_is_dropped() {
    let sandbox = Sandbox::start().unwrap();
    let port = sandbox.port();
    assert_eq!(sandbox.base_url(), format!("http://127.0.0.1:{port}"));
    assert_eq!(
        format!("{sandbox:?}"),
        format!("Sandbox {{ base_url: \"http://127.0.0.1:{port}\", .. }}")
    );
    // Neither an idle connection nor half a request keeps it.
    let idle = connect(&sandbox);
    let mut half = connect(&sandbox);
    half.write_all(b"POST /oauth/token HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        .unwrap();
    assert_eq!(get(&sandbox, "/").status(), StatusCode::NOT_FOUND);
    drop(sandbox);

    for mut connection in [idle, half] {
        let read = connection.read(&mut [0; 1]);
        let ended = read.map_or_else(|e| e.kind() == io::ErrorKind::ConnectionReset, |n| n == 0);
        assert!(ended);
    }
}

#[test]
fn a_start_that_cannot_be() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for (builder, kind) in [
        (Sandbox::builder().port(port), io::ErrorKind::AddrInUse),
        (
            Sandbox::builder().tls().port(port),
            io::ErrorKind::AddrInUse,
        ),
        (
            Sandbox::builder().callback("/callback"),
            io::ErrorKind::InvalidInput,
        ),
        (
            Sandbox::builder().client("a b", "secret"),
            io::ErrorKind::InvalidInput,
        ),
        (
            Sandbox::builder().client("id", ""),
            io::ErrorKind::InvalidInput,
        ),
    ] {
        assert_eq!(builder.start().unwrap_err().kind(), kind);
    }
}

#[test]
fn sandboxes_know_nothing_of_each_other() {
    let [one, other] = [(); 2].map(|()| Sandbox::start().unwrap());
    let (access_token, _) = log_in(&one);
    assert_eq!(bearer(&one, &access_token), good());
    assert_eq!(bearer(&other, &access_token), not_good("is not known"));
}

// The authorize page.

fn authorize_query(changes: &[(&str, Option<&str>)]) -> String {
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

/// The ticket of a page's form.
#[track_caller]
fn ticket(page: &Response<String>) -> String {
    assert_eq!(page.status(), StatusCode::OK, "{}", page.body());
    let field = r#"<input type="hidden" name="ticket" value=""#;
    let (_, rest) = page.body().split_once(field).expect("a form with a ticket");
    rest.split_once('"').unwrap().0.to_owned()
}

fn decide(sandbox: &Sandbox, ticket: &str, decision: &str) -> Response<String> {
    let body = format!("ticket={ticket}&decision={decision}");
    post(
        sandbox,
        "/oauth/authorize",
        &[("Content-Type", FORM)],
        &body,
    )
}

/// The code that a redirect brings to `callback`.
#[track_caller]
fn redirected_code(response: &Response<String>, callback: &str) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let location = header(response, "location");
    let rest = location.strip_prefix(callback).unwrap();
    let code = rest.strip_suffix(&format!("&state={STATE}")).unwrap();
    code.strip_prefix("code=").unwrap().to_owned()
}

/// The sentence of a page that refuses.
#[track_caller]
fn refusal(page: &Response<String>) -> String {
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(page, "location"), "");
    let heading = "<h1>This authorization is not possible</h1>\n<p>";
    let (_, rest) = page
        .body()
        .split_once(heading)
        .expect("a page that refuses");
    rest.split_once("</p>").unwrap().0.to_owned()
}

#[test]
fn the_page_is_whole_in_itself() {
    let sandbox = start(Sandbox::builder().client("<i>'\"&", "secret"));
    let page = get(
        &sandbox,
        &authorize_query(&[("client_id", Some("<i>'\"&"))]),
    );
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
        "name=\"decision\" value=\"approve\">Approve</button>",
        "name=\"decision\" value=\"deny\">Deny</button>",
    ] {
        assert_eq!(html.matches(part).count(), 1, "{part}");
    }
    for absent in [
        "<script", "<link", "<img", "<iframe", "src=", "url(", "@import", STATE,
    ] {
        assert!(!html.contains(absent), "{absent}");
    }
    // Another page has another nonce and another ticket.
    let other = get(
        &sandbox,
        &authorize_query(&[("client_id", Some("<i>'\"&"))]),
    );
    assert!(!other.body().contains(nonce));
    assert_ne!(ticket(&page), ticket(&other));
}

#[test]
fn an_approval_brings_a_code_that_is_good() {
    let sandbox = Sandbox::start().unwrap();
    let page = get(&sandbox, &authorize_query(&[]));
    let redirect = decide(&sandbox, &ticket(&page), "approve");
    let code = redirected_code(&redirect, "http://127.0.0.1:9/callback?");
    assert_eq!(header(&redirect, "referrer-policy"), "no-referrer");
    assert_eq!(header(&redirect, "cache-control"), "no-store");

    let body = with(generate_body(&sandbox), "code", Some(&code));
    tokens(&post_json(&sandbox, "/oauth/token", &body));
}

#[test]
fn a_denial_says_so() {
    let sandbox = Sandbox::start().unwrap();
    let page = get(&sandbox, &authorize_query(&[]));
    let redirect = decide(&sandbox, &ticket(&page), "deny");
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        header(&redirect, "location"),
        "http://127.0.0.1:9/callback?error=access_denied\
         &error_description=The+user+denied+the+request&state=900e06e2"
    );
}

#[test]
fn a_question_is_answered_once() {
    const OLD: &str = "The page is too old, or its question was answered before.";
    let sandbox = Sandbox::start().unwrap();
    let first = ticket(&get(&sandbox, &authorize_query(&[])));
    for form in ["", "decision=", "decision=maybe"] {
        let answer = format!("ticket={first}&{form}");
        let page = post(
            &sandbox,
            "/oauth/authorize",
            &[("Content-Type", FORM)],
            &answer,
        );
        assert_eq!(refusal(&page), "The form has neither of the two decisions.");
    }
    let twice = format!("ticket={first}&decision=deny&decision=approve");
    let page = post(
        &sandbox,
        "/oauth/authorize",
        &[("Content-Type", FORM)],
        &twice,
    );
    assert_eq!(refusal(&page), "The form was changed on its way.");

    // None of these was an answer.
    let redirect = decide(&sandbox, &first, "approve");
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    for (ticket, decision) in [
        (first.as_str(), "approve"),
        (first.as_str(), "deny"),
        ("", "approve"),
        ("00000000000000000000000000000000", "approve"),
    ] {
        assert_eq!(refusal(&decide(&sandbox, ticket, decision)), OLD);
    }

    let late = ticket(&get(&sandbox, &authorize_query(&[])));
    sandbox.advance(Duration::from_secs(60 * 60));
    assert_eq!(refusal(&decide(&sandbox, &late, "approve")), OLD);
}

#[test]
fn a_callback_is_the_one_asked_for_or_the_apps() {
    let builder = Sandbox::builder()
        .automatic()
        .callback("https://example.com/app?a=1");
    let sandbox = start(builder);
    for (redirect_uri, callback) in [
        (None, "https://example.com/app?a=1&"),
        (Some(""), "https://example.com/app?a=1&"),
        (Some(CALLBACK), "http://127.0.0.1:9/callback?"),
        (
            Some("com.example.app://callback/x"),
            "com.example.app://callback/x?",
        ),
    ] {
        let query = authorize_query(&[("redirect_uri", redirect_uri)]);
        let code = redirected_code(&get(&sandbox, &query), callback);
        let body = with(generate_body(&sandbox), "code", Some(&code));
        tokens(&post_json(&sandbox, "/oauth/token", &body));
    }
}

#[test]
fn a_state_comes_back_as_it_went() {
    let sandbox = start(Sandbox::builder().automatic());
    let odd = "a b+c&d=e/ü%\u{1f600}";
    let redirect = get(&sandbox, &authorize_query(&[("state", Some(odd))]));
    let (_, query) = header(&redirect, "location").split_once('?').unwrap();
    let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    assert_eq!(state.unwrap().1, odd);
}

#[test]
fn an_automatic_denial_says_so_at_once() {
    let sandbox = start(Sandbox::builder().automatic_denial());
    let redirect = get(&sandbox, &authorize_query(&[]));
    let location = header(&redirect, "location");
    assert!(location.starts_with("http://127.0.0.1:9/callback?error=access_denied&"));
}

#[test]
fn an_authorization_that_is_not_in_order_is_never_redirected() {
    let sandbox = start(Sandbox::builder().automatic());
    let state_twice = format!("{}&state=x", authorize_query(&[]));
    for (query, reason) in [
        (
            authorize_query(&[("client_id", None)]),
            "The parameter client_id is missing.",
        ),
        (
            authorize_query(&[("client_id", Some("x"))]),
            "There is no app with this client_id.",
        ),
        (
            authorize_query(&[("response_type", None)]),
            "The parameter response_type is missing.",
        ),
        (
            authorize_query(&[("response_type", Some("token"))]),
            "The response_type is not code.",
        ),
        (
            authorize_query(&[("state", None)]),
            "The parameter state is missing.",
        ),
        (
            authorize_query(&[("state", Some(""))]),
            "The parameter state is missing.",
        ),
        (
            authorize_query(&[("redirect_uri", None)]),
            "There is no redirect_uri, and the app has no callback.",
        ),
        (
            authorize_query(&[("redirect_uri", Some("/callback"))]),
            "The redirect_uri is not an absolute URI without a fragment.",
        ),
        (
            authorize_query(&[("redirect_uri", Some("https://example.com/#x"))]),
            "The redirect_uri is not an absolute URI without a fragment.",
        ),
        (
            authorize_query(&[("scope", Some("basic_account_info"))]),
            "The parameter scope is not accepted: scopes are in the app&#39;s settings.",
        ),
        (state_twice, "The parameter state is there more than once."),
        (
            "/oauth/authorize".into(),
            "The parameter client_id is missing.",
        ),
        (
            "/oauth/authorize?%3Cb%3E=1&%3Cb%3E=2".into(),
            "The parameter &lt;b&gt; is there more than once.",
        ),
    ] {
        assert_eq!(refusal(&get(&sandbox, &query)), reason, "{query}");
    }
}

// Token generate.

#[test]
fn a_code_is_exchanged_in_three_encodings() {
    let sandbox = Sandbox::start().unwrap();
    let mut seen = Vec::new();
    for (content_type, before, between, after) in [
        (JSON, "{\"", ("\":\"", "\",\""), "\"}"),
        (
            "Application/JSON; charset=utf-8",
            " { \"",
            ("\" : \"", "\" , \""),
            "\" } ",
        ),
        (FORM, "", ("=", "&"), ""),
        (
            MULTIPART,
            "--part\r\nContent-Disposition: form-data; name=\"",
            (
                "\"\r\n\r\n",
                "\r\n--part\r\nContent-Disposition: form-data; name=\"",
            ),
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
        let members = members.map(|(name, value)| [name, value].join(between.0));
        let body = format!("{before}{}{after}", members.join(between.1));
        let answer = post(
            &sandbox,
            "/oauth/token",
            &[("Content-Type", content_type)],
            &body,
        );

        let (access_token, refresh_token) = tokens(&answer);
        let refresh_token = refresh_token.unwrap();
        assert_eq!(
            *answer.body(),
            format!(
                "{{\"access_token\":\"{access_token}\",\"token_type\":\"Bearer\",\
                 \"refresh_token\":\"{refresh_token}\",\"expires_in\":86400,\
                 \"state\":\"900e06e2\"}}"
            )
        );
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "pragma"), "no-cache");
        assert_eq!(bearer(&sandbox, &access_token), good());
        for token in [access_token, refresh_token] {
            assert!(Token::new(&token).is_ok());
            assert!(!seen.contains(&token), "every token is another");
            seen.push(token);
        }
    }
}

#[test]
fn a_body_that_cannot_be_read() {
    const CONTENT_TYPE: &str = "Content-Type must be application/json, \
                                application/x-www-form-urlencoded or multipart/form-data";
    const NO_JSON: &str = "The body is not a JSON object";
    let sandbox = Sandbox::start().unwrap();
    let boundless = "Content-Type names no boundary of the multipart body";
    for (content_type, body, expected) in [
        ("text/plain", "{}", nested(400, "bad_request", CONTENT_TYPE)),
        ("", "{}", nested(400, "bad_request", CONTENT_TYPE)),
        (JSON, "", nested(400, "bad_request", NO_JSON)),
        (JSON, "[]", nested(400, "bad_request", NO_JSON)),
        (
            JSON,
            "{\"code\":\"canary\"",
            nested(400, "bad_request", NO_JSON),
        ),
        (JSON, "{} {}", nested(400, "bad_request", NO_JSON)),
        (
            JSON,
            "{\"state\":\"\u{fffd}\",}",
            nested(400, "bad_request", NO_JSON),
        ),
        (
            JSON,
            "{\"state\":1}",
            nested(400, "bad_request", "Parameter state must be a string"),
        ),
        (
            "multipart/form-data",
            "",
            nested(400, "bad_request", boundless),
        ),
        (
            MULTIPART,
            "--part",
            nested(400, "bad_request", "The body is not multipart/form-data"),
        ),
        (
            MULTIPART,
            "--part\r\nContent-Disposition: form-data\r\n\r\n\r\n--part--\r\n",
            nested(400, "bad_request", "A part of the body has no name"),
        ),
        (
            JSON,
            r#"{"code":"1","cod\u0065":"1"}"#,
            flat(
                400,
                "invalid_request",
                "Parameter code is there more than once",
            ),
        ),
        (
            FORM,
            "state=&state=1",
            flat(
                400,
                "invalid_request",
                "Parameter state is there more than once",
            ),
        ),
    ] {
        for path in ["/oauth/token", "/oauth/token?refresh"] {
            let answer = post(&sandbox, path, &[("Content-Type", content_type)], body);
            assert_eq!(error(&answer), expected, "{content_type} {body}");
        }
    }
}

#[test]
fn an_exchange_that_is_refused() {
    const WRONG_CLIENT: &str = "The client_id or the client_secret is wrong";
    let wrong_state = "The state is not the one of the authorization";
    let sandbox = Sandbox::start().unwrap();
    for (member, value, expected) in [
        ("client_id", None, missing("client_id")),
        ("client_id", Some(""), missing("client_id")),
        ("client_secret", None, missing("client_secret")),
        ("code", None, missing("code")),
        ("grant_type", None, missing("grant_type")),
        ("state", None, missing("state")),
        (
            "client_id",
            Some("x"),
            flat(401, "invalid_client", WRONG_CLIENT),
        ),
        (
            "client_secret",
            Some("x"),
            flat(401, "invalid_client", WRONG_CLIENT),
        ),
        (
            "code",
            Some("x"),
            flat(400, "invalid_grant", "The code is not known"),
        ),
        ("state", Some("x"), flat(400, "invalid_grant", wrong_state)),
        (
            "grant_type",
            Some("refresh_token"),
            flat(
                400,
                "unsupported_grant_type",
                "grant_type must be authorization_code here",
            ),
        ),
    ] {
        let body = generate_body(&sandbox);
        let changed = with(body.clone(), member, value);
        let answer = post_json(&sandbox, "/oauth/token", &changed);
        assert_eq!(error(&answer), expected, "{member} {value:?}");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        let challenge = match answer.status() {
            StatusCode::UNAUTHORIZED => "Basic realm=\"Dropbox Sign sandbox\"",
            _ => "",
        };
        assert_eq!(header(&answer, "www-authenticate"), challenge);
        // None of it spent the code.
        tokens(&post_json(&sandbox, "/oauth/token", &body));
    }
    // What is missing is told in the order of the vendor's page, and null is missing too.
    let mut body = json!({});
    for member in ["client_id", "client_secret", "code", "grant_type", "state"] {
        let answer = post_json(&sandbox, "/oauth/token", &body);
        assert_eq!(error(&answer), missing(member));
        body[member] = Value::Null;
        let answer = post_json(&sandbox, "/oauth/token", &body);
        assert_eq!(error(&answer), missing(member));
        body[member] = "x".into();
    }
}

#[test]
fn a_second_use_refuses_and_revokes() {
    let sandbox = Sandbox::start().unwrap();
    let body = generate_body(&sandbox);
    let (access_token, refresh_token) = tokens(&post_json(&sandbox, "/oauth/token", &body));
    let (other, _) = log_in(&sandbox);
    assert_eq!(bearer(&sandbox, &access_token), good());

    let spent = "The code was used before: its tokens are now revoked";
    for _ in 0..2 {
        let again = post_json(&sandbox, "/oauth/token", &body);
        assert_eq!(error(&again), flat(400, "invalid_grant", spent));
    }
    assert_eq!(bearer(&sandbox, &access_token), not_good("was revoked"));
    let refresh = refresh_body(&refresh_token.unwrap());
    let refresh = post_json(&sandbox, "/oauth/token?refresh", &refresh);
    assert_eq!(
        error(&refresh),
        flat(400, "invalid_grant", "The user has revoked the grant")
    );
    assert_eq!(bearer(&sandbox, &other), good());
}

#[test]
fn a_code_expires() {
    for (after, status) in [(570, 200), (600, 400)] {
        let sandbox = start(Sandbox::builder().code_lifetime(Duration::from_secs(600)));
        let body = generate_body(&sandbox);
        sandbox.advance(Duration::from_secs(after));
        let answer = post_json(&sandbox, "/oauth/token", &body);
        assert_eq!(answer.status(), status);
        if status != 200 {
            let expected = flat(400, "invalid_grant", "The code has expired");
            assert_eq!(error(&answer), expected);
        }
    }
}

#[test]
fn a_basic_header_is_checked_if_it_is_there() {
    const ID: &str = "id/1+";
    const SECRET: &str = "s:e%&=";
    let basic = |credentials: &str| format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let builder = Sandbox::builder().client(ID, SECRET).api_key("key");
    let optional = start(builder.clone());
    let required = start(builder.require_basic());
    let encoded = basic("id%2F1%2B:s%3Ae%25%26%3D");
    for (authorization, accepted) in [
        (encoded.clone(), true),
        (encoded.replace("Basic", "bASIC"), true),
        (basic("key:"), true),
        (basic(&format!("{ID}:{SECRET}")), false),
        (basic("id%2F1%2B:x"), false),
        (basic("x:s%3Ae%25%26%3D"), false),
        (basic("id%2F1%2B&x:s%3Ae%25%26%3D"), false),
        (basic("key:x"), false),
        (basic("other:"), false),
        (basic("key"), false),
        (basic(""), false),
        ("Basic key:".into(), false),
        ("Basic".into(), false),
        (encoded.replace("Basic", "Bearer"), false),
    ] {
        for sandbox in [&optional, &required] {
            let mut body = generate_body(sandbox);
            body["client_id"] = ID.into();
            body["client_secret"] = SECRET.into();
            let headers = [("Content-Type", JSON), ("Authorization", &authorization)];
            let answer = post(sandbox, "/oauth/token", &headers, &body.to_string());
            if accepted {
                tokens(&answer);
            } else {
                let expected = flat(401, "invalid_client", "The Authorization header is wrong");
                assert_eq!(error(&answer), expected, "{authorization}");
                let challenge = header(&answer, "www-authenticate");
                assert_eq!(challenge, "Basic realm=\"Dropbox Sign sandbox\"");
            }
            let headers = [headers[0], headers[1], headers[1]];
            let twice = post(sandbox, "/oauth/token", &headers, &body.to_string());
            assert_eq!(twice.status(), StatusCode::UNAUTHORIZED);

            // The header does not stand in for the body.
            let body = with(body, "client_id", None).to_string();
            let headers = &headers[..2];
            let answer = post(sandbox, "/oauth/token", headers, &body);
            assert_eq!(error(&answer), missing("client_id"));
        }
    }
    for (sandbox, status) in [(&optional, 200), (&required, 401)] {
        let mut body = generate_body(sandbox);
        body["client_id"] = ID.into();
        body["client_secret"] = SECRET.into();
        let answer = post_json(sandbox, "/oauth/token", &body);
        assert_eq!(answer.status(), status);
        if status == 401 {
            let expected = flat(401, "invalid_client", "The Authorization header is missing");
            assert_eq!(error(&answer), expected);
        }
    }
}

// Token refresh.

#[test]
fn a_refresh_keeps_rotates_or_omits_the_refresh_token() {
    for (builder, carried, old_is_good) in [
        (Sandbox::builder(), Some(true), true),
        (
            Sandbox::builder().rotate_refresh_tokens(),
            Some(false),
            false,
        ),
        (Sandbox::builder().omit_refresh_token(), None, true),
    ] {
        let sandbox = start(builder);
        let (access_token, refresh_token) = log_in(&sandbox);
        let body = refresh_body(&refresh_token);
        let answer = post_json(&sandbox, "/oauth/token?refresh", &body);

        let (new, new_refresh_token) = tokens(&answer);
        let same = new_refresh_token
            .as_ref()
            .map(|token| *token == refresh_token);
        assert_eq!(same, carried);
        let carried = new_refresh_token
            .as_ref()
            .map(|token| format!("\"refresh_token\":\"{token}\","))
            .unwrap_or_default();
        assert_eq!(
            *answer.body(),
            format!(
                "{{\"access_token\":\"{new}\",\"token_type\":\"Bearer\",{carried}\
                 \"expires_in\":86400}}"
            )
        );
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "pragma"), "no-cache");
        assert_ne!(new, access_token);
        assert_eq!(bearer(&sandbox, &new), good());

        let again = post_json(&sandbox, "/oauth/token?refresh", &body);
        if old_is_good {
            tokens(&again);
        } else {
            let because = "The refresh token was replaced before: the grant is now revoked";
            assert_eq!(error(&again), flat(400, "invalid_grant", because));
            assert_eq!(bearer(&sandbox, &new), not_good("was revoked"));
        }
    }
}

#[test]
fn a_refresh_is_asked_for_in_three_encodings() {
    let sandbox = Sandbox::start().unwrap();
    let (_, refresh_token) = log_in(&sandbox);
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", &refresh_token)
        .append_pair("client_id", CLIENT_ID)
        .append_pair("client_secret", CLIENT_SECRET)
        .finish();
    let part = "--part\r\nContent-Disposition: form-data; name=";
    let multipart = format!(
        "{part}\"grant_type\"\r\n\r\nrefresh_token\r\n\
         {part}\"refresh_token\"\r\n\r\n{refresh_token}\r\n\
         {part}\"client_id\"\r\n\r\n{CLIENT_ID}\r\n\
         {part}\"client_secret\"\r\n\r\n{CLIENT_SECRET}\r\n--part--\r\n"
    );
    let json = refresh_body(&refresh_token).to_string();
    for (content_type, body) in [(JSON, json), (FORM, form), (MULTIPART, multipart)] {
        for path in [
            "/oauth/token?refresh",
            "/oauth/token?refresh=",
            "/oauth/token?a&refresh",
        ] {
            tokens(&post(
                &sandbox,
                path,
                &[("Content-Type", content_type)],
                &body,
            ));
        }
        // The address decides, not the body.
        let answer = post(
            &sandbox,
            "/oauth/token",
            &[("Content-Type", content_type)],
            &body,
        );
        assert_eq!(error(&answer), missing("code"));
    }
}

#[test]
fn a_refresh_that_is_refused() {
    const WRONG_CLIENT: &str = "The client_id or the client_secret is wrong";
    let new_app = Sandbox::start().unwrap();
    let old_app = start(Sandbox::builder().refresh_without_credentials());
    for (members, new, old) in [
        (&[("grant_type", None)][..], missing("grant_type"), None),
        (&[("refresh_token", None)], missing("refresh_token"), None),
        (&[("client_id", None)], missing("client_id"), None),
        (&[("client_secret", None)], missing("client_secret"), None),
        (
            &[("client_id", None), ("client_secret", None)],
            missing("client_id"),
            Some(()),
        ),
        (
            &[("client_secret", Some("x"))],
            flat(401, "invalid_client", WRONG_CLIENT),
            None,
        ),
        (
            &[("refresh_token", Some("x"))],
            flat(400, "invalid_grant", "The refresh token is not known"),
            None,
        ),
        (
            &[("grant_type", Some("authorization_code"))],
            flat(
                400,
                "unsupported_grant_type",
                "grant_type must be refresh_token here",
            ),
            None,
        ),
    ] {
        for (sandbox, is_good) in [(&new_app, None), (&old_app, old)] {
            let (_, refresh_token) = log_in(sandbox);
            let mut body = refresh_body(&refresh_token);
            for (member, value) in members {
                body = with(body, member, *value);
            }
            let answer = post_json(sandbox, "/oauth/token?refresh", &body);
            match is_good {
                Some(()) => drop(tokens(&answer)),
                None => assert_eq!(error(&answer), new, "{members:?}"),
            }
        }
    }
}

#[test]
fn a_basic_header_of_a_refresh_is_checked_too() {
    let sandbox = Sandbox::start().unwrap();
    let (_, refresh_token) = log_in(&sandbox);
    let body = refresh_body(&refresh_token).to_string();
    for (credentials, status) in [
        (format!("{CLIENT_ID}:{CLIENT_SECRET}"), 200),
        (format!("{CLIENT_ID}:x"), 401),
    ] {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        let headers = [("Content-Type", JSON), ("Authorization", &authorization)];
        let answer = post(&sandbox, "/oauth/token?refresh", &headers, &body);
        assert_eq!(answer.status(), status);
    }
}

// The account.

#[test]
fn an_account_is_told() {
    let sandbox = Sandbox::start().unwrap();
    let (access_token, _) = log_in(&sandbox);
    for scheme in ["Bearer", "bearer"] {
        let answer = account(&sandbox, Some(&format!("{scheme} {access_token}")));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(
            json_body(&answer),
            json!({
                "account": {
                    "account_id": "5008b25c7f67153e57d5a357b1687968068fb465",
                    "email_address": "me@dropboxsign.com",
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
                    "usage": {"fax_pages_sent": null},
                    "settings": {
                        "signer_access_codes": false,
                        "sms_delivery": false,
                        "sms_authentication": false,
                    },
                },
            })
        );
    }
}

#[test]
fn an_account_is_not_told_without_a_good_token() {
    const NO_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\"";
    const INVALID_TOKEN: &str = "Bearer realm=\"Dropbox Sign sandbox\", error=\"invalid_token\"";
    let none = "Unauthorized user. No credentials supplied.";
    let unknown = "Unauthorized user. The access token is not known.";
    let sandbox = Sandbox::start().unwrap();
    let (access_token, refresh_token) = log_in(&sandbox);
    for (authorization, message, challenge) in [
        (None, none, NO_TOKEN),
        (Some(String::new()), none, NO_TOKEN),
        (Some("Bearer".into()), none, NO_TOKEN),
        (Some(format!("Basic {access_token}")), none, NO_TOKEN),
        (Some("Bearer x".into()), unknown, INVALID_TOKEN),
        (
            Some(format!("Bearer {refresh_token}")),
            unknown,
            INVALID_TOKEN,
        ),
        (
            Some(format!("Bearer  {access_token}")),
            unknown,
            INVALID_TOKEN,
        ),
    ] {
        let answer = account(&sandbox, authorization.as_deref());
        assert_eq!(
            error(&answer),
            nested(401, "unauthorized", message),
            "{authorization:?}"
        );
        assert_eq!(header(&answer, "www-authenticate"), challenge);
    }
}

#[test]
fn an_access_token_expires_and_is_refreshed() {
    let sandbox = start(Sandbox::builder().token_lifetime(Duration::from_secs(600)));
    let body = generate_body(&sandbox);
    let answer = post_json(&sandbox, "/oauth/token", &body);
    assert_eq!(json_body(&answer)["expires_in"], 600);
    let (access_token, refresh_token) = tokens(&answer);
    let refresh_token = refresh_token.unwrap();
    sandbox.advance(Duration::from_secs(570));
    assert_eq!(bearer(&sandbox, &access_token), good());
    sandbox.advance(Duration::from_secs(30));
    assert_eq!(bearer(&sandbox, &access_token), not_good("has expired"));

    let answer = post_json(
        &sandbox,
        "/oauth/token?refresh",
        &refresh_body(&refresh_token),
    );
    let (access_token, _) = tokens(&answer);
    assert_eq!(bearer(&sandbox, &access_token), good());
}

#[test]
fn a_grant_is_revoked() {
    let sandbox = Sandbox::start().unwrap();
    for pick in [|(access, _)| access, |(_, refresh)| refresh] {
        let pick: fn((String, String)) -> String = pick;
        let tokens = log_in(&sandbox);
        let (access_token, refresh_token) = tokens.clone();
        assert!(sandbox.revoke(&pick(tokens)));
        assert_eq!(bearer(&sandbox, &access_token), not_good("was revoked"));
        let body = refresh_body(&refresh_token);
        let refresh = post_json(&sandbox, "/oauth/token?refresh", &body);
        let expected = flat(400, "invalid_grant", "The user has revoked the grant");
        assert_eq!(error(&refresh), expected);
    }
    let body = generate_body(&sandbox);
    assert!(sandbox.revoke(body["code"].as_str().unwrap()));
    let answer = post_json(&sandbox, "/oauth/token", &body);
    let expected = flat(400, "invalid_grant", "The user has revoked the grant");
    assert_eq!(error(&answer), expected);
    assert!(!sandbox.revoke("x"));
}

// Every address.

#[test]
fn an_address_or_a_method_that_is_not_there() {
    let sandbox = Sandbox::start().unwrap();
    for (method, path, status, allow) in [
        ("GET", "/", 404, ""),
        ("POST", "/oauth/token/", 404, ""),
        ("POST", "/oauth", 404, ""),
        ("GET", "/v3/accounts", 404, ""),
        ("GET", "/oauth/token", 405, "POST"),
        ("PUT", "/oauth/token?refresh", 405, "POST"),
        ("POST", "/v3/account", 405, "GET, HEAD"),
        ("DELETE", "/oauth/authorize", 405, "GET, HEAD, POST"),
    ] {
        let answer = exchange(connect(&sandbox), method, path, &[], b"");
        let expected = match status {
            404 => nested(404, "not_found", "Not found."),
            _ => nested(
                405,
                "method_not_supported",
                "This method is not supported here.",
            ),
        };
        assert_eq!(error(&answer), expected, "{method} {path}");
        assert_eq!(header(&answer, "allow"), allow, "{method} {path}");
    }
}

#[test]
fn a_body_that_is_too_large() {
    let sandbox = Sandbox::start().unwrap();
    let body = generate_body(&sandbox).to_string();
    for (size, status) in [(64 * 1024, 200), (64 * 1024 + 1, 413), (512 * 1024, 413)] {
        let padded = body.clone() + &" ".repeat(size - body.len());
        let answer = post(&sandbox, "/oauth/token", &[("Content-Type", JSON)], &padded);
        assert_eq!(answer.status(), status, "{size}");
        if status == 413 {
            let expected = nested(413, "bad_request", "The body is too large.");
            assert_eq!(error(&answer), expected);
        }
    }
    let recorded = sandbox.requests();
    let lengths: Vec<_> = recorded.iter().map(|request| request.body.len()).collect();
    assert_eq!(lengths, [64 * 1024, 0, 0]);
}

#[test]
fn a_body_that_has_no_end_is_refused_on_the_way() {
    let sandbox = Sandbox::start().unwrap();
    let mut stream = connect(&sandbox);
    stream
        .write_all(
            b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n",
        )
        .unwrap();
    // A little more than is read.
    stream.write_all(&vec![b' '; 1024 * 1024 + 1]).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[test]
fn a_body_that_breaks_off() {
    let sandbox = Sandbox::start().unwrap();
    let mut stream = connect(&sandbox);
    let request = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nno length\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let expected = nested(400, "bad_request", "The body broke off");
    assert_eq!(error(&read_answer(&answer)), expected);
}

#[test]
fn requests_are_counted_and_refused_over_the_limit() {
    let sandbox = start(Sandbox::builder().automatic().rate_limit(2));
    let body = generate_body(&sandbox);
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let numbers = |answer: &Response<String>| {
        ["x-ratelimit-limit", "x-ratelimit-limit-remaining"]
            .map(|name| header(answer, name).to_owned())
    };
    let answer = post_json(&sandbox, "/oauth/token", &body);
    let (access_token, _) = tokens(&answer);
    assert_eq!(numbers(&answer), ["2", "1"]);
    let reset: u64 = header(&answer, "x-ratelimit-reset").parse().unwrap();
    assert!((now + 3600..now + 3660).contains(&reset));

    // An error counts as well.
    let answer = get(&sandbox, "/v3/nothing");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(numbers(&answer), ["2", "0"]);
    for answer in [
        account(&sandbox, Some(&format!("Bearer {access_token}"))),
        post_json(&sandbox, "/oauth/token", &body),
        get(&sandbox, "/"),
    ] {
        let expected = nested(429, "exceeded_rate", "Too many requests.");
        assert_eq!(error(&answer), expected);
        assert_eq!(numbers(&answer), ["2", "0"]);
        assert_eq!(header(&answer, "x-ratelimit-reset"), reset.to_string());
        assert_eq!(header(&answer, "cache-control"), "no-store");
    }
    // The page is for people, and not limited.
    let redirect = get(&sandbox, &authorize_query(&[]));
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    assert_eq!(numbers(&redirect), ["", ""]);

    sandbox.advance(Duration::from_secs(3660));
    assert_eq!(bearer(&sandbox, &access_token), good());
    let statuses: Vec<_> = sandbox
        .requests()
        .iter()
        .map(|r| r.status.as_u16())
        .collect();
    assert_eq!(statuses, [200, 404, 429, 429, 429, 303, 200]);
}

#[test]
fn the_log_has_what_was_asked() {
    let sandbox = Sandbox::start().unwrap();
    let query = authorize_query(&[]);
    let ticket = ticket(&get(&sandbox, &query));
    decide(&sandbox, &ticket, "deny");
    let headers = [("Content-Type", JSON), ("Authorization", "Basic Y2FuYXJ5")];
    post(&sandbox, "/oauth/token?refresh", &headers, "canary");
    account(&sandbox, Some("Bearer canary"));

    let requests = sandbox.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| {
            let method = request.method.as_str();
            let body = String::from_utf8_lossy(&request.body);
            let status = request.status.as_u16();
            (method, request.path_and_query.as_str(), body, status)
        })
        .collect();
    let form = format!("ticket={ticket}&decision=deny");
    assert_eq!(
        seen,
        [
            ("GET", query.as_str(), "".into(), 200),
            ("POST", "/oauth/authorize", form.into(), 303),
            ("POST", "/oauth/token?refresh", "canary".into(), 400),
            ("GET", "/v3/account", "".into(), 401),
        ]
    );
    let values = |request: &RecordedRequest, name| -> Vec<HeaderValue> {
        request.headers.get_all(name).iter().cloned().collect()
    };
    assert_eq!(
        values(&requests[2], header::AUTHORIZATION),
        ["Basic Y2FuYXJ5"]
    );
    assert_eq!(
        values(&requests[3], header::AUTHORIZATION),
        ["Bearer canary"]
    );
    let shown = format!("{requests:?}");
    for secret in ["canary", "Y2FuYXJ5", STATE, &ticket] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

// TLS, and the core over both.

fn tls(sandbox: &Sandbox, config: ClientConfig) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, connect(sandbox))
}

/// The whole flow by the core's operations.
fn walk<S: Read + Write>(sandbox: &Sandbox, connect: impl Fn() -> S) {
    let app = sandbox.app();
    let state = state();
    let uri: http::Uri = app.authorize_url(&state).parse().unwrap();
    assert!(uri.to_string().starts_with(sandbox.base_url()));
    let path_and_query = uri.path_and_query().unwrap().as_str();
    let redirect = exchange(connect(), "GET", path_and_query, &[], b"");
    let callback = header(&redirect, "location").parse().unwrap();
    let code: AuthorizationCode = app.callback_uri(&callback, &state).unwrap();

    let tokens: TokenResponse = send(connect(), app.generate(code)).unwrap();
    let refresh_token = tokens.refresh_token.unwrap();
    let tokens = send(connect(), app.refresh(&refresh_token)).unwrap();
    let account = send(connect(), app.account(&tokens.access_token)).unwrap();
    assert_eq!(account.account_id, ACCOUNT_ID);
    assert_eq!(account.email_address, EMAIL_ADDRESS);
    assert_eq!(account.rate_limit.limit, Some(1_000_000));
    assert_eq!(account.rate_limit.remaining, Some(1_000_000 - 3));
    assert!(account.rate_limit.reset.is_some());
}

#[test]
fn the_core_walks_through_it() {
    let builder = Sandbox::builder()
        .automatic()
        .callback(CALLBACK)
        .require_basic();
    let sandbox = start(builder.clone());
    assert_eq!(sandbox.root_certificate(), None);
    assert_eq!(sandbox.root_certificate_pem(), None);
    walk(&sandbox, || connect(&sandbox));

    let sandbox = start(builder.tls());
    let root = sandbox.root_certificate().unwrap();
    walk(&sandbox, || tls(&sandbox, client_config([root.clone()])));
}

#[test]
fn a_client_that_does_not_trust_it_asks_nothing() {
    let authority = Authority::new();
    for (leaf, trusted, accepted) in [
        (Leaf::Valid, authority.root(), true),
        (Leaf::Valid, Authority::new().root(), false),
        (Leaf::Expired, authority.root(), false),
        (Leaf::OtherHost, authority.root(), false),
    ] {
        let sandbox = start(Sandbox::builder().tls_from(&authority, leaf));
        assert_eq!(
            sandbox.base_url(),
            format!("https://127.0.0.1:{}", sandbox.port())
        );
        assert_eq!(sandbox.root_certificate(), Some(authority.root()));
        assert_eq!(sandbox.root_certificate_pem(), Some(&*authority.root_pem()));
        let mut stream = tls(&sandbox, client_config([trusted]));
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let sent = stream.write_all(request);
        assert_eq!(sent.is_ok(), accepted, "{leaf:?}");
        if accepted {
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
        assert_eq!(sandbox.requests().len(), usize::from(accepted), "{leaf:?}");
    }
}

#[test]
fn a_handshake_that_never_ends_keeps_nobody_waiting() {
    let sandbox = start(Sandbox::builder().tls());
    let _silent = connect(&sandbox);
    let mut plain = connect(&sandbox);
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    let _ = plain.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP"),
        "no plain text on the TLS port"
    );

    let root = sandbox.root_certificate().unwrap();
    let answer = exchange(tls(&sandbox, client_config([root])), "GET", "/", &[], b"");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[test]
fn the_handshake_agrees_on_a_version_of_http() {
    let newest = if cfg!(feature = "http2") {
        "h2"
    } else {
        "http/1.1"
    };
    let sandbox = start(Sandbox::builder().tls());
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(newest)),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut config = client_config(sandbox.root_certificate());
        config.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let mut stream = tls(&sandbox, config);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), agreed.map(str::as_bytes));
    }
}
