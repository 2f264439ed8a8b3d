//! The requests that the tests send.

use dropbox_sign_oauth::State;
use dropbox_sign_oauth_testkit::sandbox::{Builder, CLIENT_ID, CLIENT_SECRET, Sandbox};
use dropbox_sign_oauth_ureq::ureq::Agent;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const STATE: &str = "900e06e2";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/callback";
pub(crate) const JSON: &str = "application/json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const MULTIPART: &str = "multipart/form-data; boundary=part";
pub(crate) const TOKEN: &str = "/oauth/token";
pub(crate) const REFRESH: &str = "/oauth/token?refresh";

pub(crate) fn start(builder: Builder) -> Sandbox {
    builder.start().unwrap()
}

pub(crate) fn state() -> State {
    State::from_stored(STATE).unwrap()
}

/// Sends a request on a new connection.
#[track_caller]
pub(crate) fn exchange(
    sandbox: &Sandbox,
    method: &str,
    path_and_query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<String> {
    let config = Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
    let agent = config.user_agent("").accept("").build().new_agent();
    let uri = format!("{}{path_and_query}", sandbox.base_url());
    let request = Request::builder().method(method).uri(uri);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = match body {
        "" => agent.run(request.body(()).unwrap()),
        _ => agent.run(request.body(body.to_owned()).unwrap()),
    };
    let (parts, mut body) = response.unwrap().into_parts();
    Response::from_parts(parts, body.read_to_string().unwrap())
}

pub(crate) fn get(sandbox: &Sandbox, path_and_query: &str) -> Response<String> {
    exchange(sandbox, "GET", path_and_query, &[], "")
}

pub(crate) fn post(
    sandbox: &Sandbox,
    path_and_query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<String> {
    exchange(sandbox, "POST", path_and_query, headers, body)
}

pub(crate) fn post_as(
    sandbox: &Sandbox,
    path_and_query: &str,
    content_type: &str,
    body: &str,
) -> Response<String> {
    post(sandbox, path_and_query, &[("Content-Type", content_type)], body)
}

pub(crate) fn post_json(sandbox: &Sandbox, path_and_query: &str, body: &Value) -> Response<String> {
    post_as(sandbox, path_and_query, JSON, &body.to_string())
}

pub(crate) fn get_account(sandbox: &Sandbox, authorization: &str) -> Response<String> {
    let headers = [("Authorization", authorization)];
    exchange(sandbox, "GET", "/v3/account", &headers, "")
}

#[track_caller]
pub(crate) fn header<'r>(response: &'r Response<String>, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
pub(crate) fn json_body(response: &Response<String>) -> Value {
    assert_eq!(header(response, "content-type"), "application/json");
    serde_json::from_str(response.body()).unwrap()
}

/// Returns the status and body of an error.
#[track_caller]
pub(crate) fn error(response: &Response<String>) -> (u16, Value) {
    (response.status().as_u16(), json_body(response))
}

pub(crate) fn nested(status: u16, name: &str, message: &str) -> (u16, Value) {
    let error = json!({"error_msg": message, "error_name": name});
    (status, json!({ "error": error }))
}

pub(crate) fn flat(status: u16, error: &str, description: &str) -> (u16, Value) {
    let body = json!({"error": error, "error_description": description});
    (status, body)
}

pub(crate) fn bad_request(message: &str) -> (u16, Value) {
    nested(400, "bad_request", message)
}

pub(crate) fn missing(parameter: &str) -> (u16, Value) {
    bad_request(&format!("Parameter {parameter} is missing"))
}

pub(crate) fn invalid_grant(description: &str) -> (u16, Value) {
    flat(400, "invalid_grant", description)
}

pub(crate) fn wrong_client() -> (u16, Value) {
    let description = "The client_id or the client_secret is wrong";
    flat(401, "invalid_client", description)
}

/// The error for a token request whose `Authorization` header has this problem.
pub(crate) fn wrong_header(problem: &str) -> (u16, Value) {
    let description = format!(
        "The Authorization header {problem}; \
         expected `Basic base64(form(client_id):form(client_secret))`"
    );
    flat(401, "invalid_client", &description)
}

/// The body of a token request with a new code, as in the vendor's example.
pub(crate) fn generate_body(sandbox: &Sandbox) -> Value {
    json!({
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": sandbox.issue_code(&state()),
        "grant_type": "authorization_code",
        "state": STATE,
    })
}

pub(crate) fn refresh_body(refresh_token: &str) -> Value {
    json!({
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    })
}

/// Returns `body` with a member set or removed.
pub(crate) fn with(mut body: Value, member: &str, value: Option<&str>) -> Value {
    let members = body.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.into(), value.into()),
        None => members.remove(member),
    };
    body
}

/// Returns the access token and refresh token of a response.
#[track_caller]
pub(crate) fn tokens(response: &Response<String>) -> (String, Option<String>) {
    assert_eq!(response.status(), StatusCode::OK, "{}", response.body());
    let body = json_body(response);
    let access_token = body["access_token"].as_str().unwrap().to_owned();
    let refresh_token = body["refresh_token"].as_str().map(String::from);
    (access_token, refresh_token)
}

/// Exchanges a new code.
#[track_caller]
pub(crate) fn log_in(sandbox: &Sandbox) -> (String, String) {
    let body = generate_body(sandbox);
    let (access_token, refresh_token) = tokens(&post_json(sandbox, TOKEN, &body));
    (access_token, refresh_token.unwrap())
}

/// Returns the status and message of `/v3/account` for an access token.
pub(crate) fn bearer(sandbox: &Sandbox, access_token: &str) -> (u16, String) {
    let response = get_account(sandbox, &format!("Bearer {access_token}"));
    let body = json_body(&response);
    let message = body["error"]["error_msg"].as_str().unwrap_or_default();
    (response.status().as_u16(), message.to_owned())
}

pub(crate) fn valid() -> (u16, String) {
    (200, String::new())
}

pub(crate) fn invalid(because: &str) -> (u16, String) {
    let message = format!("Unauthorized user. The access token {because}.");
    (401, message)
}
