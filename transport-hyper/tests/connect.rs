//! Where the client connects to.

mod support;

use std::{io, net::Ipv4Addr};

use dropbox_sign_oauth_hyper::{CallError, PlainHttp, Transport};
use dropbox_sign_oauth_testkit::{
    peer::BlackHole,
    tls::{Authority, client_config},
};
use support::{Peer, SHORT, TOKENS, app_at, chain, code, json};

fn server() -> Peer {
    Peer::start(|accepted| {
        accepted.read_request();
        accepted.send(json(200, TOKENS));
    })
}

#[tokio::test]
async fn plain_http_to_a_name_is_checked_by_where_it_leads() {
    let server = server();
    let port = server.address.port();
    // Reaches the server, and does not count as a loopback address.
    let elsewhere = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    for (rule, allowed) in [
        (PlainHttp::LoopbackOnly, false),
        (PlainHttp::Anywhere, true),
    ] {
        let transport = Transport::builder()
            .plain_http(rule)
            .resolver(move |_| async move { Ok(vec![elsewhere.into()]) })
            .build()
            .unwrap();
        let app = app_at(&format!("http://localhost:{port}"));
        let outcome = transport.send(app.generate(code())).await;
        match outcome {
            Ok(_) => assert!(allowed),
            Err(error) => {
                assert!(
                    !allowed && matches!(error, CallError::NotSent(_)),
                    "{error:?}"
                );
                let expected = "the host of a plain http URI is not a loopback host";
                assert!(chain(&error).ends_with(expected), "{error:?}");
            }
        }
        assert_eq!(server.requests().len(), usize::from(allowed));
    }
}

#[tokio::test]
async fn the_callers_tls_configuration_is_used() {
    let server = Peer::start_tls(&["http/1.1"], |accepted| {
        accepted.read_request();
        accepted.send(json(200, TOKENS));
    });
    let other = Authority::new();
    for (root, trusted) in [(server.root(), true), (other.root(), false)] {
        let mut config = client_config([root]);
        config.alpn_protocols = vec![b"other".to_vec()];
        let transport = Transport::builder().tls_config(config).build().unwrap();
        let outcome = transport.send(server.app().generate(code())).await;
        match outcome {
            Ok(_) => assert!(trusted),
            Err(error) => {
                assert!(
                    !trusted && matches!(error, CallError::NotSent(_)),
                    "{error:?}"
                );
            }
        }
    }
    let error = Transport::builder()
        .tls_config(client_config([other.root()]))
        .extra_root(other.root())
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the TLS configuration excludes extra roots and platform verifier"
    );
}

#[tokio::test]
async fn a_lookup_that_fails_is_not_sent() {
    let transport = Transport::builder()
        .deadline(SHORT)
        .resolver(|_| async { Err(io::Error::other("no such name")) })
        .build()
        .unwrap();
    let error = transport
        .send(app_at("https://host.invalid").generate(code()))
        .await;
    let error = error.unwrap_err();
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
    assert!(chain(&error).ends_with("no such name"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_accepts_no_connection_exceeds_the_connect_timeout() {
    let black_hole = BlackHole::bind().unwrap();
    let transport = Transport::builder().connect_timeout(SHORT / 10);
    let transport = transport.build().unwrap();
    let app = app_at(&format!("http://{}", black_hole.address()));
    for _ in 0..5 {
        let error = transport.send(app.generate(code())).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the request was not sent: connecting took longer than 30ms"
        );
    }
}
