//! Settings of a transport.

use std::sync::Arc;

use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{TOKENS, app_at, chain, code, ok},
    tls::{Authority, Leaf, client_config},
};
use dropbox_sign_oauth_ureq::{CertificateDer, Transport, ureq::Agent};
use rustls::ServerConfig;

#[test]
fn refuses_invalid_settings() {
    let root = Authority::new().root();
    let tls_config = || client_config([root.clone()]);
    let builder = || Transport::builder().extra_root(root.clone());
    let invalid = CertificateDer::from(b"no certificate".to_vec());
    let agent = Agent::new_with_defaults;
    for (result, message) in [
        (
            Transport::builder().proxy("socks4://proxy").build(),
            "the proxy is not a valid http, https, socks5 or socks5h URI",
        ),
        (
            Transport::builder().extra_root(invalid).build(),
            "an extra root is invalid, or the platform has no roots: \
             invalid peer certificate: BadEncoding",
        ),
        (
            builder().tls_config(tls_config()).build(),
            "the TLS configuration excludes extra roots and platform verifier",
        ),
        (
            Transport::builder().proxy("proxy").build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
        (
            builder().build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
        (
            Transport::builder().tls_config(tls_config()).build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
        (
            Transport::builder().resolver(|_| Ok(vec![])).build_with_agent(agent()),
            "the agent excludes a proxy, a resolver and TLS settings",
        ),
    ] {
        assert_eq!(chain(&result.unwrap_err()), message);
    }
}

#[test]
fn uses_the_tls_configuration_of_the_caller() {
    let authority = Authority::new();
    let mut tls = ServerConfig::clone(&authority.server_config(Leaf::Valid));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let script = Script::new().read_request().send(ok(TOKENS));
    let peer = Peer::start([script], Some(Arc::new(tls))).unwrap();
    for (roots, is_trusted) in [(vec![authority.root()], true), (vec![], false)] {
        let mut config = client_config(roots);
        // ureq does not speak it, so it must not be offered.
        config.alpn_protocols = vec![b"h2".to_vec()];
        let transport = Transport::builder().tls_config(config).build().unwrap();
        let result = transport.send(app_at(&peer.https()).generate(code()));
        assert_eq!(result.is_ok(), is_trusted, "{result:?}");
    }
}
