//! The login example as a person runs it: what it prints, how it ends, and what it stores.
//!
//! `cargo test` builds the examples before it runs a test. With `--test login` alone it does not;
//! `cargo build --example login` does.

use std::{
    env::{self, consts::EXE_SUFFIX},
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use dropbox_sign_oauth::{ExposedTokenSet, State, TokenSet};
use dropbox_sign_oauth_testkit::{
    fault::ClosedPort,
    sandbox::{CLIENT_ID, CLIENT_SECRET, EMAIL_ADDRESS, Sandbox},
};
use dropbox_sign_oauth_ureq::{Transport, ureq};
use serde_json::Value;

const TRANSPORTS: [&str; 2] = ["hyper", "ureq"];

/// The credentials of nobody.
const STRANGER: [(&str, &str); 2] = [
    ("DROPBOX_SIGN_CLIENT_ID", "0123456789abcdef"),
    ("DROPBOX_SIGN_CLIENT_SECRET", "canary-5ecret"),
];

// Running it.

/// The login example, in an environment without credentials.
fn login(arguments: &[&str]) -> Command {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("login{EXE_SUFFIX}"));
    assert!(
        program.exists(),
        "build it first: cargo build --example login"
    );
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in STRANGER {
        command.env_remove(name);
    }
    for name in ["CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// How a run ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{}", self.stdout);
        self
    }

    #[track_caller]
    fn failed(self, code: i32, line: &str) -> Self {
        assert_eq!(self.stderr, format!("error: {line}\n"));
        assert_eq!(self.code, Some(code));
        self
    }

    /// Asserts that nothing shows a secret that `sandbox` knows of.
    #[track_caller]
    fn without_secrets(self, sandbox: &Sandbox) -> Self {
        for secret in secrets(sandbox) {
            assert!(!self.stdout.contains(&secret), "{secret}: {}", self.stdout);
            assert!(!self.stderr.contains(&secret), "{secret}: {}", self.stderr);
        }
        self
    }
}

fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The client secret, and every code and token that a sandbox was asked with.
fn secrets(sandbox: &Sandbox) -> Vec<String> {
    let mut secrets = vec![sandbox.client_secret().to_owned()];
    for request in sandbox.requests() {
        if let Some(value) = request.headers.get("authorization") {
            let (_, credentials) = value.to_str().unwrap().split_once(' ').unwrap();
            secrets.push(credentials.to_owned());
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let members = ["client_secret", "code", "refresh_token"];
        let values = members.iter().filter_map(|name| body[name].as_str());
        secrets.extend(values.map(ToOwned::to_owned));
    }
    secrets
}

/// Text in which every port is `PORT`.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut without = parts.next().unwrap().to_owned();
    for part in parts {
        without.push_str("127.0.0.1:PORT");
        without.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    without
}

/// A place for a test's files, which is empty.
fn empty_folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

// The person.

/// A run that waits for a person.
struct Waiting {
    child: Child,
    stdout: BufReader<ChildStdout>,
    read: String,
    /// What the person is told to open.
    url: String,
}

impl Waiting {
    fn begin(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut read = String::new();
        let url = loop {
            let start = read.len();
            assert_ne!(stdout.read_line(&mut read).unwrap(), 0, "{read}");
            let line = read[start..].trim();
            if line.starts_with("http") {
                break line.to_owned();
            }
        };
        Self {
            child,
            stdout,
            read,
            url,
        }
    }

    /// A parameter of the URL.
    fn parameter(&self, name: &str) -> String {
        let (_, query) = self.url.split_once('?').unwrap();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, value) = pairs.find(|(found, _)| found == name).unwrap();
        value.into_owned()
    }

    fn callback(&self) -> String {
        self.parameter("redirect_uri")
    }

    /// Opens the consent page and presses a button; answers with the callback to which it leads.
    fn decide(&self, decision: &str) -> String {
        let page = open(&self.url);
        assert_eq!(page.status, 200, "{}", page.body);
        let (_, rest) = page.body.split_once("name=\"ticket\" value=\"").unwrap();
        let (ticket, _) = rest.split_once('"').unwrap();
        let (address, _) = self.url.split_once('?').unwrap();
        let form = [("ticket", ticket), ("decision", decision)];
        let response = browser().post(address).send_form(form).unwrap();
        let location = &response.headers()["location"];
        location.to_str().unwrap().to_owned()
    }

    fn end(mut self) -> Ended {
        self.stdout.read_to_string(&mut self.read).unwrap();
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        Ended {
            code: self.child.wait().unwrap().code(),
            stdout: std::mem::take(&mut self.read),
            stderr,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended, unless an assertion has failed.
        let _ = self.child.kill();
    }
}

struct Page {
    status: u16,
    body: String,
}

impl Page {
    fn title(&self) -> &str {
        let (_, rest) = self.body.split_once("<h1>").unwrap_or_default();
        rest.split_once("</h1>").unwrap_or_default().0
    }
}

fn browser() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.new_agent()
}

fn open(url: &str) -> Page {
    let mut response = browser().get(url).call().unwrap();
    Page {
        status: response.status().as_u16(),
        body: response.body_mut().read_to_string().unwrap(),
    }
}

// What it prints.

const TRANSCRIPT: &str = "\
Login with Dropbox Sign, over TRANSPORT

1. Start a sandbox
   It stands in for Dropbox Sign. Nothing leaves this machine.
       client id      cc91c61d00f8bb2ece1428035716b
       authorize      http://127.0.0.1:PORT/oauth/authorize
       token          http://127.0.0.1:PORT/oauth/token
       account        http://127.0.0.1:PORT/v3/account
       callback       http://127.0.0.1:PORT/callback

2. Send the user to the authorize page
   The state is random, and kept here: the callback must bring it back.
   → GET http://127.0.0.1:PORT/oauth/authorize
       response_type  code
       client_id      cc91c61d00f8bb2ece1428035716b
       state          [redacted]
       redirect_uri   http://127.0.0.1:PORT/callback
   ← a redirect to the callback

3. Take the code from the callback
   → GET http://127.0.0.1:PORT/callback
       code           [redacted]
       state          [redacted], the one that was sent
   So the code belongs to this login.

4. Exchange the code for tokens
   → POST http://127.0.0.1:PORT/oauth/token
       authorization  Basic [redacted]
       JSON body      client_id, client_secret, code, grant_type, state
   ← tokens
       access token   [redacted], expires in 1 day
       refresh token  [redacted]
       rate limit     999999 of 1000000 requests left; counted anew in 1 hour

5. Ask whose account it is
   → GET http://127.0.0.1:PORT/v3/account
       authorization  Bearer [redacted]
   ← the account
       e-mail         me@dropboxsign.com
       account id     5008b25c7f67153e57d5a357b1687968068fb465
       rate limit     999998 of 1000000 requests left; counted anew in 1 hour

6. Refresh the tokens
   When the access token has expired, a new one is got without the user.
   → POST http://127.0.0.1:PORT/oauth/token?refresh
       authorization  Basic [redacted]
       JSON body      grant_type, refresh_token, client_id, client_secret
   ← tokens
       access token   [redacted], expires in 1 day
       refresh token  [redacted], the same as before
       rate limit     999997 of 1000000 requests left; counted anew in 1 hour

Done: me@dropboxsign.com is logged in.
";

#[test]
fn the_whole_flow() {
    for transport in TRANSPORTS {
        let ended = run(&mut login(&["--transport", transport])).succeeded();
        let expected = TRANSCRIPT.replace("TRANSPORT", transport);
        assert_eq!(without_ports(&ended.stdout), expected);
    }
    // Without arguments it is the first of them.
    let ended = run(&mut login(&[])).succeeded();
    let expected = TRANSCRIPT.replace("TRANSPORT", TRANSPORTS[0]);
    assert_eq!(without_ports(&ended.stdout), expected);
}

#[test]
fn help_is_no_error() {
    for option in ["-h", "--help"] {
        let ended = run(&mut login(&["--live", option])).succeeded();
        assert!(ended.stdout.contains("Usage: cargo run --example login"));
        assert!(ended.stdout.lines().all(|line| line.len() <= 100));
    }
}

#[test]
fn a_sandbox_that_runs_elsewhere() {
    let [(id, _), (secret, _)] = STRANGER;
    for transport in TRANSPORTS {
        let own = Sandbox::builder().automatic().client("1d", "canary");
        let own = own.start().unwrap();
        let mut command = login(&["--transport", transport, "--endpoint", own.base_url()]);
        command.env(id, "1d").env(secret, "canary");
        let ended = run(&mut command).succeeded().without_secrets(&own);
        let done = format!("\nDone: {EMAIL_ADDRESS} is logged in.\n");
        assert!(ended.stdout.ends_with(&done), "{}", ended.stdout);
        let asked: Vec<_> = own
            .requests()
            .iter()
            .map(|request| {
                let query = request.path_and_query.split_once("?response_type=code");
                let path = query.map_or(&*request.path_and_query, |(path, _)| path);
                format!("{} {path} {}", request.method, request.status.as_u16())
            })
            .collect();
        assert_eq!(
            asked,
            [
                "GET /oauth/authorize 303",
                "POST /oauth/token 200",
                "GET /v3/account 200",
                "POST /oauth/token?refresh 200",
            ]
        );
    }
}

#[test]
fn lifetimes_are_told_in_words() {
    for (seconds, words) in [
        (0, "expired already"),
        (1, "expires in 1 second"),
        (90, "expires in 1 minute 30 seconds"),
        (3599, "expires in 1 hour"),
        (5400, "expires in 1 hour 30 minutes"),
        (86_399, "expires in 1 day"),
        (90_000, "expires in 1 day 1 hour"),
    ] {
        // An access token that has expired opens nothing.
        let lifetime = Duration::from_secs(seconds);
        let sandbox = Sandbox::builder().automatic().token_lifetime(lifetime);
        let sandbox = sandbox.start().unwrap();
        let ended = run(&mut login(&["--endpoint", sandbox.base_url()]));
        let line = format!("access token   [redacted], {words}\n");
        assert!(ended.stdout.contains(&line), "{seconds}: {}", ended.stdout);
    }
}

#[test]
fn a_refresh_token_that_is_kept_or_replaced() {
    for (builder, fate) in [
        (Sandbox::builder(), "the same as before"),
        (
            Sandbox::builder().omit_refresh_token(),
            "the same as before",
        ),
        (
            Sandbox::builder().rotate_refresh_tokens(),
            "another than before",
        ),
    ] {
        let sandbox = builder.automatic().start().unwrap();
        let ended = run(&mut login(&["--endpoint", sandbox.base_url()]));
        let ended = ended.succeeded().without_secrets(&sandbox);
        let line = format!("refresh token  [redacted], {fate}\n");
        assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    }
}

// A person decides.

#[test]
fn a_person_approves() {
    for transport in TRANSPORTS {
        let sandbox = Sandbox::start().unwrap();
        let arguments = ["--browser", "--transport", transport, "--endpoint"];
        let waiting = Waiting::begin(login(&arguments).arg(sandbox.base_url()));
        let page = open(&waiting.decide("approve"));
        assert_eq!((page.status, page.title()), (200, "Approved"));
        assert!(page.body.contains("You can close this window."));
        let ended = waiting.end().succeeded().without_secrets(&sandbox);
        assert!(
            ended
                .stdout
                .contains("Waiting for it, for 5 minutes at most.\n")
        );
    }
}

#[test]
fn a_person_denies() {
    let waiting = Waiting::begin(&mut login(&["--browser"]));
    let page = open(&waiting.decide("deny"));
    assert_eq!((page.status, page.title()), (200, "Not approved"));
    waiting.end().failed(
        1,
        "the authorization was refused: access_denied (The user denied the request); run this \
         again, and approve",
    );
}

#[test]
fn callbacks_that_are_not_this_logins_are_refused_and_the_wait_goes_on() {
    let waiting = Waiting::begin(&mut login(&["--browser"]));
    let callback = waiting.callback();
    for (query, status) in [
        ("?code=c&state=forged", 400),
        ("?error=access_denied&state=forged", 400),
        ("?code=c", 400),
        ("?code=c&code=d&state=forged", 400),
        ("", 400),
        ("/elsewhere", 404),
    ] {
        assert_eq!(
            open(&format!("{callback}{query}")).status,
            status,
            "{query}"
        );
    }
    let origin = callback.strip_suffix("/callback").unwrap();
    assert_eq!(open(&format!("{origin}/favicon.ico")).status, 404);

    assert_eq!(open(&waiting.decide("approve")).title(), "Approved");
    let ended = waiting.end().succeeded();
    let told: Vec<_> = ended
        .stdout
        .lines()
        .filter(|line| line.contains("was refused"))
        .collect();
    let state = "   A callback with another state, which may be forged, was refused, and the wait \
                 goes on.";
    assert_eq!(
        told,
        [
            state,
            state,
            state,
            "   A callback that carried `code` twice was refused, and the wait goes on.",
            "   A callback without a code was refused, and the wait goes on.",
        ]
    );
}

#[test]
fn a_code_that_cannot_be_one() {
    let waiting = Waiting::begin(&mut login(&["--browser"]));
    let state = waiting.parameter("state");
    let page = open(&format!("{}?code=a%20b&state={state}", waiting.callback()));
    assert_eq!((page.status, page.title()), (200, "Login failed"));
    waiting.end().failed(
        1,
        "an authorization code must be 1 to 1024 visible ASCII characters; run this again",
    );
}

#[test]
fn a_sandbox_with_https() {
    let sandbox = Sandbox::builder().tls().start().unwrap();
    let stand_in = run(&mut login(&["--endpoint", sandbox.base_url()])).failed(
        2,
        "the stand-in for a browser speaks no https; add --browser, and --root-certificate with \
         the certificate of the sandbox",
    );
    assert_eq!(stand_in.stdout, "");

    let folder = empty_folder("login-https");
    let pem = folder.join("root.pem");
    fs::write(&pem, sandbox.root_certificate_pem().unwrap()).unwrap();
    let der = folder.join("root.der");
    fs::write(&der, sandbox.root_certificate().unwrap()).unwrap();
    for transport in TRANSPORTS {
        for certificate in [&pem, &der] {
            let mut command = login(&["--browser", "--transport", transport, "--endpoint"]);
            command.arg(sandbox.base_url()).arg("--root-certificate");
            let waiting = Waiting::begin(command.arg(certificate));
            let state = waiting.parameter("state");
            let code = sandbox.issue_code(&State::from_stored(&state).unwrap());
            let page = open(&format!("{}?code={code}&state={state}", waiting.callback()));
            assert_eq!(page.title(), "Approved");
            waiting.end().succeeded().without_secrets(&sandbox);
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_root_certificate_that_is_none() {
    let folder = empty_folder("login-no-certificate");
    let missing = folder.join("missing.pem");
    let error = fs::read(&missing).unwrap_err().to_string();
    let none = "it is none, neither as PEM nor as DER";
    let cut = folder.join("cut.pem");
    fs::write(&cut, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let garbage = folder.join("garbage.der");
    fs::write(&garbage, "garbage").unwrap();
    for transport in TRANSPORTS {
        for (path, error) in [(&missing, &*error), (&cut, none), (&garbage, none)] {
            let line = format!(
                "cannot take a certificate from {}: {error}; check --root-certificate",
                path.display()
            );
            let arguments = ["--browser", "--transport", transport, "--endpoint"];
            let mut command = login(&arguments);
            command.args(["https://127.0.0.1:9", "--root-certificate"]);
            let ended = run(command.arg(path)).failed(1, &line);
            assert_eq!(ended.stdout, "");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

// Wrong uses.

#[test]
fn a_wrong_command_line_ends_with_one_line() {
    for (arguments, line) in [
        (&["--transprot"][..], "invalid option '--transprot'"),
        (&["-x"], "invalid option '-x'"),
        (&["hyper"], "unexpected argument \"hyper\""),
        (
            &["--live=yes"],
            "unexpected argument for option '--live': \"yes\"",
        ),
        (
            &["--transport"],
            "missing argument for option '--transport'",
        ),
        (
            &["--transport", "curl"],
            "--transport takes hyper or ureq, not \"curl\"",
        ),
        (
            &["--simulate", "rain"],
            "--simulate takes denied or timeout or forged-callback or wrong-secret or used-code \
             or expired-code, not \"rain\"",
        ),
        (
            &["--port", "65536"],
            "--port takes a number up to 65535, not \"65536\"",
        ),
        (
            &["--timeout", "0"],
            "--timeout takes 1 to 86400 seconds, not \"0\"",
        ),
        (
            &["--live", "--endpoint", "http://127.0.0.1:9"],
            "--live and --endpoint exclude each other",
        ),
        (
            &["--live", "--simulate", "denied"],
            "--live and --simulate exclude each other",
        ),
        (
            &["--browser", "--simulate", "denied"],
            "--browser and --simulate exclude each other",
        ),
        (
            &["--endpoint", "http://sign.example.com"],
            "--endpoint takes https, or http to this machine",
        ),
        (
            &["--root-certificate", "root.pem"],
            "--root-certificate is for an --endpoint with https",
        ),
        (
            &["--endpoint", "127.0.0.1:8080"],
            "--endpoint: the endpoint is not an absolute URI such as \
             `https://app.hellosign.com`",
        ),
    ] {
        let line = format!("{line}; see --help");
        let ended = run(&mut login(arguments)).failed(2, &line);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[test]
fn wrong_credentials_end_with_one_line_and_are_not_shown() {
    let [(id, stranger), (secret, canary)] = STRANGER;
    for (environment, line) in [
        (
            &[][..],
            "DROPBOX_SIGN_CLIENT_ID and DROPBOX_SIGN_CLIENT_SECRET are not set; copy them from \
             the app's settings (sign.dropbox.com, Settings, API), or leave out --live",
        ),
        (
            &[(id, stranger)],
            "DROPBOX_SIGN_CLIENT_SECRET is not set, and DROPBOX_SIGN_CLIENT_ID is; set both, or \
             neither",
        ),
        (
            &[(secret, canary)],
            "DROPBOX_SIGN_CLIENT_ID is not set, and DROPBOX_SIGN_CLIENT_SECRET is; set both, or \
             neither",
        ),
        (
            &[(id, stranger), (secret, "canary-5ecret\n")],
            "the client secret must be 1 to 1024 visible ASCII characters without spaces or line \
             breaks; check DROPBOX_SIGN_CLIENT_ID and DROPBOX_SIGN_CLIENT_SECRET",
        ),
        (
            &[(id, ""), (secret, canary)],
            "the client id must be 1 to 1024 visible ASCII characters without spaces or line \
             breaks; check DROPBOX_SIGN_CLIENT_ID and DROPBOX_SIGN_CLIENT_SECRET",
        ),
    ] {
        let mut command = login(&["--live"]);
        let ended = run(command.envs(environment.iter().copied())).failed(2, line);
        assert_eq!(ended.stdout, "", "{line}");
    }
}

#[test]
#[cfg(unix)]
fn credentials_that_are_no_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    let [(id, stranger), (secret, _)] = STRANGER;
    let mut command = login(&["--live"]);
    command.env(id, stranger);
    run(command.env(secret, OsStr::from_bytes(b"canary\xff"))).failed(
        2,
        "DROPBOX_SIGN_CLIENT_SECRET is not text; copy it again from the app's settings",
    );
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = format!("port {port} is taken; choose another for the callback with --port");
    for arguments in [&["--port", &port][..], &["--live", "--port", &port]] {
        let ended = run(login(arguments).envs(STRANGER)).failed(1, &line);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn what_goes_wrong_at_the_sandbox_ends_with_one_line() {
    const INVALID_GRANT: &str = "the code or refresh token is wrong, spent, expired or revoked, so \
                                 let the user authorize again";
    let rejected = "exchanging the code failed: the server rejected the request:";
    for (simulation, line) in [
        (
            "denied",
            "the authorization was refused: access_denied (The user denied the request); run this \
             again, and approve",
        ),
        (
            "wrong-secret",
            &format!(
                "{rejected} 401 invalid_client (The Authorization header is wrong); check the \
                 client id and secret"
            ),
        ),
        (
            "used-code",
            &format!(
                "{rejected} 400 invalid_grant (The code was used before: its tokens are now \
                 revoked); {INVALID_GRANT}"
            ),
        ),
        (
            "expired-code",
            &format!("{rejected} 400 invalid_grant (The code has expired); {INVALID_GRANT}"),
        ),
    ] {
        for transport in TRANSPORTS {
            let ended = run(&mut login(&[
                "--transport",
                transport,
                "--simulate",
                simulation,
            ]));
            let ended = ended.failed(1, line);
            for secret in [CLIENT_SECRET, "not-the-secret"] {
                assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
            }
        }
    }
}

#[test]
fn a_forged_callback_does_not_end_the_login() {
    let ended = run(&mut login(&["--simulate", "forged-callback"])).succeeded();
    let line = "   A callback with another state, which may be forged, was refused, and the wait \
                goes on.\n";
    assert!(ended.stdout.contains(line), "{}", ended.stdout);
}

#[test]
fn nobody_decides() {
    let expected = "nobody decided at the authorize page within 1 second; run this again, or allow \
                more time with --timeout";
    let simulated = run(&mut login(&["--simulate", "timeout"])).failed(1, expected);
    assert!(simulated.stdout.contains("(Simulated: nobody comes.)"));
    // Nothing is sent to the real service before somebody has decided there.
    let mut command = login(&["--live", "--port", "0", "--timeout", "1"]);
    let live = run(command.envs(STRANGER)).failed(1, expected);
    assert!(live.stdout.contains(
        "https://app.hellosign.com/oauth/authorize?response_type=code\
         &client_id=0123456789abcdef&state="
    ));
    assert!(!live.stdout.contains("canary"), "{}", live.stdout);
}

#[test]
fn an_endpoint_that_is_no_automatic_sandbox() {
    let asks = Sandbox::start().unwrap();
    run(&mut login(&["--endpoint", asks.base_url()])).failed(
        1,
        "the authorize page asks a person; add --browser, or start that sandbox with --automatic",
    );

    let automatic = Sandbox::builder().automatic().start().unwrap();
    let mut command = login(&["--endpoint", automatic.base_url()]);
    run(command.envs(STRANGER)).failed(
        1,
        "the authorize page answered 400; check the address and the client id, or see what it \
         says with --browser",
    );

    let nobody = ClosedPort::bind().unwrap();
    let base_url = format!("http://{}", nobody.address());
    let line = format!(
        "the authorize page cannot be opened: {}; check that the sandbox runs, or open it in a \
         browser with --browser",
        refusal(&nobody)
    );
    run(&mut login(&["--endpoint", &base_url])).failed(1, &line);
}

#[test]
fn the_wrong_secret_of_the_environment_is_not_shown() {
    let [(id, _), (secret, canary)] = STRANGER;
    for transport in TRANSPORTS {
        let sandbox = Sandbox::builder().automatic().start().unwrap();
        let mut command = login(&["--transport", transport, "--endpoint", sandbox.base_url()]);
        let ended = run(command.env(id, CLIENT_ID).env(secret, canary)).failed(
            1,
            "exchanging the code failed: the server rejected the request: 401 invalid_client (The \
             Authorization header is wrong); check the client id and secret",
        );
        ended.without_secrets(&sandbox);
    }
}

#[test]
fn a_throttled_login_is_told_how_long_to_wait() {
    let sandbox = Sandbox::builder()
        .automatic()
        .rate_limit(1)
        .start()
        .unwrap();
    let ended = run(&mut login(&["--endpoint", sandbox.base_url()])).failed(
        1,
        "asking for the account failed: the server turned the request away because there are too \
         many: 429 exceeded_rate (Too many requests.); wait before the next: 1 hour",
    );
    ended.without_secrets(&sandbox);
}

#[test]
fn a_server_that_is_gone_or_hangs_up() {
    let nobody = ClosedPort::bind().unwrap();
    let base_url = format!("http://{}", nobody.address());
    for transport in TRANSPORTS {
        let line = format!(
            "exchanging the code failed: the request was not sent: no connection to the server \
             could be made: {}; check the address and the network, and run this again",
            refusal(&nobody)
        );
        bring_code(transport, &base_url).failed(1, &line);
    }
    for transport in TRANSPORTS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The whole request: closing with some of it unread would reset the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut chunk = [0; 1024];
                let read = stream.read(&mut chunk).unwrap();
                request.extend_from_slice(&chunk[..read]);
            }
        });
        let ended = bring_code(transport, &base_url);
        server.join().unwrap();
        let start = "error: exchanging the code failed: whether the request arrived is not known: \
                     the connection failed: ";
        let end = "; run this again for a new code\n";
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
        assert!(ended.stderr.ends_with(end), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

/// Runs a login up to the exchange of a code at `base_url`.
fn bring_code(transport: &str, base_url: &str) -> Ended {
    let arguments = [
        "--browser",
        "--transport",
        transport,
        "--endpoint",
        base_url,
    ];
    let waiting = Waiting::begin(&mut login(&arguments));
    let state = waiting.parameter("state");
    let page = open(&format!(
        "{}?code=canary-c0de&state={state}",
        waiting.callback()
    ));
    assert_eq!(page.title(), "Approved");
    let ended = waiting.end();
    for output in [&ended.stdout, &ended.stderr] {
        assert!(!output.contains("canary"), "{output}");
    }
    ended
}

/// What the system says of a connection to a port at which nobody listens.
fn refusal(port: &ClosedPort) -> io::Error {
    TcpStream::connect(port.address()).unwrap_err()
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_goes_nowhere_is_no_panic() {
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    for arguments in [&[][..], &["--help"]] {
        let ended = run(login(arguments).stdout(full()));
        ended.failed(
            1,
            "cannot write to standard output: No space left on device (os error 28)",
        );
    }
    let status = login(&["--live"]).stderr(full()).stdout(full()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

// What it stores.

#[test]
fn tokens_are_stored_for_the_user_alone() {
    for transport in TRANSPORTS {
        let folder = empty_folder(&format!("login-{transport}"));
        let path = folder.join("tokens.json");
        fs::write(&path, "what was there, for everybody to read").unwrap();
        let sandbox = Sandbox::builder().automatic().rotate_refresh_tokens();
        let sandbox = sandbox.start().unwrap();
        let mut command = login(&["--transport", transport, "--endpoint", sandbox.base_url()]);
        let ended = run(command.arg("--save").arg(&path));
        let ended = ended.succeeded().without_secrets(&sandbox);

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let line = format!(
                "   Stored in {}, readable by you alone (mode 0600).\n",
                path.display()
            );
            assert_eq!(ended.stdout.matches(&line).count(), 2, "{}", ended.stdout);
        }
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let stored = fs::read_to_string(&path).unwrap();
        let stored: ExposedTokenSet = serde_json::from_str(&stored).unwrap();
        let tokens = TokenSet::from(stored);
        let refresh_token = tokens.refresh_token.unwrap();
        for token in [&tokens.access_token, &refresh_token] {
            assert!(!ended.stdout.contains(token.expose()), "{}", ended.stdout);
        }
        // They are the last ones: both are good.
        let transport = Transport::new().unwrap();
        let app = sandbox.app();
        transport.send(app.account(&tokens.access_token)).unwrap();
        transport.send(app.refresh(&refresh_token)).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_is_asked() {
    let folder = empty_folder("login-nowhere");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let missing = folder.join("missing");
    let error_below = |path: &PathBuf| fs::write(path.join("x"), "").unwrap_err().to_string();
    let no_file = "what is there is no plain file".to_owned();
    let folder_named = "the path names a folder".to_owned();
    #[cfg(unix)]
    let link = {
        let link = folder.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        (link, no_file.clone())
    };
    let sandbox = Sandbox::builder().automatic().start().unwrap();
    for (path, error) in [
        (missing.join("tokens.json"), error_below(&missing)),
        (file.join("tokens.json"), error_below(&file)),
        (folder.clone(), no_file.clone()),
        (folder.join(".."), no_file),
        (PathBuf::new(), "the path names no file".into()),
        (folder.join("new/"), folder_named.clone()),
        (missing.join("."), folder_named.clone()),
        (file.join("."), folder_named),
        #[cfg(unix)]
        link,
    ] {
        let mut command = login(&["--endpoint", sandbox.base_url(), "--save"]);
        let expected = format!(
            "cannot store tokens in {}: {error}; choose another place with --save",
            path.display()
        );
        let ended = run(command.arg(&path)).failed(1, &expected);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(sandbox.requests().len(), 0);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_place_that_goes_away_meanwhile() {
    let folder = empty_folder("login-gone");
    let path = folder.join("tokens.json");
    let sandbox = Sandbox::start().unwrap();
    let mut command = login(&["--browser", "--endpoint", sandbox.base_url(), "--save"]);
    let waiting = Waiting::begin(command.arg(&path));
    // The place was tried out, and nothing was left there.
    fs::remove_dir(&folder).unwrap();
    let error = fs::write(&path, "").unwrap_err();
    assert_eq!(open(&waiting.decide("approve")).title(), "Approved");
    let line = format!(
        "the tokens could not be stored in {}, and are lost: {error}; make room there, or choose \
         another place with --save, and run this again",
        path.display()
    );
    waiting.end().failed(1, &line).without_secrets(&sandbox);
}
