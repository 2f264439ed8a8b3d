//! Runs the example `login` and checks its output, exit codes and stored sessions.
//!
//! `cargo test` builds the examples first, but `cargo test --test login` does not. Run
//! `cargo build --example login` before it.

use std::{
    env::{self, consts::EXE_SUFFIX},
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Output, Stdio},
};

use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use dropbox_sign_oauth_ureq::ureq::Agent;

const CLIENT_ID: &str = "DROPBOX_SIGN_CLIENT_ID";
const CLIENT_SECRET: &str = "DROPBOX_SIGN_CLIENT_SECRET";
const TRANSPORTS: [&str; 2] = ["hyper", "ureq"];
const STARTED: &str = "  Sandbox started at http://127.0.0.1:";
const NEEDED: &str = "    Login needed: the session has no tokens\n";
const ACCOUNT: &str = "  Account me@dropboxsign.com (5008b25c7f67153e57d5a357b1687968068fb465)\n";
const APPROVED: &str = "200 Approved. You can close this page.";

/// Returns the command of the example, without credentials and without a browser.
fn login(arguments: &str) -> Command {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("login{EXE_SUFFIX}"));
    assert!(program.exists(), "run `cargo build --example login` first");
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).stdin(Stdio::null());
    for name in [CLIENT_ID, CLIENT_SECRET, "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("PATH", "");
    command
}

/// Runs the example and returns its standard output, standard error and exit code.
fn run(command: &mut Command) -> String {
    outcome(command.output().unwrap())
}

fn outcome(output: Output) -> String {
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    format!("{stdout}{stderr}exit code {}", output.status.code().unwrap())
}

/// A run of the example that waits for the user's decision.
struct Waiting {
    child: Option<Child>,
    /// The URL of the authorize page.
    url: String,
}

impl Waiting {
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A buffer of one byte, because the rest of the output must stay in the pipe for `end`.
        let stdout = BufReader::with_capacity(1, child.stdout.as_mut().unwrap());
        let mut lines = stdout.lines().map(Result::unwrap);
        let url = lines.find(|line| line.starts_with("http")).unwrap();
        Self { child: Some(child), url }
    }

    fn parameter(&self, name: &str) -> String {
        let (_, query) = self.url.split_once('?').unwrap();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(found, _)| found == name).unwrap().1.into()
    }

    /// Requests the callback URL with `query` appended.
    fn request_callback(&self, query: &str) -> String {
        open(&(self.parameter("redirect_uri") + query))
    }

    /// Waits for the end of the run. Returns its outcome, without the output up to the URL.
    fn end(mut self) -> String {
        let output = self.child.take().unwrap().wait_with_output();
        outcome(output.unwrap()).trim_start().to_owned()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.take().map(|mut child| child.kill());
    }
}

/// Opens a URL, follows redirects, and returns the status and text of the last page.
fn open(url: &str) -> String {
    let config = Agent::config_builder().proxy(None).http_status_as_error(false);
    let mut response = config.build().new_agent().get(url).call().unwrap();
    let mut text = String::new();
    response.body_mut().as_reader().read_to_string(&mut text).unwrap();
    format!("{} {text}", response.status().as_str())
}

/// The expected output from the callback to the end.
fn logged_in(transport: &str) -> String {
    format!(
        "Session begun with {transport}; its tokens are refreshed when due\n{ACCOUNT}exit code 0"
    )
}

#[test]
fn logs_in_with_its_own_sandbox() {
    let approving = "Authorize approving on your behalf on this page:\n\nhttp://127.0.0.1:";
    for (arguments, transport) in [("", "hyper"), ("--transport=ureq", "ureq")] {
        let outcome = run(&mut login(arguments));
        let (started, rest) = outcome.split_once('\n').unwrap();
        assert!(started.starts_with(STARTED), "{started}");
        assert!(rest.starts_with(&format!("{NEEDED}{approving}")), "{rest}");
        assert!(rest.ends_with(&format!("\n\n  {}", logged_in(transport))), "{rest}");
    }
}

#[test]
fn colors_output_unless_no_color_is_set() {
    let mut command = login("");
    let outcome = run(command.env("CLICOLOR_FORCE", "1"));
    assert!(outcome.starts_with("\x1b[1m\x1b[32m  Sandbox\x1b[0m started at "));
    assert!(run(command.env("NO_COLOR", "1")).starts_with(STARTED));

    let mut command = login("-x");
    let error = "error: invalid option '-x'; see --help";
    let expected = format!("\x1b[31m{error}\x1b[0m\nexit code 2");
    assert_eq!(run(command.env("CLICOLOR_FORCE", "1")), expected);
    assert_eq!(run(command.env("NO_COLOR", "1")), format!("{error}\nexit code 2"));
}

#[test]
fn rejects_invalid_command_lines_and_credentials() {
    let help = run(&mut login("--live --help"));
    assert!(help.contains("\nUsage: cargo run --example login -- [OPTIONS]\n"));
    assert!(help.ends_with("\nexit code 0"));
    let invalid = "must be 1 to 1024 visible ASCII characters without spaces or line breaks";
    for (arguments, variables, error) in [
        ("--saved x", &[][..], "invalid option '--saved'"),
        ("--save", &[], "missing argument for option '--save'"),
        ("--transport curl", &[], "--transport takes hyper or ureq"),
        ("--sandbox x", &[], "cannot parse argument \"x\": the endpoint is not an absolute URI"),
        (
            "--live --sandbox http://127.0.0.1:1",
            &[],
            "--live and --sandbox cannot be used together",
        ),
        ("--live", &[], &format!("--live: {CLIENT_ID} is not set")),
        ("--live", &[(CLIENT_ID, "1d")], &format!("--live: {CLIENT_SECRET} is not set")),
        (
            "--live",
            &[(CLIENT_ID, "1d"), (CLIENT_SECRET, "canary\n")],
            &format!("--live: the client secret {invalid}"),
        ),
    ] {
        let outcome = run(login(arguments).envs(variables.iter().copied()));
        assert_eq!(outcome, format!("error: {error}; see --help\nexit code 2"));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn reports_unwritable_output() {
    let full = fs::File::create("/dev/full").unwrap();
    let expected = "error: No space left on device (os error 28)\nexit code 1";
    assert_eq!(run(login("").stdout(full)), expected);
}

/// The `xdg-open` of this test is a script that writes its arguments and environment to a pipe.
#[test]
#[cfg(target_os = "linux")]
fn opens_a_browser_that_gets_no_secrets() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let (pipe, script) = (folder.path().join("pipe"), folder.path().join("xdg-open"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&script, "#!/bin/sh\n{ echo \"$@\"; export -p; } > \"${0%/*}/pipe\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = login("--browser");
    command.env("PATH", folder.path()).env("SEEN", "yes");
    let waiting = Waiting::start(command.env(CLIENT_ID, "canary").env(CLIENT_SECRET, "canary"));
    let opened = fs::read_to_string(pipe).unwrap();
    assert_eq!(opened.lines().next(), Some(&*waiting.url));
    assert!(opened.contains("SEEN") && !opened.contains("canary"), "{opened}");
}

#[test]
fn continues_a_saved_session() {
    for transport in TRANSPORTS {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::builder().automatic().start().unwrap();
        let arguments = format!("--transport {transport} --sandbox {}", sandbox.base_url());
        let waiting = Waiting::start(login(&arguments).arg("--save").arg(folder.path()));
        assert_eq!(open(&waiting.url), APPROVED);
        assert_eq!(waiting.end(), logged_in(transport));
        let outcome = run(login(&arguments).arg("--save").arg(folder.path()));
        assert_eq!(outcome, format!("{ACCOUNT}exit code 0"));
    }
}

#[test]
fn ignores_callbacks_with_another_state() {
    let sandbox = Sandbox::start().unwrap();
    let waiting = Waiting::start(&mut login(&format!("--sandbox {}", sandbox.base_url())));
    for query in ["?code=c&state=s", "?code=c&code=d", "?error=e", ""] {
        let page = waiting.request_callback(query);
        assert_eq!(page, "400 This callback belongs to another login.");
    }
    assert_eq!(waiting.request_callback("/favicon.ico"), "404 This page does not exist.");
    let state = waiting.parameter("state");
    let page = waiting.request_callback(&format!("?error=access_denied&state={state}"));
    assert_eq!(page, "200 Not approved. You can close this page.");
    let expected = "Callback ignored: the state of the callback does not match
 Callback ignored: duplicate parameter `code` in the callback
 Callback ignored: the callback has no state
 Callback ignored: the callback has neither a code nor an error
error: the authorization was denied: access_denied; run this program again and approve
exit code 1";
    assert_eq!(waiting.end(), expected);
}

#[test]
fn reports_failed_calls_with_their_remedy() {
    let sandbox = Sandbox::builder().rate_limit(0).start().unwrap();
    let busy = "the request was rate-limited: 429 exceeded_rate (Too many requests.)";
    // Nothing listens on port 1.
    let closed = "the request was not sent: connecting to the server failed: ";
    for (url, error) in [(sandbox.base_url(), busy), ("http://127.0.0.1:1", closed)] {
        for transport in TRANSPORTS {
            let arguments = format!("--transport {transport} --sandbox {url}");
            let waiting = Waiting::start(&mut login(&arguments));
            let state = waiting.parameter("state");
            let page = waiting.request_callback(&format!("?code=canary&state={state}"));
            assert_eq!(page, APPROVED);
            let outcome = waiting.end();
            assert!(outcome.starts_with(&format!("error: {error}")), "{outcome}");
            assert!(outcome.contains("; try again in 3"), "{outcome}");
            assert!(outcome.ends_with("s\nexit code 1"), "{outcome}");
            assert!(!outcome.contains("canary"), "{outcome}");
        }
    }
}
