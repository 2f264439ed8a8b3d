//! Requests without a browser.

use std::{
    env,
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, header},
};
use dropbox_sign_oauth::State;
use dropbox_sign_oauth_testkit::sandbox::{Fault, Sandbox};
use dropbox_sign_oauth_ureq::ureq;
use tower::ServiceExt as _;

use crate::router;

const ORIGIN: &str = "http://127.0.0.1:8080";

struct Response {
    status: u16,
    headers: HeaderMap,
    body: String,
}

/// Sends a request with an `Origin` and a `Cookie` header, unless they are empty.
async fn send(router: &Router, method: &str, path: &str, origin: &str, cookies: &str) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [(header::ORIGIN, origin), (header::COOKIE, cookies)] {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let body = String::from_utf8(body).unwrap();
    Response { status: parts.status.as_u16(), headers: parts.headers, body }
}

impl Response {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the cookies that the response sets, as name, value and attributes, sorted.
    fn cookies(&self) -> Vec<(&str, &str, &str)> {
        let cookies = self.headers.get_all(header::SET_COOKIE).into_iter();
        let mut cookies: Vec<_> = cookies
            .map(|cookie| {
                let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
                let (value, attributes) = rest.split_once("; ").unwrap();
                (name, value, attributes)
            })
            .collect();
        cookies.sort_unstable();
        cookies
    }

    /// Returns the `Cookie` header of the next request.
    fn cookie_header(&self) -> String {
        self.cookies().iter().fold(String::new(), |mut header, (name, value, _)| {
            write!(header, "{name}={value}; ").unwrap();
            header
        })
    }

    /// Returns the state in the URL to which the response redirects.
    fn state(&self) -> State {
        let (_, query) = self.header(header::LOCATION).split_once('?').unwrap();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let (_, state) = parameters.find(|(name, _)| name == "state").unwrap();
        State::from_stored(&state).unwrap()
    }
}

#[tokio::test]
async fn sets_cookies_for_this_site_only() {
    let sandbox = Sandbox::start().unwrap();
    for (origin, user, secure) in
        [(ORIGIN, "user", ""), ("https://example.com", "__Host-user", "Secure; ")]
    {
        let router = router(&sandbox, origin);
        let connect = send(&router, "POST", "/connect", origin, "").await;
        assert_eq!(connect.status, 303);
        let state = connect.state();
        let login = format!("login-{}", state.as_str());
        let attributes =
            |path, age| format!("HttpOnly; SameSite=Lax; {secure}Path={path}; Max-Age={age}");
        let expected =
            [(user, attributes("/", 30 * 24 * 60 * 60)), (&*login, attributes("/callback", 600))];
        for (name, attributes) in expected {
            let cookies = connect.cookies();
            let cookie = cookies.iter().find(|cookie| cookie.0 == name).unwrap();
            assert_eq!(cookie.2, attributes);
            // The value is encrypted.
            assert!(cookie.1.len() > 70 && !cookie.1.contains("alice"), "{}", cookie.1);
        }
        assert_eq!(connect.cookies().len(), 2);

        let callback =
            format!("/callback?code={}&state={}", sandbox.issue_code(&state), state.as_str());
        let callback = send(&router, "GET", &callback, "", &connect.cookie_header()).await;
        assert_eq!((callback.status, callback.header(header::LOCATION)), (303, "/"));
        let [(name, "", attributes)] = callback.cookies()[..] else {
            panic!("{:?}", callback.cookies())
        };
        assert_eq!(name, login);
        assert!(attributes.starts_with("Path=/callback; Max-Age=0; Expires="), "{attributes}");
    }
}

#[tokio::test]
async fn tells_when_to_retry() {
    let sandbox = Sandbox::start().unwrap();
    sandbox.set_fault(Some(Fault::Unavailable));
    let router = router(&sandbox, ORIGIN);
    let connect = send(&router, "POST", "/connect", ORIGIN, "").await;
    let callback = format!("/callback?code=1b0d28d90c86c141&state={}", connect.state().as_str());
    let callback = send(&router, "GET", &callback, "", &connect.cookie_header()).await;
    assert_eq!((callback.status, callback.header(header::RETRY_AFTER)), (503, "30"));
    assert!(callback.body.contains("30 seconds"), "{}", callback.body);
}

#[tokio::test]
async fn exchanges_the_code_of_a_doubled_callback_once() {
    let sandbox = Sandbox::start().unwrap();
    let router = router(&sandbox, ORIGIN);
    let connect = send(&router, "POST", "/connect", ORIGIN, "").await;
    let (state, cookies) = (connect.state(), connect.cookie_header());
    let code = sandbox.issue_code(&state);
    let callback = format!("/callback?code={code}&state={}", state.as_str());
    let request = || send(&router, "GET", &callback, "", &cookies);
    let (first, second) = tokio::join!(request(), request());
    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn rejects_forms_of_other_sites() {
    let sandbox = Sandbox::start().unwrap();
    let router = router(&sandbox, ORIGIN);
    for path in ["/connect", "/disconnect", "/switch-user", "/nothing"] {
        for origin in ["", "null", "http://127.0.0.1:8081", "http://127.0.0.1:8080.example.com"] {
            let response = send(&router, "POST", path, origin, "").await;
            assert_eq!(response.status, 403, "{path} {origin}");
            assert_eq!(response.cookies(), []);
        }
    }
}

#[tokio::test]
async fn survives_invalid_requests() {
    let sandbox = Sandbox::start().unwrap();
    let router = router(&sandbox, ORIGIN);
    let connect = send(&router, "POST", "/connect", ORIGIN, "").await;
    let (state, cookies) = (connect.state(), connect.cookie_header());
    let state = state.as_str();
    let huge = format!("/callback?state={state}&code={}", "x".repeat(60_000));
    let (duplicate, other) = (format!("{cookies}{cookies}"), cookies.replace(state, "x"));
    for (method, path, cookies, status) in [
        ("HEAD", "/", "", 200),
        ("PUT", "/", "", 405),
        ("GET", "/connect", "", 405),
        ("GET", "/../../etc/passwd", "", 404),
        ("GET", "/%2e%2e/style.css", "", 404),
        ("GET", "/callback", &cookies, 400),
        ("GET", &huge, &cookies, 400),
        ("GET", &format!("/callback?state={state}&state={state}&code=x"), &cookies, 400),
        ("GET", &format!("/callback?state={state}&code=%ff%00"), &cookies, 400),
        ("GET", &format!("/callback?state={state}&code=%3Cscript%3E"), &other, 400),
        ("GET", &format!("/callback?state={state}&error=%3Cscript%3E"), &duplicate, 400),
        ("GET", "/", "user=../../etc/passwd", 200),
        ("GET", "/", "user=%00; user; =; ;;", 200),
        ("POST", "/switch-user", "user=bob", 303),
        ("POST", "/disconnect", "", 303),
    ] {
        let response = send(&router, method, path, ORIGIN, cookies).await;
        assert_eq!(response.status, status, "{method} {path}");
        let page = response.body;
        for secret in [sandbox.client_secret(), state, "<script>", "passwd"] {
            assert!(!page.contains(secret), "{page}");
        }
        assert!(method == "HEAD" || status == 303 || page.contains("<h1>"), "{page}");
        assert_eq!(response.headers[header::CACHE_CONTROL], "no-store");
    }
    assert!(sandbox.requests().is_empty());
}

/// `cargo test` builds the examples first, but `cargo test --test webapp` does not.
#[test]
#[cfg(unix)]
fn runs_until_it_is_interrupted() {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/webapp");
    assert!(program.exists(), "run `cargo build --example webapp` first");
    let mut command = Command::new(program);
    command.env("LISTEN", "127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::piped());
    for name in ["DROPBOX_SIGN_CLIENT_ID", "ORIGIN", "STORE"] {
        command.env_remove(name);
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("Open ")).unwrap();
    let response = ureq::get(line.split(' ').nth(1).unwrap()).call();
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    assert!(child.wait().unwrap().success());
    let page = response.unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("<h1>Connect Dropbox Sign</h1>"), "{page}");
}
