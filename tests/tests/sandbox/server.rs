//! Start and stop, TLS, limits, faults and the log.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use dropbox_sign_oauth::{Operation, TokenResponse};
use dropbox_sign_oauth_testkit::{
    sandbox::{ACCOUNT_ID, EMAIL_ADDRESS, Fault, RecordedRequest, Sandbox},
    tls::{Authority, Leaf, client_config},
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use crate::{
    authorize::{decide, query, ticket},
    client::{
        CALLBACK, JSON, REFRESH, TOKEN, bad_request, bearer, connect, error, exchange,
        generate_body, get, get_account, header, invalid, invalid_grant, log_in, nested, parse,
        post_as, post_json, start, state, tokens, valid,
    },
};

#[test]
fn dropping_closes_all_connections() {
    let sandbox = Sandbox::start().unwrap();
    let port = sandbox.port();
    assert_eq!(sandbox.base_url(), format!("http://127.0.0.1:{port}"));
    assert_eq!(
        format!("{sandbox:?}"),
        format!("Sandbox {{ base_url: \"http://127.0.0.1:{port}\", .. }}")
    );
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
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let builder = Sandbox::builder;
    for (builder, kind) in [
        (builder().port(port), io::ErrorKind::AddrInUse),
        (builder().tls().port(port), io::ErrorKind::AddrInUse),
        (builder().callback("/callback"), io::ErrorKind::InvalidInput),
        (builder().client("a b", "secret"), io::ErrorKind::InvalidInput),
        (builder().client("id", ""), io::ErrorKind::InvalidInput),
    ] {
        assert_eq!(builder.start().unwrap_err().kind(), kind);
    }
}

#[test]
fn sandboxes_are_independent() {
    let [one, other] = [(); 2].map(|()| Sandbox::start().unwrap());
    let (access_token, _) = log_in(&one);
    assert_eq!(bearer(&one, &access_token), valid());
    assert_eq!(bearer(&other, &access_token), invalid("is unknown"));
}

#[test]
fn rejects_unknown_paths_and_methods() {
    let sandbox = Sandbox::start().unwrap();
    for (method, path, allow) in [
        ("GET", "/", None),
        ("POST", "/oauth/token/", None),
        ("POST", "/oauth", None),
        ("GET", "/v3/accounts", None),
        ("GET", TOKEN, Some("POST")),
        ("PUT", REFRESH, Some("POST")),
        ("POST", "/v3/account", Some("GET, HEAD")),
        ("DELETE", "/oauth/authorize", Some("GET, HEAD, POST")),
        ("POST", "/sandbox/fault", Some("GET, HEAD, PUT")),
    ] {
        let response = exchange(connect(&sandbox), method, path, &[], b"");
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
fn limits_bodies() {
    let sandbox = Sandbox::start().unwrap();
    let body = generate_body(&sandbox).to_string();
    for (size, status) in [(64 * 1024, 200), (64 * 1024 + 1, 413), (512 * 1024, 413)] {
        let padded = body.clone() + &" ".repeat(size - body.len());
        let response = post_as(&sandbox, TOKEN, JSON, &padded);
        assert_eq!(response.status(), status, "{size}");
        if status == 413 {
            let expected = nested(413, "bad_request", "The body is too large.");
            assert_eq!(error(&response), expected);
        }
    }
    let recorded = sandbox.requests();
    let lengths: Vec<_> = recorded.iter().map(|request| request.body.len()).collect();
    assert_eq!(lengths, [64 * 1024, 0, 0]);

    // A very large body is rejected before it is complete.
    let mut stream = connect(&sandbox);
    let head = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b' '; 1024 * 1024 + 1]).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[test]
fn rejects_an_incomplete_body() {
    let sandbox = Sandbox::start().unwrap();
    let mut stream = connect(&sandbox);
    let request = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nno length\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let expected = bad_request("The body is incomplete");
    assert_eq!(error(&parse(&response)), expected);
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
    let response = get(&sandbox, "/v3/nothing");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
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
    assert_eq!(statuses, [200, 404, 429, 429, 429, 303, 200]);
}

fn put_fault(sandbox: &Sandbox, fault: &str) -> Response<String> {
    let stream = connect(sandbox);
    exchange(stream, "PUT", "/sandbox/fault", &[], fault.as_bytes())
}

#[test]
fn switches_faults_that_block_requests_while_running() {
    let sandbox = start(Sandbox::builder().fault(Fault::Unavailable));
    let body = generate_body(&sandbox);
    let unavailable = nested(503, "unavailable", "The service is unavailable.");
    assert_eq!(error(&post_json(&sandbox, TOKEN, &body)), unavailable);
    assert_eq!(get(&sandbox, "/sandbox/fault").body(), "503");
    // Faults do not affect the authorize page.
    assert_eq!(get(&sandbox, &query(&[])).status(), StatusCode::OK);

    assert_eq!(put_fault(&sandbox, "429").status(), StatusCode::NO_CONTENT);
    let limited = nested(429, "exceeded_rate", "Too many requests.");
    assert_eq!(error(&post_json(&sandbox, TOKEN, &body)), limited);

    let expected = bad_request("A fault is one of 429, 503, slow, reset and none");
    assert_eq!(error(&put_fault(&sandbox, "500")), expected);
    assert_eq!(put_fault(&sandbox, "none\n").status(), StatusCode::NO_CONTENT);
    assert_eq!(get(&sandbox, "/sandbox/fault").body(), "none");
    // No request took effect.
    tokens(&post_json(&sandbox, TOKEN, &body));
}

#[test]
fn reset_and_slow_apply_the_request_and_lose_or_delay_the_response() {
    for builder in [Sandbox::builder(), Sandbox::builder().tls()] {
        let sandbox = start(builder);
        let used = generate_body(&sandbox).to_string();
        let request = format!(
            "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n\
             Content-Length: {}\r\n\r\n{used}",
            used.len()
        );
        sandbox.set_fault(Some(Fault::Reset));
        let read = |mut stream: Box<dyn Stream>| {
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_end(&mut Vec::new())
        };
        let lost = read(connect_to(&sandbox)).unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset);
        let reason = sandbox.requests()[0].reason.clone();
        let expected = "The response is lost: the connection is reset";
        assert_eq!(reason.as_deref(), Some(expected));
        sandbox.set_fault(None);
        let headers = [("Content-Type", JSON)];
        let stream = connect_to(&sandbox);
        let response = exchange(stream, "POST", TOKEN, &headers, used.as_bytes());
        let expected = invalid_grant("The code was already used: its tokens are now revoked");
        assert_eq!(error(&response), expected);

        let delay = Duration::from_millis(100);
        sandbox.set_fault(Some(Fault::Slow(delay)));
        let begin = Instant::now();
        let body = generate_body(&sandbox).to_string();
        let stream = connect_to(&sandbox);
        tokens(&exchange(stream, "POST", TOKEN, &headers, body.as_bytes()));
        assert!(begin.elapsed() >= delay);
    }
}

#[test]
fn parses_and_displays_faults() {
    for text in ["429", "503", "slow", "reset"] {
        assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
    }
    assert!("none".parse::<Fault>().is_err());
}

#[test]
fn logs_requests_without_secrets() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let builder = Sandbox::builder().on_request(move |request| {
        written.lock().unwrap().push(request.to_string());
    });
    let sandbox = start(builder);
    let query = query(&[]);
    let ticket = ticket(&get(&sandbox, &query));
    decide(&sandbox, &ticket, "deny");
    let headers = [("Content-Type", JSON), ("Authorization", "Basic Y2FuYXJ5")];
    exchange(connect(&sandbox), "POST", REFRESH, &headers, b"canary");
    get_account(&sandbox, "Bearer canary");

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
            ("POST", REFRESH, "canary".into(), 400),
            ("GET", "/v3/account", "".into(), 401),
        ]
    );
    let values = |request: &RecordedRequest| -> Vec<HeaderValue> {
        let values = request.headers.get_all(header::AUTHORIZATION);
        values.iter().cloned().collect()
    };
    assert_eq!(values(&requests[2]), ["Basic Y2FuYXJ5"]);
    assert_eq!(values(&requests[3]), ["Bearer canary"]);

    let lines = lines.lock().unwrap();
    assert_eq!(
        *lines,
        [
            "GET /oauth/authorize?response_type&client_id&state&redirect_uri 200",
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
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Connects to the sandbox, over TLS if it serves https.
fn connect_to(sandbox: &Sandbox) -> Box<dyn Stream> {
    match sandbox.root_certificate() {
        Some(root) => Box::new(tls(sandbox, client_config([root]))),
        None => Box::new(connect(sandbox)),
    }
}

fn tls(sandbox: &Sandbox, config: ClientConfig) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, connect(sandbox))
}

/// Sends an operation of the core, as an adapter does.
fn send<O: Operation>(sandbox: &Sandbox, operation: O) -> O::Output {
    let request: Request<Vec<u8>> = operation.request();
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let path_and_query = request.uri().path_and_query().unwrap().as_str();
    let method = request.method().as_str();
    let stream = connect_to(sandbox);
    let response = exchange(stream, method, path_and_query, &headers, request.body());
    operation.parse(response).unwrap()
}

#[test]
fn completes_the_flow_of_the_core_over_http_and_https() {
    let builder = Sandbox::builder().automatic().callback(CALLBACK);
    let builder = builder.require_basic();
    for sandbox in [start(builder.clone()), start(builder.tls())] {
        let app = sandbox.app();
        let state = state();
        let uri: http::Uri = app.authorize_url(&state).parse().unwrap();
        assert!(uri.to_string().starts_with(sandbox.base_url()));
        let path_and_query = uri.path_and_query().unwrap().as_str();
        let redirect = exchange(connect_to(&sandbox), "GET", path_and_query, &[], b"");
        let (_, query) = header(&redirect, "location").split_once('?').unwrap();
        let code = app.callback(query, &state).unwrap();

        let tokens: TokenResponse = send(&sandbox, app.generate(code));
        let tokens = send(&sandbox, app.refresh(&tokens.refresh_token.unwrap()));
        let account = send(&sandbox, app.account(&tokens.access_token));
        assert_eq!(account.account_id, ACCOUNT_ID);
        assert_eq!(account.email_address, EMAIL_ADDRESS);
        assert_eq!(account.rate_limit.limit, Some(1_000_000));
        assert_eq!(account.rate_limit.remaining, Some(1_000_000 - 3));
        assert!(account.rate_limit.reset.is_some());
    }
}

#[test]
fn receives_requests_only_from_clients_that_trust_its_certificate() {
    let authority = Authority::new();
    for (leaf, trusted, accepted) in [
        (Leaf::Valid, authority.root(), true),
        (Leaf::Valid, Authority::new().root(), false),
        (Leaf::Expired, authority.root(), false),
        (Leaf::OtherHost, authority.root(), false),
    ] {
        let sandbox = start(Sandbox::builder().tls_from(&authority, leaf));
        let base_url = format!("https://127.0.0.1:{}", sandbox.port());
        assert_eq!(sandbox.base_url(), base_url);
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
fn unfinished_handshakes_do_not_block_others() {
    let sandbox = start(Sandbox::builder().tls());
    let _silent = connect(&sandbox);
    let mut plain = connect(&sandbox);
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut response = Vec::new();
    // The server may reset this connection.
    let _ = plain.read_to_end(&mut response);
    assert!(!response.starts_with(b"HTTP"), "plain text on the TLS port");

    let response = exchange(connect_to(&sandbox), "GET", "/", &[], b"");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[test]
fn handshake_negotiates_the_http_version() {
    let newest = if cfg!(feature = "http2") { "h2" } else { "http/1.1" };
    let sandbox = start(Sandbox::builder().tls());
    for (offered, negotiated) in
        [(&["h2", "http/1.1"][..], Some(newest)), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let mut config = client_config(sandbox.root_certificate());
        let offered = offered.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = offered.collect();
        let mut stream = tls(&sandbox, config);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let protocol = stream.conn.alpn_protocol();
        assert_eq!(protocol, negotiated.map(str::as_bytes));
    }
}
