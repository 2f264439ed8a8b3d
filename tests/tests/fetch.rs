//! Runs the package `tests/stacks/fetch` under Node, against the sandbox.
//!
//! Build it with `.ci/wasm`, and set `FETCH_PACKAGE` to the folder. If it is not built, the test
//! is skipped, or fails with `FETCH_PACKAGE_REQUIRED=1`.

use std::{env, path::PathBuf, process::Command};

use dropbox_sign_oauth::State;
use dropbox_sign_oauth_testkit::sandbox::{Fault, Sandbox};

#[test]
fn connects_with_the_fetch_of_node() {
    let Some(package) = env::var_os("FETCH_PACKAGE") else {
        let is_required = env::var_os("FETCH_PACKAGE_REQUIRED").is_some_and(|value| value == "1");
        assert!(!is_required, "the package is not built; see `.ci/wasm`");
        println!("skipped: the package is not built; see `.ci/wasm`");
        return;
    };
    let package = PathBuf::from(package).join("dropbox_sign_oauth_fetch.js");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/stacks/fetch/connect.cjs");
    let sandbox = Sandbox::start().unwrap();
    let connect = || {
        let state = State::random();
        let code = sandbox.issue_code(&state);
        let output = Command::new("node")
            .args([script.as_ref(), package.as_os_str()])
            .env("BASE_URL", sandbox.base_url())
            .env("CLIENT_ID", sandbox.client_id())
            .env("CLIENT_SECRET", sandbox.client_secret())
            .env("QUERY", format!("code={code}&state={}", state.as_str()))
            .env("STATE", state.as_str())
            .output()
            .expect("node should run");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    assert_eq!(connect(), ("connected to me@dropboxsign.com\n".into(), String::new()));
    sandbox.set_fault(Some(Fault::Unavailable));
    let error = "the server failed: 503 unavailable (The service is unavailable.)\n";
    assert_eq!(connect(), (String::new(), error.into()));
}
