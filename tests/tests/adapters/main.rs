//! Both adapters through the whole flow, against the sandbox and scripted peers.

mod clients;
mod nothing_lost;

use std::{thread, time::Duration};

use clients::{Client, Settings};
use dropbox_sign_oauth_testkit::{
    peer::{ClosedPort, Peer, Script},
    samples::{ACCOUNT, TOKENS, app_at, code, ok, token},
    sandbox::Sandbox,
    tls::{Authority, Leaf},
};
use dropbox_sign_oauth_ureq::{
    AuthorizationCode, CallError, Error, Expiry, PlainHttp, RetryPolicy, State, TokenGenerate, ureq,
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

fn generate_at(base: &str) -> TokenGenerate {
    app_at(base).generate(code())
}

#[test]
fn completes_the_whole_flow() {
    for sandbox in [Sandbox::start().unwrap(), Sandbox::builder().tls().start().unwrap()] {
        for client in Client::both(&sandbox) {
            let before = sandbox.requests().len();
            let app = sandbox.app();
            let state = State::random();
            let code = sandbox.issue_code(&state);
            let code = || AuthorizationCode::new(&code, state.clone()).unwrap();
            let tokens = client.send(app.generate(code())).unwrap();
            assert_eq!(tokens.expiry, Some(Expiry::In(Duration::from_secs(86400))));
            assert!(tokens.rate_limit.remaining < tokens.rate_limit.limit);

            let account = client.send(app.account(&tokens.access_token)).unwrap();
            assert!(account.email_address.contains('@'));
            let requests = sandbox.requests().split_off(before);
            let seen = requests.iter().map(|request| {
                let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
                names.sort_unstable();
                format!("{} {} {}", request.method, request.path_and_query, names.join(" "))
            });
            let headers = "accept authorization content-length content-type host user-agent";
            let post = format!("POST /oauth/token {headers}");
            let get = "GET /v3/account accept authorization host user-agent";
            assert_eq!(seen.collect::<Vec<_>>(), [&*post, get]);

            let refresh_token = tokens.refresh_token.unwrap();
            let fresh = client.send(app.refresh(&refresh_token)).unwrap();
            assert_ne!(fresh.access_token, tokens.access_token);
            let again = client.send(app.account(&fresh.access_token)).unwrap();
            assert_eq!(again.account_id, account.account_id);

            // A code that is used twice takes its tokens with it.
            let error = client.send(app.generate(code())).unwrap_err();
            assert!(error.is_invalid_grant(), "{error}");
            let error = client.send(app.account(&fresh.access_token)).unwrap_err();
            assert!(error.rejects_access_token(), "{error}");
        }
    }
}

#[test]
fn refused_connection_is_not_sent_also_without_a_body() {
    let closed = ClosedPort::bind().unwrap();
    let app = app_at(&format!("http://{}", closed.address()));
    for client in Client::both_with(Settings::default()) {
        let error = client.send(app.account(&token())).unwrap_err();
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
            response("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", ""),
            "refused to follow a redirect (307) to http://127.0.0.1:1/",
        ),
        (
            response("400 Bad Request", "", r#"{"error":"invalid_grant"}"#),
            "the server rejected the request: 400 invalid_grant",
        ),
        (response("200 OK", "", &" ".repeat(65)), "the response body is larger than 64 bytes"),
    ] {
        let peer = Peer::start([Script::new().read_request().send(response)], None).unwrap();
        let error = transport.send(generate_at(&peer.http())).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(peer.tally().requests, 1);
    }
}

#[test]
fn codes_never_reuse_a_connection_and_refreshes_do() {
    let authority = Authority::new();
    let agent = dropbox_sign_oauth_ureq::Transport::builder();
    let agent = agent.build_with_agent(ureq::Agent::new_with_defaults());
    let agent = Client::Ureq(agent.unwrap());
    let tunnel = || {
        let asked = Script::new().without_tls().read_request();
        asked.send(CONNECTED).start_tls()
    };
    let start = |script| {
        let script =
            (0..4).fold(script, |script: Script, _| script.read_request().send(ok(TOKENS)));
        Peer::start([script], Some(authority.server_config(Leaf::Valid))).unwrap()
    };
    let check = |client: &Client, peer: &Peer, base: &str| {
        let before = peer.received().len();
        for _ in 0..2 {
            client.send(app_at(base).refresh(&token())).unwrap();
        }
        for _ in 0..3 {
            client.send(generate_at(base)).unwrap();
        }
        let requests = peer.received().split_off(before);
        let posts = requests.iter().filter(|request| request.head.starts_with(b"POST"));
        let mut used: Vec<_> = posts.map(|request| request.connection).collect();
        assert_eq!(used.len(), 5);
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), 4);
    };
    let direct = start(Script::new().without_tls());
    for client in Client::both_with(Settings::default()).iter().chain([&agent]) {
        check(client, &direct, &direct.http());
    }
    let proxy = start(tunnel());
    let settings =
        Settings { root: Some(authority.root()), proxy: Some(proxy.http()), ..Settings::default() };
    for client in Client::both_with(settings) {
        check(&client, &proxy, &proxy.https());
    }
}

#[test]
fn resends_safe_requests_on_a_new_connection() {
    for (response, is_account) in [(ok(ACCOUNT), true), (ok(TOKENS), false)] {
        // Two stale connections: the first two requests wait for each other.
        let stale = Script::new().read_request();
        let stale = stale.pause(OVERLAP).send(response.clone());
        let stale = stale.read_request().fin();
        let peer = || {
            let fresh = Script::new().read_request().send(response.clone());
            Peer::start([stale.clone(), stale.clone(), fresh], None).unwrap()
        };
        let send = |client: &Client, peer: &Peer| {
            let app = app_at(&peer.http());
            if is_account {
                client.send(app.account(&token())).map(drop)
            } else {
                client.send(app.refresh(&token())).map(drop)
            }
        };
        for client in Client::both_with(Settings::default()) {
            let peer = peer();
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| send(&client, &peer).unwrap());
                }
            });
            send(&client, &peer).unwrap();
            let tally = peer.tally();
            assert_eq!((tally.connections, tally.complete), (3, 4));
        }
    }
}

/// Long enough for two requests to overlap.
const OVERLAP: Duration = Duration::from_millis(200);

const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[test]
fn proxies_resolve_the_name_of_the_server() {
    let http = Script::new().read_request();
    let http = http.expect("CONNECT sign.example.com:8080 HTTP/1.1\r\n");
    let socks = Script::new().read_some().send([5, 0]).read_some();
    let socks = socks.expect(&b"sign.example.com\x1f\x90"[..]);
    for (scheme, script, accepted) in
        [("http", http, CONNECTED.as_bytes()), ("socks5", socks, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])]
    {
        let script = script.send(accepted).read_request().send(ok(TOKENS));
        let peer = Peer::start([script], None).unwrap();
        let settings = Settings {
            proxy: Some(format!("{scheme}://{}", peer.address())),
            plain_http: PlainHttp::Anywhere,
            ..Settings::default()
        };
        for client in Client::both_with(settings) {
            client.send(generate_at("http://sign.example.com:8080")).unwrap();
        }
        assert_eq!(peer.tally().posts, 2);
    }
}

#[test]
fn shows_no_credentials_of_a_proxy() {
    for (uri, is_valid) in [("http://user:s3cret@proxy", true), ("ftp://user:s3cret@proxy", false)]
    {
        let hyper = dropbox_sign_oauth_hyper::Transport::builder().proxy(uri);
        let ureq = dropbox_sign_oauth_ureq::Transport::builder().proxy(uri);
        let builders = format!("{hyper:?} {ureq:?}");
        let (hyper, ureq) = (hyper.build(), ureq.build());
        let shown = format!("{builders} {hyper:?} {ureq:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!((hyper.is_ok(), ureq.is_ok()), (is_valid, is_valid));
    }
}

#[test]
fn retries_where_that_is_safe() {
    let sandbox = Sandbox::start().unwrap();
    let policy = RetryPolicy::default().attempts(3).base_delay(Duration::ZERO);
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
        let refresh = app_at(&server.http()).refresh(&token());
        assert!(client.send_with_retry(refresh, policy).is_ok());
        assert_eq!(server.tally().requests, 3);

        // A code only after a 429.
        let server = peer(["429 S", "503 S", "503 S"]);
        let generate = generate_at(&server.http());
        let error = client.send_with_retry(generate, policy).unwrap_err();
        assert!(matches!(error, CallError::Answered(Error::ServerFault(_))));
        assert_eq!(server.tally().requests, 2);
    }
}

#[test]
fn accepts_an_endless_deadline() {
    let sandbox = Sandbox::start().unwrap();
    let settings = Settings { deadline: Duration::MAX, ..Settings::default() };
    for client in Client::both_with(settings) {
        let generate = sandbox.app().generate(issue_code(&sandbox));
        assert!(client.send(generate).is_ok());
    }
}
