//! Start and stop, TLS, limits, faults and the log.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use dropbox_sign_oauth::{AuthorizationCode, CallError, TokenResponse};
use dropbox_sign_oauth_testkit::sandbox::{Fault, Sandbox};
use dropbox_sign_oauth_ureq::Transport;
use http::{Response, StatusCode, header};

use crate::{
    authorize::{decide, query, ticket},
    client::{
        JSON, REFRESH, TOKEN, bad_request, bearer, error, exchange, generate_body, get,
        get_account, header, nested, post_as, post_json, start, state, tokens, valid,
    },
};

/// Opens a connection that the test writes to itself.
fn connect(sandbox: &Sandbox) -> TcpStream {
    let (_, address) = sandbox.base_url().split_once("://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    // With a timeout, a test fails instead of hanging.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Exchanges a new code, with a client that trusts the sandbox.
fn send(sandbox: &Sandbox) -> Result<TokenResponse, CallError> {
    let mut builder = Transport::builder();
    if let Some(root) = sandbox.root_certificate() {
        builder = builder.extra_root(root);
    }
    let code = AuthorizationCode::new(&sandbox.issue_code(&state()), state()).unwrap();
    builder.build().unwrap().send(sandbox.app().generate(code))
}

#[test]
fn dropping_closes_all_connections() {
    let sandbox = Sandbox::start().unwrap();
    let base_url = sandbox.base_url();
    assert_eq!(format!("{sandbox:?}"), format!("Sandbox {{ base_url: \"{base_url}\", .. }}"));
    let idle = connect(&sandbox);
    let mut half = connect(&sandbox);
    half.write_all(b"POST /oauth/token HTTP/1.1\r\nContent-Length: 9\r\n\r\n{").unwrap();
    assert_eq!(get(&sandbox, "/").status(), StatusCode::NOT_FOUND);
    drop(sandbox);
    for mut connection in [idle, half] {
        let read = connection.read(&mut [0; 1]);
        let ended = read.map_or_else(|e| e.kind() == io::ErrorKind::ConnectionReset, |n| n == 0);
        assert!(ended);
    }
}

#[test]
fn start_fails_with_port_in_use_and_invalid_settings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let builder = Sandbox::builder;
    for (builder, kind) in [
        (builder().port(port), io::ErrorKind::AddrInUse),
        (builder().callback("/callback"), io::ErrorKind::InvalidInput),
        (builder().client("a b", "secret"), io::ErrorKind::InvalidInput),
    ] {
        assert_eq!(builder.start().unwrap_err().kind(), kind);
    }
}

#[test]
fn rejects_unknown_paths_and_methods() {
    let sandbox = Sandbox::start().unwrap();
    for (method, path, allow) in [
        ("GET", "/", None),
        ("POST", "/oauth/token/", None),
        ("GET", "/v3/accounts", None),
        ("GET", TOKEN, Some("POST")),
        ("PUT", REFRESH, Some("POST")),
        ("POST", "/v3/account", Some("GET,HEAD")),
        ("DELETE", "/oauth/authorize", Some("GET,HEAD,POST")),
        ("POST", "/sandbox/fault", Some("PUT")),
    ] {
        let response = exchange(&sandbox, method, path, &[], "");
        let unsupported = "This method is not supported here.";
        let expected = match allow {
            None => nested(404, "not_found", "Not found."),
            Some(_) => nested(405, "method_not_supported", unsupported),
        };
        assert_eq!(error(&response), expected, "{method} {path}");
        assert_eq!(header(&response, "allow"), allow.unwrap_or_default());
    }
}

#[test]
fn rejects_a_large_or_incomplete_body() {
    let sandbox = Sandbox::start().unwrap();
    let body = generate_body(&sandbox).to_string();
    let padded = body.clone() + &" ".repeat(1024 * 1024 - body.len());
    tokens(&post_as(&sandbox, TOKEN, JSON, &padded));
    for rest in [
        "Content-Length: 1048577\r\n\r\n".to_owned() + &padded + " ",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nno length\r\n".into(),
    ] {
        let mut stream = connect(&sandbox);
        let head = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        stream.write_all((head.to_owned() + &rest).as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        let (_, expected) = bad_request("The body is incomplete or larger than 1 MiB");
        assert_eq!(body, expected.to_string());
    }
}

/// The headers of the rate limit.
fn limit_headers(response: &Response<String>) -> [&str; 3] {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-limit-remaining"]
        .map(|name| header(response, name))
}

#[test]
fn limits_the_rate_of_the_api() {
    let sandbox = start(Sandbox::builder().automatic().rate_limit(2));
    let body = generate_body(&sandbox);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let response = post_json(&sandbox, TOKEN, &body);
    let (access_token, _) = tokens(&response);
    assert_eq!(limit_headers(&response), ["2", "1", "1"]);
    let reset: u64 = header(&response, "x-ratelimit-reset").parse().unwrap();
    assert!((now + 3600..now + 3660).contains(&reset));

    // Errors count as well.
    let response = exchange(&sandbox, "PUT", TOKEN, &[], "");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(limit_headers(&response), ["2", "0", "0"]);
    for response in [
        get_account(&sandbox, &format!("Bearer {access_token}")),
        post_json(&sandbox, TOKEN, &body),
        get(&sandbox, "/"),
    ] {
        let expected = nested(429, "exceeded_rate", "Too many requests.");
        assert_eq!(error(&response), expected);
        assert_eq!(limit_headers(&response), ["2", "0", "0"]);
        assert_eq!(header(&response, "x-ratelimit-reset"), reset.to_string());
        assert_eq!(header(&response, "cache-control"), "no-store");
    }
    // The rate limit does not apply to the authorize page.
    let redirect = get(&sandbox, &query(&[]));
    assert_eq!(redirect.status(), StatusCode::SEE_OTHER);
    assert_eq!(limit_headers(&redirect), ["", "", ""]);

    sandbox.advance(Duration::from_secs(3660));
    assert_eq!(bearer(&sandbox, &access_token), valid());
    let requests = sandbox.requests();
    let statuses: Vec<_> = requests.iter().map(|r| r.status.as_u16()).collect();
    assert_eq!(statuses, [200, 405, 429, 429, 429, 303, 200]);
}

#[test]
fn switches_faults_while_running() {
    let sandbox = Sandbox::start().unwrap();
    let body = generate_body(&sandbox);
    for (fault, expected) in [
        ("503", nested(503, "unavailable", "The service is unavailable.")),
        ("429", nested(429, "exceeded_rate", "Too many requests.")),
    ] {
        let response = exchange(&sandbox, "PUT", "/sandbox/fault", &[], fault);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(error(&post_json(&sandbox, TOKEN, &body)), expected);
        // Faults do not affect the authorize page.
        assert_eq!(get(&sandbox, &query(&[])).status(), StatusCode::OK);
    }
    let response = exchange(&sandbox, "PUT", "/sandbox/fault", &[], "500");
    let expected = bad_request("A fault is one of 429, 503, slow, reset and none");
    assert_eq!(error(&response), expected);
    for fault in ["slow", "reset", "none\n"] {
        let response = exchange(&sandbox, "PUT", "/sandbox/fault", &[], fault);
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{fault}");
    }
    // No request took effect.
    tokens(&post_json(&sandbox, TOKEN, &body));
}

#[test]
fn reset_and_slow_apply_the_request_and_lose_or_delay_the_response() {
    for builder in [Sandbox::builder(), Sandbox::builder().tls()] {
        let sandbox = start(builder);
        sandbox.set_fault(Some(Fault::Reset));
        let lost = send(&sandbox).unwrap_err();
        assert!(matches!(lost, CallError::Unknown { .. }), "{lost}");
        let recorded = sandbox.requests().pop().unwrap();
        assert_eq!(recorded.status, StatusCode::OK);
        let expected = "The response is lost: the connection is reset";
        assert_eq!(recorded.reason.as_deref(), Some(expected));

        let delay = Duration::from_millis(100);
        sandbox.set_fault(Some(Fault::Slow(delay)));
        let begin = Instant::now();
        send(&sandbox).unwrap();
        assert!(begin.elapsed() >= delay);
    }
    let sandbox = Sandbox::start().unwrap();
    sandbox.set_fault(Some(Fault::Reset));
    let mut stream = connect(&sandbox);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let lost = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn records_requests_and_shows_no_secrets() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let sandbox = start(Sandbox::builder().on_request(move |request| {
        written.lock().unwrap().push(request.to_string());
    }));
    let query = query(&[("canary", Some("x"))]);
    let ticket = ticket(&get(&sandbox, &query));
    decide(&sandbox, &ticket, "deny");
    let headers =
        [("Content-Type", JSON), ("Authorization", "Basic Y2FuYXJ5"), ("Cookie", "canary=1")];
    exchange(&sandbox, "POST", REFRESH, &headers, "canary");
    get_account(&sandbox, "Bearer canary");

    let requests = sandbox.requests();
    let form = format!("ticket={ticket}&decision=deny");
    for (request, (path_and_query, body, authorization)) in requests.iter().zip([
        (query.as_str(), "", None),
        ("/oauth/authorize", form.as_str(), None),
        (REFRESH, "canary", Some("Basic Y2FuYXJ5")),
        ("/v3/account", "", Some("Bearer canary")),
    ]) {
        assert_eq!(request.path_and_query, path_and_query);
        assert_eq!(request.body, body.as_bytes());
        let value = request.headers.get(header::AUTHORIZATION);
        assert_eq!(value.map(|value| value.to_str().unwrap()), authorization);
    }
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "GET /oauth/authorize?response_type&client_id&state&redirect_uri&? 200",
            "POST /oauth/authorize 303 application/x-www-form-urlencoded",
            "POST /oauth/token?refresh 400 Basic application/json \
             \"The body is not a JSON object\"",
            "GET /v3/account 401 Bearer \"Unauthorized user. The access token is unknown.\"",
        ]
    );
    let shown = format!("{requests:?}");
    for secret in ["canary", "Y2FuYXJ5", "900e06e2", &ticket] {
        assert!(!shown.contains(secret), "{secret}");
    }

    // The oldest requests are evicted.
    for _ in 0..4096 {
        get(&sandbox, "/");
    }
    let last = sandbox.requests();
    assert_eq!((last.len(), &*last[0].path_and_query), (4096, "/"));
}

#[test]
fn unfinished_handshakes_do_not_block_others() {
    let sandbox = start(Sandbox::builder().tls());
    let _silent = connect(&sandbox);
    let mut plain = connect(&sandbox);
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut response = Vec::new();
    // The server may reset this connection.
    let _ = plain.read_to_end(&mut response);
    assert!(!response.starts_with(b"HTTP"), "plain text on the TLS port");
    send(&sandbox).unwrap();
}
