//! Runs the example `whoami`, which `cargo test` builds first. `cargo test --test whoami` does not:
//! run `cargo build --example whoami` before it.

use std::{
    env::{self, consts::EXE_SUFFIX},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use dropbox_sign_oauth_testkit::sandbox::{Builder, CLIENT_SECRET, EMAIL_ADDRESS, Sandbox};
use dropbox_sign_oauth_ureq::ureq::Agent;

fn sandbox() -> Builder {
    Sandbox::builder().automatic().callback("http://127.0.0.1:1/callback")
}

fn whoami(sandbox: &Sandbox, secret: &str, folder: &Path) -> Command {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("whoami{EXE_SUFFIX}"));
    assert!(program.exists(), "run `cargo build --example whoami` first");
    let mut command = Command::new(program);
    command.env("DROPBOX_SIGN_CLIENT_ID", sandbox.client_id());
    command.env("DROPBOX_SIGN_CLIENT_SECRET", secret);
    command.env("DROPBOX_SIGN_SANDBOX", sandbox.base_url()).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the tool, and pastes the address to which the authorize page redirects. Returns the output
/// after that, and the exit code.
fn log_in(mut command: Command) -> String {
    let mut child = command.spawn().unwrap();
    // A buffer of one byte, because the rest of the output must stay in the pipe.
    let stdout = BufReader::with_capacity(1, child.stdout.as_mut().unwrap());
    let url = stdout.lines().map(Result::unwrap).find(|line| line.starts_with("http")).unwrap();
    let config = Agent::config_builder().proxy(None).max_redirects(0);
    let page = config.build().new_agent().get(url).call().unwrap();
    let callback = page.headers()["location"].to_str().unwrap();
    writeln!(child.stdin.take().unwrap(), "{callback}").unwrap();
    outcome(child.wait_with_output().unwrap())
}

fn outcome(output: Output) -> String {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    format!("{}exit code {}", (stdout + &stderr).trim_start(), output.status.code().unwrap())
}

#[test]
fn logs_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox().start().unwrap();
    let command = || whoami(&sandbox, CLIENT_SECRET, folder.path());
    let expected = format!("{EMAIL_ADDRESS}\nexit code 0");
    assert_eq!(log_in(command()), expected);
    assert_eq!(outcome(command().output().unwrap()), expected);
}

#[test]
fn exits_with_the_code_of_the_remedy() {
    for (builder, secret, error, code) in [
        (sandbox().rate_limit(0), CLIENT_SECRET, "429 exceeded_rate", 75),
        (sandbox(), "canary", "401 invalid_client", 78),
        (sandbox().callback("http://127.0.0.1:1/?code=c"), CLIENT_SECRET, "duplicate", 77),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = builder.start().unwrap();
        let outcome = log_in(whoami(&sandbox, secret, folder.path()));
        assert!(outcome.starts_with("error: ") && outcome.contains(error), "{outcome}");
        assert!(outcome.ends_with(&format!("\nexit code {code}")), "{outcome}");
    }
}
