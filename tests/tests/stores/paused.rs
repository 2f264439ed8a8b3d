//! Sessions while their database is paused.

use std::{
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_store::Store;
use dropbox_sign_oauth_testkit::store::server::Server;
use dropbox_sign_oauth_ureq as ureq;
use hyper::{App, Token, TokenSet, UnixTime};

const USERS: u32 = 20;
const PAUSE: Duration = Duration::from_secs(10);

/// Calls through sessions of both adapters, each with a valid token, while the server is paused:
/// none fails or waits.
pub(crate) fn serves_valid_tokens(
    server: &Server,
    runtime: &tokio::runtime::Runtime,
    store: impl Store + 'static,
    async_store: impl hyper::Store,
) {
    let app = App::new("client-id", "client-secret").unwrap();
    let transport = ureq::Transport::new().unwrap();
    let blocking = ureq::Sessions::new(app.clone(), transport, store);
    let transport = hyper::Transport::new().unwrap();
    let sessions = hyper::Sessions::new(app, transport, async_store);
    for user in 0..USERS {
        let tokens = |adapter| TokenSet {
            access_token: Token::new(&format!("{adapter}-{user}")).unwrap(),
            refresh_token: None,
            expires_at: Some(UnixTime::now().saturating_add(Duration::from_secs(7200))),
        };
        let session = blocking.get(&format!("ureq-{user}"));
        session.replace_tokens(tokens("ureq")).unwrap();
        let session = sessions.get(&format!("hyper-{user}"));
        runtime.block_on(session.replace_tokens(tokens("hyper"))).unwrap();
    }

    server.pause(true);
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < PAUSE {
        for user in 0..USERS {
            let called = Instant::now();
            let token = blocking.get(&format!("ureq-{user}")).access_token();
            times.push(called.elapsed());
            assert_eq!(token.unwrap().expose(), format!("ureq-{user}"));

            let called = Instant::now();
            let session = sessions.get(&format!("hyper-{user}"));
            let token = runtime.block_on(session.access_token());
            times.push(called.elapsed());
            assert_eq!(token.unwrap().expose(), format!("hyper-{user}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    server.pause(false);
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    println!("{} calls, p99 {p99:?}, max {:?}", times.len(), times[times.len() - 1]);
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
}
