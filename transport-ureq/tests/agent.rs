//! Transports on the caller's agent, whose middleware can do anything.

mod support;

use std::{
    io::{self, Read as _},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_testkit::peer::ClosedPort;
use dropbox_sign_oauth_ureq::{
    CallError, Transport,
    ureq::{
        Agent, Body, Error, SendBody, Timeout,
        http::{Request, Response},
        middleware::{Middleware, MiddlewareNext},
    },
};
use support::{
    Server, TOKENS, account, builder, chain, generate, generate_with_retry, ok, token_server,
};

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
        let server = token_server(false);
        let transport = with_middleware(move |request: Request<SendBody>, next: MiddlewareNext| {
            next.handle(request)?;
            Err(error())
        });
        let error = generate_with_retry(&transport, &server.base()).unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        assert_eq!(server.requests().len(), 1);
        // Without a body, nothing proves that a request was not sent.
        let error = account(&transport, &server.base()).unwrap_err();
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
    let server = token_server(false);
    generate(&transport, &server.base()).unwrap();
    let closed = ClosedPort::bind().unwrap();
    let base = format!("http://{}", closed.address());
    let error = generate(&transport, &base).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn refused_connection_is_not_sent() {
    let transport = Transport::builder().build_with_agent(Agent::new_with_defaults());
    let transport = transport.unwrap();
    let closed = ClosedPort::bind().unwrap();
    let base = format!("http://{}", closed.address());
    let error = generate(&transport, &base).unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    let error = account(&transport, &base).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
}

#[test]
fn silent_server_is_unknown() {
    let server = Server::start(|_, peer| peer.wait_for_close());
    let pass = |request: Request<SendBody>, next: MiddlewareNext| next.handle(request);
    let error = generate(&with_middleware(pass), &server.base()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert!(chain(&error).contains("700ms"), "{error}");
}

#[test]
fn requests_have_a_length_and_accept_no_encoding() {
    let agent = Agent::config_builder().accept_encoding("gzip").build();
    for transport in [
        builder().build(),
        Transport::builder().build_with_agent(agent.into()),
    ] {
        let server = token_server(false);
        generate(&transport.unwrap(), &server.base()).unwrap();
        let head = server.requests().concat().to_lowercase();
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
    let server = Server::start(|_, peer| {
        peer.read_request()?;
        let length = TOKENS.len();
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.send(format!("{head}{length:x}\r\n{TOKENS}\r\nZZ\r\n"))
    });
    let transport = Transport::builder().build_with_agent(Agent::new_with_defaults());
    generate(&transport.unwrap(), &server.base()).unwrap();
}

#[test]
fn limits_response_headers() {
    let server = Server::start(|_, peer| {
        peer.read_request()?;
        let extra = "X-Extra: 1\r\n".repeat(100);
        peer.send(ok(TOKENS).replacen("\r\n", &format!("\r\n{extra}"), 1))
    });
    let transport = Transport::builder().build_with_agent(Agent::new_with_defaults());
    let error = generate(&transport.unwrap(), &server.base()).unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert!(chain(&error).contains("too many headers"), "{error}");
}
