//! Runs the sandbox as a program, for clients in any language:
//! `cargo run --example sandbox -- --port 8080`.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use dropbox_sign_oauth::{RedirectUri, State};
use dropbox_sign_oauth_testkit::sandbox::{Builder, Sandbox};
use lexopt::{Arg, Parser, ValueExt as _};

const HELP: &str = "\
Simulates Dropbox Sign's OAuth service on this machine. Runs until Ctrl-C, and logs requests to
standard error.

Usage: cargo run --example sandbox -- [OPTIONS]

Server:
      --port PORT              Port on 127.0.0.1 [default: a free port]
      --tls PATH               Serve https, with a certificate for 127.0.0.1 and localhost, and
                               write the certificate that clients must trust to this file

App:
      --callback URL           Callback of authorization requests without a redirect_uri
      --automatic              Approve every authorization request without asking
      --account EMAIL          Offer this account on the authorize page; can be repeated
      --expires-in SECONDS     Lifetime of access tokens [default: 86400]
      --rotate-refresh-tokens  Issue a new refresh token with each refresh
      --refresh-without-credentials
                               Accept refreshes without client credentials, as for old apps
      --api-key KEY            Accept KEY as the user name of `Authorization: Basic`
      --nested-errors          Use the shape {\"error\":{\"error_msg\":…}} for all errors
      --rate-limit REQUESTS    API requests per hour [default: 1000000]

  -h, --help                   Print this help

Base URL of the vendor's SDKs:
  Python  Configuration(host=BASE_URL, ignore_operation_servers=True); for the rest of the API,
          Configuration(host=BASE_URL + \"/v3\")
  Node    new OAuthApi(BASE_URL), new AccountApi(BASE_URL + \"/v3\")
  Ruby    config.scheme, config.host, config.base_path = \"\",
          config.ignore_operation_servers = true
  Java    apiClient.setServerIndex(null); apiClient.setBasePath(BASE_URL)
  C#      new Configuration { BasePath = BASE_URL, OperationServers = new Dictionary<…>() }
  PHP     none: pass a Guzzle client whose handler replaces the host
The Ruby, Java and C# SDKs can parse errors of the token endpoint only with --nested-errors.

NO_COLOR turns colors off. Exit codes: 0 success, 1 failure, 2 invalid command line.
";

const BOLD: Style = Style::new().bold();
const ERROR: Style = AnsiColor::Red.on_default();

/// The state in the printed commands. Clients must use a random state for each login.
const STATE: &str = "900e06e2";

/// The callback in the printed URL without `--callback`. No server is needed there: the user copies
/// the code from the address bar.
const DEFAULT_CALLBACK: &str = "http://127.0.0.1:7878/callback";

#[derive(Default, Debug)]
struct Options {
    builder: Builder,
    root_certificate: Option<PathBuf>,
    has_callback: bool,
}

fn main() -> ExitCode {
    let (error, code) = match parse(env::args_os().skip(1)) {
        Ok(options) => match options.map_or_else(|| Ok(print(HELP)?), run) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (error.to_string(), 1),
        },
        Err(error) => (format!("{error}; see --help"), 2),
    };
    anstream::eprintln!("{ERROR}error: {error}{ERROR:#}");
    ExitCode::from(code)
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let sandbox = options.builder.on_request(|request| eprintln!("{request}")).start()?;
    if let (Some(path), Some(pem)) = (&options.root_certificate, sandbox.root_certificate_pem()) {
        fs::write(path, pem).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let state = State::from_stored(STATE)?;
    let authorize_url = if options.has_callback {
        sandbox.app().authorize_url(&state)
    } else {
        sandbox.app().authorize_url_with_redirect(&state, &RedirectUri::new(DEFAULT_CALLBACK)?)
    };
    print(&instructions(&sandbox, &authorize_url, options.root_certificate.as_deref()))?;
    loop {
        thread::park();
    }
}

/// Parses the command line. Returns `None` if it asks for help.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options::default();
    let (mut builder, mut accounts) = (Sandbox::builder(), Vec::new());
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        builder = match argument {
            Arg::Long("port") => builder.port(parser.value()?.parse()?),
            Arg::Long("tls") => {
                options.root_certificate = Some(parser.value()?.into());
                builder.tls()
            }
            Arg::Long("callback") => {
                options.has_callback = true;
                builder.callback(parser.value()?.parse::<RedirectUri>()?.as_str())
            }
            Arg::Long("automatic") => builder.automatic(),
            Arg::Long("account") => {
                accounts.push(parser.value()?.string()?);
                builder.accounts(accounts.clone())
            }
            Arg::Long("expires-in") => {
                builder.token_lifetime(Duration::from_secs(parser.value()?.parse()?))
            }
            Arg::Long("rotate-refresh-tokens") => builder.rotate_refresh_tokens(),
            Arg::Long("refresh-without-credentials") => builder.refresh_without_credentials(),
            Arg::Long("api-key") => builder.api_key(&parser.value()?.string()?),
            Arg::Long("nested-errors") => builder.nested_errors(),
            Arg::Long("rate-limit") => builder.rate_limit(parser.value()?.parse()?),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        };
    }
    options.builder = builder;
    Ok(Some(options))
}

fn instructions(sandbox: &Sandbox, authorize_url: &str, root_certificate: Option<&Path>) -> String {
    let (base_url, id, secret) = (sandbox.base_url(), sandbox.client_id(), sandbox.client_secret());
    let curl = match root_certificate {
        Some(path) => format!("curl --cacert '{}'", path.display()),
        None => "curl".into(),
    };
    format!(
        "{BOLD}The sandbox is ready. Ctrl-C stops it.{BOLD:#}

base URL       {base_url}
client id      {id}
client secret  {secret}

{BOLD}1. Open this in a browser, and copy the code from the address to which it redirects:{BOLD:#}

   {authorize_url}

{BOLD}2. Exchange the code:{BOLD:#}

   {curl} '{base_url}/oauth/token' --user '{id}:{secret}' \\
     --header 'Content-Type: application/json' \\
     --data '{{\"client_id\":\"{id}\",\"client_secret\":\"{secret}\",\"code\":\"CODE\",\"grant_type\":\"authorization_code\",\"state\":\"{STATE}\"}}'

{BOLD}3. Use the access token, and refresh it:{BOLD:#}

   {curl} '{base_url}/v3/account' --header 'Authorization: Bearer ACCESS_TOKEN'
   {curl} '{base_url}/oauth/token?refresh' --form grant_type=refresh_token \\
     --form refresh_token=REFRESH_TOKEN --form client_id={id} --form client_secret={secret}

{BOLD}4. Make requests fail (429, 503, slow, reset), and succeed again (none):{BOLD:#}

   {curl} -X PUT '{base_url}/sandbox/fault' --data 503
"
    )
}

fn print(text: &str) -> io::Result<()> {
    anstream::stdout().write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(command_line: &str) -> Result<Option<Options>, lexopt::Error> {
        parse(command_line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn accepts_all_options_of_the_help() {
        let all = "--port 0 --tls root.pem --callback http://127.0.0.1:9/callback --automatic \
                   --account a@b.c --expires-in 60 --rotate-refresh-tokens \
                   --refresh-without-credentials --api-key key --nested-errors --rate-limit 5";
        let options = parsed(all).unwrap().unwrap();
        assert_eq!(options.root_certificate.as_deref(), Some(Path::new("root.pem")));
        let sandbox = options.builder.start().unwrap();
        let text = instructions(&sandbox, "URL", Some(Path::new("root.pem")));
        let base_url = sandbox.base_url();
        assert!(text.contains(&format!("   curl --cacert 'root.pem' '{base_url}/oauth/token' ")));
        for option in all.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(HELP.contains(&format!("      {option}")), "{option}");
        }
        let lines = HELP.lines().map(str::trim_start);
        assert_eq!(lines.filter(|line| line.starts_with("--")).count(), 11);
        assert!(parsed("--tls x -h").unwrap().is_none());
    }

    #[test]
    fn rejects_invalid_command_lines() {
        for (command_line, message) in [
            ("--prot 80", "invalid option '--prot'"),
            ("8080", "unexpected argument \"8080\""),
            ("--port", "missing argument for option '--port'"),
        ] {
            assert_eq!(parsed(command_line).unwrap_err().to_string(), message);
        }
        for command_line in ["--port 65536", "--callback /callback"] {
            assert!(parsed(command_line).is_err(), "{command_line}");
        }
    }
}
