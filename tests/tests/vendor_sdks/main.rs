//! The vendor's Python and Node SDKs as clients of the sandbox.
//!
//! `.ci/vendor-sdks FOLDER` installs them, and `VENDOR_SDKS=FOLDER` names the folder. Without it the
//! tests print that they are skipped; with `VENDOR_SDKS_REQUIRED=1` they fail.

use std::{env, path::PathBuf, process::Command};

use dropbox_sign_oauth::State;
use dropbox_sign_oauth_testkit::sandbox::{ACCOUNT_ID, Sandbox};
use serde_json::{Value, json};

/// Returns the folder of the SDKs if the file `installed` is in it.
fn folder(sdk: &str, installed: &str) -> Option<PathBuf> {
    let folder = env::var_os("VENDOR_SDKS").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join(installed).exists());
    let is_required = env::var_os("VENDOR_SDKS_REQUIRED").is_some_and(|value| value == "1");
    assert!(
        folder.is_some() || !is_required,
        "the vendor's {sdk} SDK is not installed; see `.ci/vendor-sdks`"
    );
    if folder.is_none() {
        println!("skipped: the vendor's {sdk} SDK is not installed; see `.ci/vendor-sdks`");
    }
    folder
}

/// Runs a client of the sandbox with both shapes of errors, and checks what it got. `flat` is what
/// the SDK shows of an error in the default shape.
fn check(flat: &str, client: impl Fn() -> Command) {
    let builder = Sandbox::builder().refresh_without_credentials();
    for (builder, error) in [
        (builder.clone(), flat),
        (builder.nested_errors(), "tokens are now revoked"),
    ] {
        let sandbox = builder.start().unwrap();
        let state = State::random();
        let output = client()
            .env("BASE_URL", sandbox.base_url())
            .env("CLIENT_ID", sandbox.client_id())
            .env("CLIENT_SECRET", sandbox.client_secret())
            .env("CODE", sandbox.issue_code(&state))
            .env("STATE", state.as_str())
            .env("NO_PROXY", "*")
            .output()
            .expect("the client runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        for request in sandbox.requests() {
            println!("{request}");
        }
        let mut got: Value = serde_json::from_slice(&output.stdout).expect(&stderr);
        let rejection = got["rejection"].take();
        assert_eq!(
            got,
            json!({
                "expires_in": 86400,
                "state": state.as_str(),
                "is_new": true,
                "account_id": ACCOUNT_ID,
                "rejection": null,
            })
        );
        assert_eq!(rejection["status"], 400);
        let body = rejection["body"].as_str().unwrap();
        assert!(body.contains(error), "{body}");
    }
}

#[test]
fn python_sdk_completes_the_whole_flow() {
    let Some(folder) = folder("Python", "python/bin/python") else {
        return;
    };
    check("invalid_grant", || {
        let mut python = Command::new(folder.join("python/bin/python"));
        python.args(["-c", include_str!("client.py")]);
        python
    });
}

#[test]
fn node_sdk_completes_the_whole_flow() {
    let Some(folder) = folder("Node", "node/node_modules/@dropbox/sign") else {
        return;
    };
    // It keeps only the status: its model is the nested shape.
    check(r#"{"error":{}}"#, || {
        let mut node = Command::new("node");
        node.current_dir(folder.join("node"));
        node.args(["-e", include_str!("client.js")]);
        node
    });
}
