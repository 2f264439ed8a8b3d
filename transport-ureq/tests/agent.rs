//! Transports on the caller's agent, whose middleware can do anything; and endless responses.

use std::{
    io::{self, Read as _},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_testkit::{
    peer::{ClosedPort, Peer, Script},
    samples::{TOKENS, app_at, code, ok, token},
};
use dropbox_sign_oauth_ureq::{
    CallError, MAX_RESPONSE_HEADERS, PlainHttp, RetryPolicy, TokenResponse, Transport,
    ureq::{
        Agent, Body, Error, Proxy, SendBody, Timeout,
        http::{Request, Response},
        middleware::{Middleware, MiddlewareNext},
    },
};

/// Exchanges a code, with as many attempts as are safe.
fn generate(transport: &Transport, base: &str) -> Result<TokenResponse, CallError> {
    let policy = RetryPolicy::default().base_delay(Duration::ZERO);
    transport.send_with_retry(app_at(base).generate(code()), policy)
}

/// A server that sends `response` to each request.
fn server(response: &str) -> Peer {
    Peer::start([Script::new().read_request().send(response)], None).unwrap()
}

fn default_agent() -> Transport {
    let builder = Transport::builder();
    builder.build_with_agent(Agent::new_with_defaults()).unwrap()
}

fn with_middleware(middleware: impl Middleware) -> Transport {
    let agent = Agent::config_builder().middleware(middleware).build();
    let builder = Transport::builder().deadline(Duration::from_millis(700));
    builder.build_with_agent(agent.into()).unwrap()
}

/// Errors that ureq itself raises before it sends anything, and one that it does not.
const ERRORS: [fn() -> Error; 8] = [
    || Error::ConnectionFailed,
    || Error::HostNotFound,
    || Error::Tls("middleware"),
    || Error::TlsRequired,
    || Error::ConnectProxyFailed("middleware".to_owned()),
    || Error::Timeout(Timeout::Connect),
    || io::Error::from(io::ErrorKind::ConnectionRefused).into(),
    || Error::Timeout(Timeout::Global),
];

#[test]
fn failure_after_the_response_is_unknown() {
    for error in ERRORS {
        let server = server(&ok(TOKENS));
        let transport = with_middleware(move |request: Request<SendBody>, next: MiddlewareNext| {
            next.handle(request)?;
            Err(error())
        });
        let error = generate(&transport, &server.http()).unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        assert_eq!(server.tally().requests, 1);
        // Without a body, nothing proves that a request was not sent.
        let account = app_at(&server.http()).account(&token());
        let error = transport.send(account).unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    }
}

#[test]
fn failure_before_the_request_is_not_sent() {
    let (timeout, rest) = ERRORS.split_last().unwrap();
    for error in rest {
        let error = *error;
        let refuse = move |_: Request<SendBody>, _: MiddlewareNext| Err(error());
        let error = generate(&with_middleware(refuse), "http://127.0.0.1:1").unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    }
    // A timeout of another kind proves nothing.
    let refuse = |_: Request<SendBody>, _: MiddlewareNext| Err(timeout());
    let error = generate(&with_middleware(refuse), "http://127.0.0.1:1").unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn buffered_body_proves_nothing() {
    let buffer = |request: Request<SendBody>, next: MiddlewareNext| {
        let (head, body) = request.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().read_to_end(&mut bytes)?;
        let mut bytes = &*bytes;
        next.handle(Request::from_parts(head, SendBody::from_reader(&mut bytes)))
    };
    let transport = with_middleware(buffer);
    generate(&transport, &server(&ok(TOKENS)).http()).unwrap();
    let closed = ClosedPort::bind().unwrap();
    let base = format!("http://{}", closed.address());
    let error = generate(&transport, &base).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn refused_connection_is_not_sent() {
    let transport = default_agent();
    let closed = ClosedPort::bind().unwrap();
    let base = format!("http://{}", closed.address());
    let error = generate(&transport, &base).unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    let error = transport.send(app_at(&base).account(&token())).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn silent_server_is_unknown() {
    let pass = |request: Request<SendBody>, next: MiddlewareNext| next.handle(request);
    let error = generate(&with_middleware(pass), &server("").http()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert!(error.to_string().contains("700ms"), "{error}");
}

#[test]
fn requests_have_a_length_and_accept_no_encoding() {
    let agent = Agent::config_builder().accept_encoding("gzip").build();
    for transport in [Transport::new(), Transport::builder().build_with_agent(agent.into())] {
        let server = server(&ok(TOKENS));
        generate(&transport.unwrap(), &server.http()).unwrap();
        let head = server.received().swap_remove(0).head;
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert_eq!(head.matches("content-length: ").count(), 1, "{head}");
        assert!(!head.contains("encoding"), "{head}");
    }
}

#[test]
fn body_that_outlasts_the_deadline_ends() {
    struct Drip;
    impl io::Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_millis(1));
            buffer[0] = b' ';
            Ok(1)
        }
    }
    let endless =
        |_: Request<SendBody>, _: MiddlewareNext| Ok(Response::new(Body::builder().reader(Drip)));
    let started = Instant::now();
    let error = generate(&with_middleware(endless), "http://127.0.0.1:1").unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert!(error.is_timeout());
    assert!(started.elapsed() < Duration::from_millis(1400));
}

#[test]
fn broken_chunk_after_complete_object_is_accepted() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = server(&format!("{head}{:x}\r\n{TOKENS}\r\nZZ\r\n", TOKENS.len()));
    generate(&default_agent(), &server.http()).unwrap();
}

#[test]
fn limits_response_headers() {
    let extra = "X-Extra: 1\r\n".repeat(MAX_RESPONSE_HEADERS);
    let server = server(&ok(TOKENS).replacen("\r\n", &format!("\r\n{extra}"), 1));
    let error = generate(&default_agent(), &server.http()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn proxy_of_the_agent_is_used_but_not_for_plain_http() {
    let connected = "HTTP/1.1 200 Connection established\r\n\r\n";
    let script = Script::new().read_request().send(connected);
    let proxy = Peer::start([script.read_request().send(ok(TOKENS))], None).unwrap();
    for (rule, is_allowed) in [(PlainHttp::LoopbackOnly, false), (PlainHttp::Anywhere, true)] {
        let setting = Proxy::new(&proxy.http()).unwrap();
        let agent = Agent::config_builder().proxy(Some(setting)).build();
        let builder = Transport::builder().plain_http(rule);
        let transport = builder.build_with_agent(agent.into()).unwrap();
        match generate(&transport, "http://localhost:1") {
            Ok(_) => assert!(is_allowed),
            Err(CallError::NotSent(failure)) => assert!(!is_allowed && failure.is_insecure()),
            other => panic!("{other:?}"),
        }
        assert_eq!(proxy.tally().posts, usize::from(is_allowed));
    }
}

#[test]
fn endless_heads_and_trailers_end_before_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n";
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    for (start, rest) in [("", interim), (head, "X-Trailer: endless\r\n")] {
        let script = Script::new().read_request().send(start);
        let script = script.repeat(rest.repeat(100), Duration::ZERO);
        let peer = Peer::start([script], None).unwrap();
        let transport = Transport::new().unwrap();
        let result = transport.send(app_at(&peer.http()).generate(code()));
        let error = result.unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        assert!(!error.is_timeout(), "{error:?}");
    }
}
