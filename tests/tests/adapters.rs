//! Both adapters through the whole flow, against the sandbox and scripted peers.

mod clients;

use std::{error::Error as _, sync::Arc, time::Duration};

use clients::{Client, runtime};
use dropbox_sign_oauth_testkit::{
    peer::{ClosedPort, Peer, Script, Tally},
    sandbox::{CLIENT_ID, Sandbox},
    tls::{Authority, Leaf},
};
use dropbox_sign_oauth_ureq::{
    App, AuthorizationCode, CallError, Endpoints, Error, Expiry, PlainHttp, RetryPolicy, State,
    Token, TokenGenerate, ureq,
};
use http::HeaderName;

/// A response after which the connection stays open.
fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

/// A code that the sandbox has issued.
fn issue_code(sandbox: &Sandbox) -> AuthorizationCode {
    let state = State::random();
    AuthorizationCode::new(&sandbox.issue_code(&state), state).unwrap()
}

/// An app of no sandbox, at `base`.
fn app_at(base: &str) -> App {
    let endpoints = Endpoints::new(base, base, PlainHttp::Anywhere).unwrap();
    let app = App::builder(CLIENT_ID, "s3cret").endpoints(endpoints);
    app.build().unwrap()
}

fn generate_at(base: &str) -> TokenGenerate {
    let code = AuthorizationCode::new("1b0d28d90c86c141", State::random());
    app_at(base).generate(code.unwrap())
}

#[test]
fn completes_the_whole_flow() {
    for sandbox in [
        Sandbox::start().unwrap(),
        Sandbox::builder().tls().start().unwrap(),
    ] {
        for client in Client::both(&sandbox) {
            let app = sandbox.app();
            let tokens = client.send(app.generate(issue_code(&sandbox))).unwrap();
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
fn rejects_a_used_code_and_its_tokens() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let app = sandbox.app();
        let state = State::random();
        let code = sandbox.issue_code(&state);
        let code = || AuthorizationCode::new(&code, state.clone()).unwrap();
        let tokens = client.send(app.generate(code())).unwrap();
        let error = client.send(app.generate(code())).unwrap_err();
        assert!(error.is_invalid_grant(), "{error}");
        let error = client.send(app.account(&tokens.access_token)).unwrap_err();
        assert!(error.rejects_access_token(), "{error}");
    }
}

#[test]
fn sends_one_request_per_call_with_these_headers() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let before = sandbox.requests().len();
        let app = sandbox.app();
        let tokens = client.send(app.generate(issue_code(&sandbox))).unwrap();
        client.send(app.account(&tokens.access_token)).unwrap();
        let requests = sandbox.requests().split_off(before);
        let seen = requests.iter().map(|request| {
            let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            format!(
                "{} {} {}",
                request.method,
                request.path_and_query,
                names.join(" ")
            )
        });
        assert_eq!(
            seen.collect::<Vec<_>>(),
            [
                "POST /oauth/token accept authorization content-length content-type host user-agent",
                "GET /v3/account accept authorization host user-agent",
            ]
        );
    }
}

#[test]
fn sends_nothing_to_a_server_that_it_does_not_trust() {
    let trusted = Sandbox::builder().tls().start().unwrap();
    let other = Sandbox::builder().tls_from(&Authority::new(), Leaf::Valid);
    let other = other.start().unwrap();
    for client in Client::both(&trusted) {
        let error = client.send(generate_at(other.base_url())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the request was not sent: connecting to the server failed"
        );
        let mut chain = String::new();
        let mut source = error.source();
        while let Some(error) = source {
            chain += &error.to_string();
            source = error.source();
        }
        assert!(chain.contains("UnknownIssuer"), "{chain}");
        assert!(other.requests().is_empty());
    }
}

#[test]
fn sends_nothing_over_plain_http_to_another_machine() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let error = client.send(generate_at("http://sign.example.com"));
        assert_eq!(
            error.unwrap_err().to_string(),
            "the request was not sent: the URI is neither https nor http to a loopback host"
        );
    }
}

#[test]
fn refused_connection_is_not_sent() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both(&sandbox) {
        let closed = ClosedPort::bind().unwrap();
        let base = format!("http://{}", closed.address());
        let error = client.send(generate_at(&base)).unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error}");
        // Also without a body.
        let token = Token::new("NWNiOTMx").unwrap();
        let error = client.send(app_at(&base).account(&token)).unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error}");
    }
}

#[test]
fn keeps_the_rules_with_the_callers_agent() {
    // Every default of ureq that the contract forbids.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(true)
        .max_redirects(10)
        .max_redirects_will_error(true)
        .build()
        .into();
    let transport = dropbox_sign_oauth_ureq::Transport::builder()
        .body_limit(64)
        .build_with_agent(agent)
        .unwrap();
    for (response, message) in [
        (
            response(
                "307 Temporary Redirect",
                "Location: http://127.0.0.1:1/\r\n",
                "",
            ),
            "refused to follow a redirect (307) to http://127.0.0.1:1/",
        ),
        (
            response("400 Bad Request", "", r#"{"error":"invalid_grant"}"#),
            "the server rejected the request: 400 invalid_grant",
        ),
        (
            response("200 OK", "", &" ".repeat(65)),
            "the response body is larger than 64 bytes",
        ),
    ] {
        let peer = Peer::start([Script::new().read_request().send(response)], None).unwrap();
        let error = transport.send(generate_at(&peer.http())).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(peer.tally().requests, 1);
    }
}

#[test]
fn codes_never_reuse_a_connection_and_refreshes_do() {
    let sandbox = Sandbox::start().unwrap();
    let [hyper, ureq] = Client::both(&sandbox);
    let agent = dropbox_sign_oauth_ureq::Transport::builder();
    let agent = agent.build_with_agent(ureq::Agent::new_with_defaults());
    for client in [hyper, ureq, Client::Ureq(agent.unwrap())] {
        let tokens = response("200 OK", "", r#"{"access_token":"NWNiOTMx"}"#);
        let script = (0..4).fold(Script::new(), |script, _| {
            script.read_request().send(tokens.clone())
        });
        let peer = Peer::start([script], None).unwrap();
        let refresh = || app_at(&peer.http()).refresh(&Token::new("hNTI2MTFm").unwrap());
        for _ in 0..2 {
            client.send(refresh()).unwrap();
        }
        assert_eq!(peer.tally().connections, 1);
        client.send(generate_at(&peer.http())).unwrap();
        assert_eq!(peer.tally().connections, 2);
        client.send(generate_at(&peer.http())).unwrap();
        assert_eq!(peer.tally().connections, 3);
    }
}

#[test]
fn dropping_the_future_closes_the_connection() {
    let peer = Peer::start([Script::new()], None).unwrap();
    let transport = dropbox_sign_oauth_hyper::Transport::builder();
    let transport = transport.deadline(Duration::MAX).build().unwrap();
    let call = transport.send(generate_at(&peer.http()));
    let peer = Arc::new(peer);
    let wait_for = |seen: fn(Tally) -> bool| {
        let peer = Arc::clone(&peer);
        tokio::task::spawn_blocking(move || peer.wait_for(seen))
    };
    runtime().block_on(async {
        tokio::select! {
            result = call => panic!("{result:?}"),
            arrived = wait_for(|tally| tally.complete == 1) => arrived.unwrap(),
        }
        wait_for(|tally| tally.ended == 1).await.unwrap();
    });
}

#[test]
fn retries_where_that_is_safe() {
    let sandbox = Sandbox::start().unwrap();
    let policy = RetryPolicy::default()
        .attempts(3)
        .base_delay(Duration::ZERO);
    let peer = |statuses: [&str; 3]| {
        let scripts = statuses.map(|status| {
            let close = "Connection: close\r\n";
            let response = response(status, close, r#"{"access_token":"NWNiOTMx"}"#);
            Script::new().read_request().send(response).close()
        });
        Peer::start(scripts, None).unwrap()
    };
    for client in Client::both(&sandbox) {
        // A refresh after a 5xx or a 429.
        let server = peer(["503 S", "429 S", "200 S"]);
        let refresh = app_at(&server.http()).refresh(&Token::new("hNTI2MTFm").unwrap());
        assert!(client.send_with_retry(refresh, policy).is_ok());
        assert_eq!(server.tally().requests, 3);

        // A code only after a 429.
        let server = peer(["429 S", "503 S", "200 S"]);
        let generate = generate_at(&server.http());
        let error = client.send_with_retry(generate, policy).unwrap_err();
        assert!(matches!(error, CallError::Answered(Error::ServerFault(_))));
        assert_eq!(server.tally().requests, 2);
    }
}

#[test]
fn accepts_an_endless_deadline() {
    let sandbox = Sandbox::start().unwrap();
    for client in Client::both_with_deadline(&sandbox, Duration::MAX) {
        let generate = sandbox.app().generate(issue_code(&sandbox));
        assert!(client.send(generate).is_ok());
    }
}
