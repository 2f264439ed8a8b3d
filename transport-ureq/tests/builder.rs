//! Settings of a transport.

mod support;

use std::sync::Arc;

use dropbox_sign_oauth_testkit::tls::{self, Leaf};
use dropbox_sign_oauth_ureq::{CertificateDer, Transport, ureq::Agent};
use rustls::ServerConfig;
use support::{AUTHORITY, Server, TOKENS, builder, chain, generate, ok};

#[test]
fn refuses_invalid_settings() {
    let tls_config = || tls::client_config([AUTHORITY.root()]);
    let invalid = CertificateDer::from(b"no certificate".to_vec());
    let agent = Agent::new_with_defaults;
    for (result, message) in [
        (
            Transport::builder().proxy("socks4://proxy").build(),
            "the proxy is not a valid http, https, socks5 or socks5h URI",
        ),
        (
            Transport::builder().extra_root(invalid).build(),
            "an extra root is invalid, or the platform has no roots\n\
             invalid peer certificate: BadEncoding",
        ),
        (
            builder().tls_config(tls_config()).build(),
            "the TLS configuration excludes extra roots and platform verifier",
        ),
        (
            Transport::builder()
                .proxy("proxy")
                .build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
        (
            builder().build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
        (
            Transport::builder()
                .tls_config(tls_config())
                .build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
        (
            Transport::builder()
                .resolver(|_| Ok(vec![]))
                .build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
    ] {
        assert_eq!(chain(&result.unwrap_err()), message);
    }
}

#[test]
fn uses_the_tls_configuration_of_the_caller() {
    let mut server = ServerConfig::clone(&AUTHORITY.server_config(Leaf::Valid));
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server = Server::with_config(Some(Arc::new(server)), |_, peer| {
        peer.read_request()?;
        peer.send(ok(TOKENS))
    });
    let mut config = tls::client_config([AUTHORITY.root()]);
    // ureq does not speak it, so it must not be offered.
    config.alpn_protocols = vec![b"h2".to_vec()];
    let transport = Transport::builder().tls_config(config).build().unwrap();
    generate(&transport, &server.base()).unwrap();
    let transport = Transport::builder().tls_config(tls::client_config([]));
    assert!(generate(&transport.build().unwrap(), &server.base()).is_err());
}

#[test]
fn debug_shows_no_credentials() {
    let builder = Transport::builder().proxy("http://user:s3cret@proxy");
    let shown = format!("{builder:?}") + &format!("{:?}", builder.build().unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
    let error = Transport::builder()
        .proxy("ftp://user:s3cret@proxy")
        .build();
    let error = error.unwrap_err();
    let shown = format!("{error:?} {}", chain(&error));
    assert!(!shown.contains("s3cret"), "{shown}");
}
