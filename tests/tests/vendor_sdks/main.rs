//! Runs the vendor's Python and Node SDKs against the sandbox.
//!
//! Install the SDKs with `.ci/vendor-sdks FOLDER`, and set `VENDOR_SDKS=FOLDER`. If they are not
//! installed, the tests are skipped, or fail with `VENDOR_SDKS_REQUIRED=1`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use dropbox_sign_oauth::State;
use dropbox_sign_oauth_testkit::sandbox::{ACCOUNT_ID, Sandbox};
use serde_json::{Value, json};

/// Runs the client of an SDK against a sandbox for each shape of errors, and checks the results, if
/// the file `installed` is in the folder of the SDKs. `flat` is the expected text for an error in the
/// flat shape.
fn check(installed: &str, flat: &str, client: impl Fn(&Path) -> Command) {
    let folder = env::var_os("VENDOR_SDKS").map(PathBuf::from);
    let Some(folder) = folder.filter(|folder| folder.join(installed).exists()) else {
        let skipped = format!("{installed} is not installed; see `.ci/vendor-sdks`");
        let is_required = env::var("VENDOR_SDKS_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!is_required, "{skipped}");
        println!("skipped: {skipped}");
        return;
    };
    let builder = Sandbox::builder().refresh_without_credentials();
    for (builder, error) in
        [(builder.clone(), flat), (builder.nested_errors(), "tokens are now revoked")]
    {
        let sandbox = builder.start().unwrap();
        let state = State::random();
        let output = client(&folder)
            .env("BASE_URL", sandbox.base_url())
            .env("CLIENT_ID", sandbox.client_id())
            .env("CLIENT_SECRET", sandbox.client_secret())
            .env("CODE", sandbox.issue_code(&state))
            .env("STATE", state.as_str())
            .env("NO_PROXY", "*")
            .output()
            .expect("the client should run");
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
    check("python/bin/python", "invalid_grant", |folder| {
        let mut python = Command::new(folder.join("python/bin/python"));
        python.args(["-c", include_str!("client.py")]);
        python
    });
}

#[test]
fn node_sdk_completes_the_whole_flow() {
    // The SDK expects the nested shape, so the body of a flat error is lost.
    check("node/node_modules/@dropbox/sign", r#"{"error":{}}"#, |folder| {
        let mut node = Command::new("node");
        node.current_dir(folder.join("node"));
        node.args(["-e", include_str!("client.js")]);
        node
    });
}
