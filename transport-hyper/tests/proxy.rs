//! Through proxies on loopback.

mod support;

use std::{
    env,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dropbox_sign_oauth_hyper::{CallError, PlainHttp, Replay, Transport, TransportBuilder};
use dropbox_sign_oauth_testkit::fault::ClosedPort;
use support::{
    Accepted, Peer, SHORT, TOKENS, app_at, chain, code, is_unknown, json,
    proxy::{connect, dying, socks5},
    token,
};

/// Responds to every request with tokens.
fn respond(accepted: &mut Accepted) {
    while accepted.read_request().is_some() {
        accepted.send(json(200, TOKENS));
    }
}

const TIMEOUT: &str = "connecting took longer than 300ms";

/// The URI of a proxy, with credentials if `user` has them.
fn uri(scheme: &str, user: &str, proxy: &Peer) -> String {
    format!("{scheme}://{user}{}", proxy.address)
}

fn builder(server: &Peer) -> TransportBuilder {
    server.trusted(Transport::builder())
}

async fn exchange(builder: TransportBuilder, server: &Peer) -> Result<(), CallError> {
    let transport = builder.build().unwrap();
    transport.send(server.app().generate(code())).await?;
    Ok(())
}

#[tokio::test]
async fn every_request_goes_through_the_proxy() {
    let server = Peer::start_tls(&[], respond);
    let target = server.address.to_string();
    for (proxy, scheme, user) in [
        (connect(false), "http", ""),
        (connect(true), "http", "user:p%40ss@"),
        (socks5(false), "socks5", ""),
        (socks5(false), "socks5h", ""),
        (socks5(true), "socks5", "user:p%40ss@"),
    ] {
        let before = server.requests().len();
        let proxied = builder(&server).proxy(&uri(scheme, user, &proxy));
        let transport = proxied.build().unwrap();
        let app = server.app();
        transport.send(app.generate(code())).await.unwrap();
        transport.send(app.refresh(&token())).await.unwrap();
        transport.send(app.refresh(&token())).await.unwrap();
        assert_eq!(server.requests().len(), before + 3);
        let tunnels = proxy.requests();
        assert_eq!(tunnels.len(), 2, "{scheme}");
        assert!(tunnels.iter().all(|it| it.contains(&target)), "{tunnels:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_not_bypassed() {
    let server = Peer::start_tls(&[], respond);
    let closed = ClosedPort::bind().unwrap();
    let silent = Peer::start(Accepted::wait);
    let sends = |response: &'static str| {
        Peer::start(move |accepted| {
            accepted.read_request();
            accepted.send(response);
        })
    };
    let authenticates = connect(true);
    let socks = socks5(true);
    for (proxy, expected) in [
        (
            uri("http", "", &authenticates),
            "the proxy did not open a tunnel: tunnel error: proxy authorization required",
        ),
        (
            uri("http", "user:secret@", &authenticates),
            "the proxy did not open a tunnel: tunnel error: proxy authorization required",
        ),
        (uri("http", "", &sends("")), "unexpected end of file"),
        (
            uri("http", "", &sends("HTTP/1.1 2")),
            "unexpected end of file",
        ),
        (
            uri("http", "", &sends("HTTP/1.1 502 X\r\n\r\n")),
            "unsuccessful",
        ),
        (uri("http", "", &sends("SSH-2.0-x\r\n")), "unsuccessful"),
        (uri("socks5", "", &socks), "the proxy did not open a tunnel"),
        (
            uri("socks5", "user:secret@", &socks),
            "the proxy did not open a tunnel",
        ),
        (uri("https", "", &silent), TIMEOUT),
        (uri("http", "", &silent), TIMEOUT),
        (format!("http://{}", closed.address()), "refused"),
        (format!("socks5://{}", closed.address()), "refused"),
    ] {
        let mut proxied = builder(&server).proxy(&proxy);
        if expected == TIMEOUT {
            proxied = proxied.connect_timeout(SHORT);
        }
        assert!(!format!("{proxied:?}").contains("secret"));
        let error = exchange(proxied, &server).await.unwrap_err();
        let message = chain(&error);
        assert!(matches!(error, CallError::NotSent(_)), "{message}");
        assert!(message.contains(expected), "{proxy}: {message}");
        assert!(
            !format!("{error:?} {message}").contains("secret"),
            "{message}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_dies_at_any_byte_is_not_sent_or_unknown() {
    let server = Peer::start_tls(&[], respond);
    let left = Arc::new(AtomicUsize::new(0));
    let proxy = dying(false, Arc::clone(&left));
    let mut outcomes = Vec::new();
    for bytes in (0..).step_by(15) {
        left.store(bytes, Ordering::SeqCst);
        let before = server.requests().len();
        let proxied = builder(&server).proxy(&uri("http", "", &proxy));
        let outcome = exchange(proxied, &server).await;
        let requests = server.requests().len() - before;
        match outcome {
            Ok(()) => break,
            Err(CallError::NotSent(_)) => assert_eq!(requests, 0, "{bytes}"),
            Err(ref error) => assert!(is_unknown(error, Replay::Never), "{error:?}"),
        }
        outcomes.push(matches!(outcome, Err(CallError::NotSent(_))));
    }
    assert!(
        outcomes.contains(&true) && outcomes.contains(&false),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_tunnel_may_be_inside_tls() {
    let proxy = Peer::start_tls(&["http/1.1"], |accepted| {
        accepted.read_request();
        accepted.send("HTTP/1.1 200 X\r\n\r\n");
        // The server behind the proxy.
        accepted.read_request();
        accepted.send(json(200, TOKENS));
    });
    let transport = builder(&proxy)
        .plain_http(PlainHttp::Anywhere)
        .proxy(&proxy.base_url())
        .build()
        .unwrap();
    let app = app_at("http://host.invalid");
    transport.send(app.generate(code())).await.unwrap();
    let requests = proxy.requests();
    assert!(
        requests[0].starts_with("CONNECT host.invalid:80 "),
        "{requests:?}"
    );
    assert!(
        requests[1].starts_with("POST /oauth/token "),
        "{requests:?}"
    );
}

#[tokio::test]
async fn plain_http_through_a_proxy_is_refused() {
    let server = Peer::start(respond);
    let proxy = connect(false);
    for (allowed, rule) in [
        (false, PlainHttp::LoopbackOnly),
        (true, PlainHttp::Anywhere),
    ] {
        let proxied = builder(&server)
            .plain_http(rule)
            .proxy(&uri("http", "", &proxy));
        let outcome = exchange(proxied, &server).await;
        assert_eq!(outcome.is_ok(), allowed, "{outcome:?}");
        assert_eq!(proxy.connections(), usize::from(allowed));
        assert_eq!(server.connections(), usize::from(allowed));
    }
}

#[test]
fn rejects_a_proxy_without_a_usable_uri() {
    let builder = Transport::builder().proxy("ftp://user:secret@proxy");
    let error = builder.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the proxy is not a valid http, https, socks5 or socks5h URI"
    );
    assert!(!format!("{error:?}").contains("secret"));
}

/// The base URL of the server, in the environment of [`exchange_in_an_environment`].
const SERVER: &str = "DROPBOX_SIGN_TEST_SERVER";
/// Set if the builder reads the proxies of the environment.
const ASKS: &str = "DROPBOX_SIGN_TEST_PROXY_FROM_ENV";

#[test]
fn the_environment_is_ignored_unless_asked_for() {
    let server = Peer::start(respond);
    let proxy = connect(false);
    let exchange = |variables: &[(&str, &str)], asks: bool| {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "exchange_in_an_environment", "--ignored"])
            .env(SERVER, server.base_url())
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .envs(variables.iter().copied());
        if asks {
            command.env(ASKS, "");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (proxy.connections(), server.connections())
    };
    let proxy = &uri("http", "", &proxy);
    let all = [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let all = all.map(|name| (name, &**proxy));
    assert_eq!(exchange(&all, false), (0, 1));
    assert_eq!(exchange(&all, true), (1, 2));
    assert_eq!(
        exchange(&[&all[..], &[("NO_PROXY", "127.0.0.1")]].concat(), true),
        (1, 3)
    );
}

#[tokio::test]
#[ignore = "run by `the_environment_is_ignored_unless_asked_for`"]
async fn exchange_in_an_environment() {
    let mut builder = Transport::builder().plain_http(PlainHttp::Anywhere);
    if env::var_os(ASKS).is_some() {
        builder = builder.proxy_from_env();
    }
    let transport = builder.build().unwrap();
    let app = app_at(&env::var(SERVER).unwrap());
    transport.send(app.generate(code())).await.unwrap();
}
