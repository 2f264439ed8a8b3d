//! The caller's TLS configuration.

use std::sync::Arc;

use dropbox_sign_oauth_hyper::{CallError, Transport};
use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{TOKENS, app_at, code, ok},
    tls::{Authority, Leaf, client_config},
};
use rustls::ServerConfig;

#[tokio::test]
async fn the_callers_configuration_is_used() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut config = ServerConfig::clone(&authority.server_config(Leaf::Valid));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let script = Script::new().read_request().send(ok(TOKENS));
    let peer = Peer::start([script], Some(Arc::new(config))).unwrap();
    for (root, trusted) in [(authority.root(), true), (other.root(), false)] {
        let mut config = client_config([root]);
        config.alpn_protocols = vec![b"other".to_vec()];
        let transport = Transport::builder().tls_config(config).build().unwrap();
        match transport.send(app_at(&peer.https()).generate(code())).await {
            Ok(_) => assert!(trusted),
            Err(CallError::NotSent(_)) => assert!(!trusted),
            Err(error) => panic!("{error:?}"),
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
