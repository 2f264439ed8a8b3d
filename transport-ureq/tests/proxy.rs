//! Proxies: how they are used, and that they are never bypassed.

mod support;

use std::{
    env, io,
    net::Ipv4Addr,
    process::{Command, Output},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_testkit::peer::ClosedPort;
use dropbox_sign_oauth_ureq::{
    CallError, PlainHttp, Transport,
    ureq::{Agent, Proxy},
};
use support::{
    Peer, Server, builder, chain, generate, generate_with_retry, http_proxy, refresh, token_server,
};

fn through(proxy: &str) -> Transport {
    builder().proxy(proxy).build().unwrap()
}

#[test]
fn tunnels_https_through_http_proxy() {
    for tls in [false, true] {
        let server = token_server(true);
        let proxy = http_proxy(tls, server.address, usize::MAX);
        let transport = through(&proxy.base());
        generate(&transport, &server.base()).unwrap();
        let target = server.address;
        assert_eq!(
            proxy.requests(),
            [format!(
                "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
            )]
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn sends_credentials_to_http_proxy() {
    let server = token_server(true);
    let proxy = http_proxy(false, server.address, usize::MAX);
    let address = proxy.address;
    for (credentials, header) in [
        ("user:pass", "dXNlcjpwYXNz"),
        ("user:p%40s%3As", "dXNlcjpwQHM6cw=="),
        ("user", "dXNlcjo="),
    ] {
        let transport = through(&format!("http://{credentials}@{address}"));
        generate(&transport, &server.base()).unwrap();
        let connect = proxy.requests().pop().unwrap();
        let expected = format!("\r\nProxy-Authorization: Basic {header}\r\n\r\n");
        assert!(connect.ends_with(&expected), "{connect}");
    }
    // The server does not get them.
    assert!(!server.requests().concat().to_lowercase().contains("proxy"));
}

#[test]
fn proxy_resolves_host_name_of_server() {
    let server = token_server(false);
    let host = "sign.example.com:8080";
    let http = http_proxy(false, server.address, usize::MAX);
    let (asked, asking) = mpsc::channel();
    let socks = socks_proxy(&server, None, asked);
    let port = http.address.port();
    for proxy in [format!("http://proxy.example.com:{port}"), socks] {
        let transport = builder()
            .proxy(&proxy)
            .plain_http(PlainHttp::Anywhere)
            .resolver(|host| match host {
                "proxy.example.com" => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
                other => panic!("{other} is not resolved here"),
            });
        generate(&transport.build().unwrap(), &format!("http://{host}")).unwrap();
    }
    assert!(http.requests()[0].starts_with("CONNECT sign.example.com:8080 HTTP/1.1\r\n"));
    assert_eq!(asking.recv().unwrap(), host);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn tunnel_is_reused_but_not_for_codes() {
    let server = token_server(true);
    let proxy = http_proxy(false, server.address, usize::MAX);
    let transport = through(&proxy.base());
    refresh(&transport, &server.base()).unwrap();
    refresh(&transport, &server.base()).unwrap();
    assert_eq!(proxy.connections(), 1);
    generate(&transport, &server.base()).unwrap();
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn failing_http_proxy_is_not_sent() {
    type Play = fn(&mut Peer) -> io::Result<()>;
    let plays: [(&str, Play); 9] = [
        ("the proxy responded with status 407", |peer| {
            peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        }),
        ("the proxy responded with status 502", |peer| {
            peer.send("HTTP/1.0 502 Bad\n\n")
        }),
        ("the proxy's response is not HTTP", |peer| {
            peer.send("220 smtp.example.com\r\n\r\n")
        }),
        ("the proxy's response is too large", |peer| {
            peer.send("HTTP/1.1 200 OK\r\n")?;
            loop {
                peer.send("X-Endless: 1\r\n")?;
            }
        }),
        ("the proxy's response is too large", |peer| {
            loop {
                peer.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
        }),
        ("connecting to the server failed", |peer| {
            peer.send("HTTP/1.1 200 Conn")
        }),
        ("connecting to the server failed", |peer| peer.reset()),
        ("connecting took longer than 700ms", Peer::wait_for_close),
        ("connecting took longer than 700ms", |peer| {
            loop {
                peer.send("H")?;
                thread::sleep(Duration::from_millis(20));
            }
        }),
    ];
    let server = token_server(true);
    for tls in [false, true] {
        for (message, play) in plays {
            let proxy = Server::with_tls(tls, move |_, peer| {
                peer.read_request()?;
                play(peer)
            });
            let limit = if message.ends_with("700ms") {
                700
            } else {
                10_000
            };
            let builder = builder().connect_timeout(Duration::from_millis(limit));
            let transport = builder.proxy(&proxy.base()).build().unwrap();
            let started = Instant::now();
            let error = generate(&transport, &server.base()).unwrap_err();
            assert!(
                matches!(error, CallError::NotSent(_)),
                "{message}: {error:?}"
            );
            assert!(chain(&error).contains(message), "{message}: {error:?}");
            assert!(started.elapsed() < Duration::from_secs(5), "{message}");
            assert_eq!(proxy.connections(), 1, "{message}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn unreachable_proxy_is_not_bypassed() {
    let server = token_server(true);
    let closed = ClosedPort::bind().unwrap();
    for scheme in ["http", "https", "socks5"] {
        let transport = through(&format!("{scheme}://{}", closed.address()));
        let error = generate(&transport, &server.base()).unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn dying_tunnel_is_classified_by_what_was_sent() {
    let mut outcomes = Vec::new();
    for limit in (0..).step_by(61) {
        let server = token_server(true);
        let proxy = http_proxy(false, server.address, limit);
        let result = generate_with_retry(&through(&proxy.base()), &server.base());
        let sent = server.requests().len();
        assert!(sent <= 1, "{limit}");
        match result {
            // Only the TLS handshake was interrupted, each time.
            Err(CallError::NotSent(_)) => {
                assert_eq!((proxy.connections(), sent), (5, 0), "{limit}");
                outcomes.push(0);
            }
            Err(CallError::Unknown { .. }) => {
                assert_eq!(proxy.connections(), 1, "{limit}");
                outcomes.push(1);
            }
            Ok(_) => break,
            other => panic!("{limit}: {other:?}"),
        }
    }
    assert!(outcomes.is_sorted(), "{outcomes:?}");
    assert!(
        outcomes.contains(&0) && outcomes.contains(&1),
        "{outcomes:?}"
    );
}

/// Reads a string with its length in front.
fn read_string(peer: &mut Peer) -> io::Result<String> {
    let [length] = peer.read_exact()?;
    let bytes = (0..length).map(|_| peer.read_exact::<1>());
    bytes.map(|byte| Ok(char::from(byte?[0]))).collect()
}

/// A SOCKS5 proxy whose tunnels lead to `server`; returns its URI. It sends the host and port that
/// it is asked for to `asked`.
fn socks_proxy(
    server: &Server,
    credentials: Option<&'static str>,
    asked: mpsc::Sender<String>,
) -> String {
    let server = server.address;
    let proxy = Server::start(move |_, peer| {
        let [_, methods] = peer.read_exact()?;
        for _ in 0..methods {
            peer.read_exact::<1>()?;
        }
        match credentials {
            None => peer.send([5, 0])?,
            Some(expected) => {
                peer.send([5, 2])?;
                peer.read_exact::<1>()?;
                let sent = format!("{}:{}", read_string(peer)?, read_string(peer)?);
                peer.send([1, u8::from(sent != expected)])?;
            }
        }
        let [_, _, _, kind] = peer.read_exact()?;
        let host = if kind == 1 {
            Ipv4Addr::from(peer.read_exact()?).to_string()
        } else {
            read_string(peer)?
        };
        let port = u16::from_be_bytes(peer.read_exact()?);
        asked.send(format!("{host}:{port}")).unwrap();
        peer.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        peer.relay(server, usize::MAX)
    });
    let credentials = credentials.map(|it| format!("{it}@")).unwrap_or_default();
    format!("socks5://{credentials}{}", proxy.address)
}

#[test]
fn tunnels_https_through_socks_proxy() {
    let server = token_server(true);
    for credentials in [None, Some("user:pass")] {
        let (asked, asking) = mpsc::channel();
        let proxy = socks_proxy(&server, credentials, asked);
        generate(&through(&proxy), &server.base()).unwrap();
        assert_eq!(asking.recv().unwrap(), server.address.to_string());
        if credentials.is_some() {
            let wrong = proxy.replace("pass", "word");
            let error = generate(&through(&wrong), &server.base()).unwrap_err();
            assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
        }
    }
}

fn is_insecure(error: &CallError) -> bool {
    matches!(error, CallError::NotSent(failure) if failure.is_insecure())
}

#[test]
fn plain_http_is_not_sent_through_a_proxy() {
    let server = token_server(false);
    let proxy = http_proxy(false, server.address, usize::MAX);
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost"] {
        let base = format!("http://{host}:{port}");
        let error = generate(&through(&proxy.base()), &base).unwrap_err();
        assert!(is_insecure(&error), "{error:?}");

        let proxy = Proxy::new(&proxy.base()).unwrap();
        let agent = Agent::config_builder().proxy(Some(proxy)).build();
        let transport = Transport::builder().build_with_agent(agent.into());
        let error = generate(&transport.unwrap(), &base).unwrap_err();
        assert!(is_insecure(&error), "{error:?}");
    }
    assert_eq!((proxy.connections(), server.connections()), (0, 0));

    let builder = builder().plain_http(PlainHttp::Anywhere);
    let transport = builder.proxy(&proxy.base()).build().unwrap();
    generate(&transport, &server.base()).unwrap();
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
}

#[test]
fn uses_the_proxy_of_an_agent() {
    let server = token_server(false);
    let proxy = http_proxy(false, server.address, usize::MAX);
    let setting = Proxy::new(&proxy.base()).unwrap();
    let agent = Agent::config_builder().proxy(Some(setting)).build();
    let transport = Transport::builder()
        .plain_http(PlainHttp::Anywhere)
        .build_with_agent(agent.into())
        .unwrap();
    generate(&transport, &server.base()).unwrap();
    assert_eq!(proxy.requests().len(), 1);
}

/// Runs the test [`child`] in a process that has these variables.
fn run_child(server: &Server, kind: &str, variables: &[(&str, String)]) -> Output {
    let mut child = Command::new(env::current_exe().unwrap());
    for name in ["https_proxy", "http_proxy", "all_proxy", "no_proxy"] {
        child.env_remove(name).env_remove(name.to_uppercase());
    }
    child
        .args(["--exact", "child", "--nocapture"])
        .env("CHILD_SERVER", server.base())
        .env("CHILD_KIND", kind)
        .envs(variables.iter().cloned())
        .output()
        .unwrap()
}

/// Does nothing unless [`run_child`] runs it.
#[test]
fn child() {
    let Ok(kind) = env::var("CHILD_KIND") else {
        return;
    };
    let builder = Transport::builder().plain_http(PlainHttp::Anywhere);
    let transport = match &*kind {
        "default" => builder.build(),
        "from env" => builder.proxy_from_env().build(),
        "agent" => builder.build_with_agent(Agent::new_with_defaults()),
        "agent from env" => builder
            .proxy_from_env()
            .build_with_agent(Agent::new_with_defaults()),
        other => panic!("{other}"),
    };
    generate(&transport.unwrap(), &env::var("CHILD_SERVER").unwrap()).unwrap();
}

#[test]
fn proxy_of_the_environment_is_used_only_if_asked_for() {
    let server = token_server(false);
    let proxy = http_proxy(false, server.address, usize::MAX);
    let all = ("ALL_PROXY", proxy.base());
    let closed = ("ALL_PROXY", "http://127.0.0.1:1".to_owned());
    let invalid = ("ALL_PROXY", "ftp://proxy".to_owned());
    let none = ("NO_PROXY", "127.0.0.1".to_owned());
    for (kind, variables, is_ok, is_proxied) in [
        ("default", vec![all.clone()], true, false),
        ("default", vec![closed.clone()], true, false),
        ("from env", vec![], true, false),
        ("from env", vec![all.clone()], true, true),
        ("from env", vec![all.clone(), none], true, false),
        ("from env", vec![closed.clone()], false, false),
        ("from env", vec![invalid], false, false),
        ("agent", vec![all.clone()], true, false),
        ("agent from env", vec![all], true, true),
        ("agent from env", vec![closed], false, false),
    ] {
        let before = (server.requests().len(), proxy.requests().len());
        let output = run_child(&server, kind, &variables);
        let context = format!("{kind} {variables:?}: {output:?}");
        assert_eq!(output.status.success(), is_ok, "{context}");
        let requests = server.requests().len() - before.0;
        assert_eq!(requests, usize::from(is_ok), "{context}");
        let tunnels = proxy.requests().len() - before.1;
        assert_eq!(tunnels, usize::from(is_proxied), "{context}");
    }
}
