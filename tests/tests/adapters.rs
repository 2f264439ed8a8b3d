//! Both adapters through the whole flow, against the sandbox.

mod clients;

use std::{
    error::Error as _,
    io::{self, Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use bytes::Bytes;
use clients::Client;
use dropbox_sign_oauth::{
    App, CallError, CauseKind, Delivery, Endpoints, Error, ErrorCode, Expiry, InsecureUri,
    PlainHttp, RetryPolicy, State, Token,
};
use dropbox_sign_oauth_testkit::{
    fault::ClosedPort,
    sandbox::{CLIENT_ID, Sandbox},
    tls::{Authority, Leaf},
};
use dropbox_sign_oauth_ureq::ureq;
use http::HeaderName;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};

fn state() -> State {
    State::from_stored("900e06e2").unwrap()
}

/// Exchanges a code that the sandbox has issued.
fn generate(client: &Client, sandbox: &Sandbox) -> Result<Token, CallError> {
    let query = format!("code={}&state=900e06e2", sandbox.issue_code(&state()));
    let app = sandbox.app();
    let code = app.callback(&query, &state()).unwrap();
    Ok(client.send(app.generate(code))?.access_token)
}

/// An operation for an app that is registered nowhere, at `base`.
fn app_at(base: &str) -> App {
    let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere).unwrap();
    let app = App::builder(CLIENT_ID, "s3cret").endpoints(endpoints);
    app.build().unwrap()
}

fn exchange_at(client: &Client, base: &str) -> CallError {
    let app = app_at(base);
    let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state());
    client.send(app.generate(code.unwrap())).unwrap_err()
}

#[test]
fn the_whole_flow() {
    for sandbox in [
        Sandbox::start().unwrap(),
        Sandbox::builder().tls().start().unwrap(),
    ] {
        for client in Client::both(&sandbox) {
            let app = sandbox.app();
            let code = sandbox.issue_code(&state());
            let query = format!("state=900e06e2&code={code}");
            let code = app.callback(&query, &state()).unwrap();

            let tokens = client.send(app.generate(code)).unwrap();
            let day = Duration::from_secs(86400);
            assert_eq!(tokens.expiry, Some(Expiry::In(day)));
            assert!(tokens.rate_limit.remaining < tokens.rate_limit.limit);

            let account = client.send(app.account(&tokens.access_token)).unwrap();
            assert!(account.email_address.contains('@'));

            let refresh_token = tokens.refresh_token.unwrap();
            let fresh = client.send(app.refresh(&refresh_token)).unwrap();
            assert_ne!(fresh.access_token, tokens.access_token);
            let again = client.send(app.account(&fresh.access_token)).unwrap();
            assert_eq!(again.account_id, account.account_id);
        }
    }
}

#[test]
fn a_code_that_was_used_is_rejected() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let app = sandbox.app();
        let query = format!("code={}&state=900e06e2", sandbox.issue_code(&state()));
        let code = || app.callback(&query, &state()).unwrap();
        let tokens = client.send(app.generate(code())).unwrap();
        let error = client.send(app.generate(code())).unwrap_err();
        assert_eq!(error.delivery(), Delivery::Answered);
        let CallError::Answered(Error::Rejected(rejection)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(rejection.code, Some(ErrorCode::InvalidGrant));
        // The second use has revoked what the first one gave.
        let error = client.send(app.account(&tokens.access_token)).unwrap_err();
        assert!(error.to_string().contains("401 unauthorized"), "{error}");
    }
}

#[test]
fn one_call_is_one_request_with_these_headers() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let before = sandbox.requests().len();
        let token = generate(&client, &sandbox).unwrap();
        client.send(sandbox.app().account(&token)).unwrap();
        let requests = sandbox.requests().split_off(before);
        let seen: Vec<_> = requests
            .iter()
            .map(|request| {
                let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
                names.sort_unstable();
                (request.method.as_str(), &*request.path_and_query, names)
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "POST",
                    "/oauth/token",
                    vec![
                        "accept",
                        "authorization",
                        "content-length",
                        "content-type",
                        "host",
                        "user-agent"
                    ]
                ),
                (
                    "GET",
                    "/v3/account",
                    vec!["accept", "authorization", "host", "user-agent"]
                ),
            ]
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_trusted_is_refused_before_anything_is_sent() {
    let stranger = Authority::new();
    let own = Sandbox::builder().tls().start().unwrap();
    let unknown_issuer = Sandbox::builder().tls_from(&stranger, Leaf::Valid);
    let unknown_issuer = unknown_issuer.start().unwrap();
    for client in Client::both(&own) {
        let error = exchange_at(&client, unknown_issuer.base_url());
        assert_eq!(error.delivery(), Delivery::NotSent);
        assert_eq!(
            error.to_string(),
            "the request was not sent: no connection to the server could be made"
        );
        let mut chain = String::new();
        let mut source = error.source();
        while let Some(error) = source {
            chain += &error.to_string();
            source = error.source();
        }
        assert!(chain.contains("UnknownIssuer"), "{chain}");
        assert!(unknown_issuer.requests().is_empty());
    }
}

#[test]
fn nothing_is_sent_over_plain_http_to_another_machine() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let error = exchange_at(&client, "http://sign.example.com");
        let CallError::NotSent(cause) = &error else {
            panic!("{error:?}");
        };
        let insecure: InsecureUri = match cause.kind() {
            CauseKind::Insecure(insecure) => insecure,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            error.to_string(),
            format!("the request was not sent: {insecure}")
        );
    }
}

#[test]
fn a_refused_connection_is_not_sent() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let nobody = ClosedPort::bind().unwrap();
        let base = format!("http://{}", nobody.address());
        assert_eq!(exchange_at(&client, &base).delivery(), Delivery::NotSent);
        // Without a body to bear witness, too.
        let token = Token::new("NWNiOTMx").unwrap();
        let error = client.send(app_at(&base).account(&token)).unwrap_err();
        assert_eq!(error.delivery(), Delivery::NotSent);
    }
}

/// Answers one request with `answer`; gives the address, and what was left on the connection.
fn answer_once(answer: &'static str) -> (String, thread::JoinHandle<io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut chunk = [0; 512];
            let read = stream.read(&mut chunk)?;
            request.extend_from_slice(&chunk[..read]);
        }
        stream.write_all(answer.as_bytes())?;
        drop(listener);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)?;
        Ok(rest)
    });
    (base, served)
}

#[test]
fn an_agent_of_the_callers_cannot_weaken_the_rules() {
    // Everything that ureq does by default and the contract forbids.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(true)
        .max_redirects(10)
        .max_redirects_will_error(true)
        .build()
        .into();
    let transport = dropbox_sign_oauth_ureq::Transport::builder()
        .body_limit(64)
        .build_with_agent(agent);
    let client = Client::Ureq(transport);
    for (answer, class) in [
        (
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "answered 307 with a redirect to http://127.0.0.1:1/",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 25\r\nConnection: close\r\n\r\n{\"error\":\"invalid_grant\"}",
            "400 invalid_grant",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 65\r\nConnection: close\r\n\r\n",
            "more than 64 bytes",
        ),
    ] {
        let (base, served) = answer_once(answer);
        let error = exchange_at(&client, &base);
        assert_eq!(error.delivery(), Delivery::Answered);
        assert!(error.to_string().contains(class), "{error}");
        assert!(served.join().unwrap().unwrap_or_default().is_empty());
    }
    let nobody = ClosedPort::bind().unwrap();
    let error = exchange_at(&client, &format!("http://{}", nobody.address()));
    assert_eq!(error.delivery(), Delivery::NotSent);
}

/// A service whose bodies can be cloned, as many are.
fn cloneable_service() -> legacy::Client<HttpConnector, Full<Bytes>> {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

#[test]
fn a_service_with_other_bodies_works_and_proves_nothing() {
    let sandbox = Sandbox::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let transport =
        dropbox_sign_oauth_hyper::Transport::builder().build_with_service(cloneable_service());
    let app = sandbox.app();
    let query = format!("code={}&state=900e06e2", sandbox.issue_code(&state()));
    let code = app.callback(&query, &state()).unwrap();
    let tokens = runtime.block_on(transport.send(app.generate(code)));
    assert!(tokens.is_ok());

    let nobody = ClosedPort::bind().unwrap();
    let app = app_at(&format!("http://{}", nobody.address()));
    let code = app.callback(&query, &state()).unwrap();
    let error = runtime.block_on(transport.send(app.generate(code)));
    // A middleware could have sent it before: the connection that failed may be the second one.
    assert_eq!(error.unwrap_err().delivery(), Delivery::Unknown);
}

#[test]
fn dropping_the_future_cancels_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = app_at(&format!("http://{}", listener.local_addr().unwrap()));
    let (arrived, arrival) = tokio::sync::oneshot::channel();
    let (closed, closing) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        arrived.send(()).unwrap();
        // The end of the connection: it would stay open if the call went on.
        let _ = io::copy(&mut stream, &mut io::sink());
        closed.send(()).unwrap();
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let transport = dropbox_sign_oauth_hyper::Transport::builder()
        .deadline(Duration::MAX)
        .build()
        .unwrap();
    let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state());
    let call = transport.send(app.generate(code.unwrap()));
    runtime.block_on(async {
        tokio::select! {
            result = call => panic!("{result:?}"),
            arrived = arrival => arrived.unwrap(),
        }
        let closing = tokio::time::timeout(Duration::from_secs(60), closing).await;
        closing.expect("the connection ends with its call").unwrap();
    });
}

/// Answers each of the requests with the next status; gives how many there were.
fn answer_each(statuses: Vec<u16>) -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        for (served, status) in statuses.iter().enumerate() {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut chunk = [0; 512];
                match stream.read(&mut chunk) {
                    // The call that ends the test.
                    Ok(0) | Err(_) => return served,
                    Ok(read) => request.extend_from_slice(&chunk[..read]),
                }
            }
            let body = r#"{"access_token":"NWNiOTMx"}"#;
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} S\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
        statuses.len()
    });
    (base, served)
}

#[test]
fn a_call_is_repeated_where_that_is_safe() {
    let sandbox = Sandbox::start().unwrap();
    let policy = RetryPolicy {
        attempts: 3,
        base: Duration::ZERO,
        ..RetryPolicy::default()
    };
    for client in Client::both(&sandbox) {
        // A refresh after a 5xx, and anything after a 429.
        let (base, served) = answer_each(vec![503, 429, 200]);
        let refresh = app_at(&base).refresh(&Token::new("hNTI2MTFm").unwrap());
        assert!(client.send_with_retry(refresh, policy).is_ok());
        assert_eq!(served.join().unwrap(), 3);

        // A code only after the 429.
        let (base, served) = answer_each(vec![429, 503, 200]);
        let app = app_at(&base);
        let code = app.callback("code=1b0d28d90c86c141&state=900e06e2", &state());
        let error = client.send_with_retry(app.generate(code.unwrap()), policy);
        let error = error.unwrap_err();
        assert!(matches!(error, CallError::Answered(Error::ServerFault(_))));
        // The third answer finds nobody.
        drop(std::net::TcpStream::connect(
            base.trim_start_matches("http://"),
        ));
        assert_eq!(served.join().unwrap(), 2);
    }
}

#[test]
fn a_time_without_end_is_no_panic() {
    let sandbox = Sandbox::start().unwrap();
    let hyper = dropbox_sign_oauth_hyper::Transport::builder()
        .deadline(Duration::MAX)
        .connect_timeout(Duration::MAX);
    let ureq = dropbox_sign_oauth_ureq::Transport::builder()
        .deadline(Duration::MAX)
        .connect_timeout(Duration::MAX);
    for client in [
        Client::hyper(hyper.build().unwrap()),
        Client::Ureq(ureq.build().unwrap()),
    ] {
        assert!(generate(&client, &sandbox).is_ok());
    }
}
