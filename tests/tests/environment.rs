//! The proxies that the environment names, which a process reads once: each case is a process.

use std::{env, process::Command};

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_testkit::{
    peer::{Peer, Script},
    samples::{TOKENS, app_at, code, ok},
};
use dropbox_sign_oauth_ureq::{self as ureq, PlainHttp, ureq::Agent};

/// Which transport [`child`] uses, whether it asks for the proxies, and its server's base URL.
const ARGUMENTS: [&str; 3] =
    ["ENVIRONMENT_TEST_KIND", "ENVIRONMENT_TEST_ASKS", "ENVIRONMENT_TEST_SERVER"];

/// Runs [`child`] in a process that has these variables.
fn run(kind: &str, asks: bool, server: &str, variables: &[(&str, &str)]) {
    let mut child = Command::new(env::current_exe().unwrap());
    for name in ["https_proxy", "http_proxy", "all_proxy", "no_proxy"] {
        child.env_remove(name).env_remove(name.to_uppercase());
    }
    let arguments = [kind, &asks.to_string(), server];
    let child = child
        .args(["--exact", "child", "--ignored"])
        .envs(ARGUMENTS.into_iter().zip(arguments))
        .envs(variables.iter().copied());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{kind} {variables:?}: {output:?}");
}

#[test]
#[ignore = "run by the other test, in a process of its own"]
fn child() {
    let [kind, asks, server] = ARGUMENTS.map(|name| env::var(name).unwrap());
    let generate = app_at(&server).generate(code());
    let mut hyper = hyper::Transport::builder().plain_http(PlainHttp::Anywhere);
    let mut ureq = ureq::Transport::builder().plain_http(PlainHttp::Anywhere);
    if asks == "true" {
        (hyper, ureq) = (hyper.proxy_from_env(), ureq.proxy_from_env());
    }
    let result = match &*kind {
        "hyper" => {
            let call = hyper.build().unwrap().send(generate);
            tokio::runtime::Runtime::new().unwrap().block_on(call)
        }
        "ureq" => ureq.build().unwrap().send(generate),
        _ => ureq.build_with_agent(Agent::new_with_defaults()).unwrap().send(generate),
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
    let set = names.map(|name| (name, uri));
    let except = [&set[..], &[("NO_PROXY", "127.0.0.1")]].concat();
    for kind in ["hyper", "ureq", "agent"] {
        for (asks, variables, is_proxied) in [
            (false, &set[..], false),
            (true, &[], false),
            (true, &set, true),
            (true, &except, false),
        ] {
            let before = proxy.tally().connections;
            run(kind, asks, &server.http(), variables);
            let proxied = proxy.tally().connections - before;
            assert_eq!(proxied, usize::from(is_proxied), "{kind} {asks} {variables:?}");
        }
    }
}
