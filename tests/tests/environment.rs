//! The proxies that the environment names, which a process reads once: each case is a process.

use std::{env, process::Command};

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{TOKENS, app_at, code, ok},
};
use dropbox_sign_oauth_ureq::{self as ureq, PlainHttp, ureq::Agent};

/// Which transport [`child`] uses, and the base URL of its server.
const KIND: &str = "DROPBOX_SIGN_TEST_KIND";
const SERVER: &str = "DROPBOX_SIGN_TEST_SERVER";

/// Runs [`child`] in a process that has these variables.
fn run(kind: &str, server: &Peer, variables: &[(&str, &str)]) {
    let mut child = Command::new(env::current_exe().unwrap());
    for name in ["https_proxy", "http_proxy", "all_proxy", "no_proxy"] {
        child.env_remove(name).env_remove(name.to_uppercase());
    }
    let child = child
        .args(["--exact", "child", "--ignored"])
        .env(KIND, kind)
        .env(SERVER, server.http())
        .envs(variables.iter().copied());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{kind} {variables:?}: {output:?}");
}

#[test]
#[ignore = "run by the other test, in a process of its own"]
fn child() {
    let generate = app_at(&env::var(SERVER).unwrap()).generate(code());
    let hyper = hyper::Transport::builder().plain_http(PlainHttp::Anywhere);
    let ureq = ureq::Transport::builder().plain_http(PlainHttp::Anywhere);
    let agent = Agent::new_with_defaults();
    let call = |hyper: hyper::TransportBuilder, operation| {
        let call = hyper.build().unwrap().send(operation);
        tokio::runtime::Runtime::new().unwrap().block_on(call)
    };
    let result = match &*env::var(KIND).unwrap() {
        "hyper" => call(hyper, generate),
        "hyper asks" => call(hyper.proxy_from_env(), generate),
        "ureq" => ureq.build().unwrap().send(generate),
        "ureq asks" => ureq.proxy_from_env().build().unwrap().send(generate),
        "agent" => ureq.build_with_agent(agent).unwrap().send(generate),
        _ => {
            let transport = ureq.proxy_from_env().build_with_agent(agent);
            transport.unwrap().send(generate)
        }
    };
    result.unwrap();
}

#[test]
fn is_ignored_unless_asked_for() {
    let respond = |script: Script| script.read_request().send(ok(TOKENS));
    let server = Peer::start([respond(Script::new())], None).unwrap();
    let connected = "HTTP/1.1 200 Connection established\r\n\r\n";
    let proxy = respond(Script::new().read_request().send(connected));
    let proxy = Peer::start([proxy], None).unwrap();
    let uri = &*proxy.http();
    let names = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let set = names.map(|name| (name, uri)).to_vec();
    let except = [&set[..], &[("NO_PROXY", "127.0.0.1")]].concat();
    for client in ["hyper", "ureq", "agent"] {
        let asks = &*format!("{client} asks");
        for (kind, variables, is_proxied) in [
            (client, &set, false),
            (asks, &vec![], false),
            (asks, &set, true),
            (asks, &except, false),
        ] {
            let before = proxy.tally().connections;
            run(kind, &server, variables);
            let proxied = proxy.tally().connections - before;
            assert_eq!(proxied, usize::from(is_proxied), "{kind} {variables:?}");
        }
    }
}
