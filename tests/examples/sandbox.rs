//! Runs the sandbox as a program, for clients in any language:
//! `cargo run --example sandbox -- --port 8080 [--tls]`.

use std::{
    env,
    ffi::OsString,
    fmt,
    fs::OpenOptions,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use dropbox_sign_oauth::{RedirectUri, State};
use dropbox_sign_oauth_testkit::sandbox::{Builder, RecordedRequest, Sandbox};
use http::Uri;
use lexopt::{Arg, Parser, ValueExt as _};
use serde_json::json;

const HELP: &str = "\
Simulates Dropbox Sign's OAuth service on this machine. Runs until Ctrl-C.

Usage: cargo run --example sandbox -- [OPTIONS]

Server:
      --port PORT              Port on 127.0.0.1 [default: a free port]
      --tls                    Serve https, with a certificate for 127.0.0.1 and localhost
      --root-certificate PATH  File for the certificate that clients must trust, with --tls
                               [default: a new file in the folder for temporary files]
      --json                   Print the settings as one line of JSON instead of text
      --log FORMAT             Log of requests on standard error: text, json or none [default: text]

App:
      --callback URL           Callback of authorization requests without a redirect_uri
      --automatic              Approve every authorization request without asking
      --second-account         Offer a second account on the authorize page
      --expires-in SECONDS     Lifetime of access tokens [default: 86400]
      --rotate-refresh-tokens  Issue a new refresh token with each refresh
      --refresh-without-credentials
                               Accept refreshes without client credentials, as for old apps
      --api-key KEY            Accept KEY as the user name of `Authorization: Basic`
      --lenient-basic          Accept `Authorization: Basic :` in token requests
      --nested-errors          Use the shape {\"error\":{\"error_msg\":…}} for all errors
      --rate-limit REQUESTS    API requests per hour [default: 1000000]
      --fault FAULT            429, 503, slow (responses take 5 s) or reset. While it runs:
                               curl -X PUT BASE_URL/sandbox/fault -d FAULT, or -d none

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

Exit codes: 0 success, 1 failure, 2 invalid command line. NO_COLOR turns colors off.
";

const ERROR: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();

/// The state in the printed commands. Clients must use a random state for each login.
const STATE: &str = "900e06e2";

/// The callback in the printed URL without `--callback`. No server is needed there: the user copies
/// the code from the address bar.
const DEFAULT_CALLBACK: &str = "http://127.0.0.1:7878/callback";

#[derive(Debug)]
struct Options {
    builder: Builder,
    port: u16,
    tls: bool,
    root_certificate: Option<PathBuf>,
    json: bool,
    callback: Option<String>,
}

/// The error if the sandbox cannot start.
#[derive(PartialEq, Eq, Debug)]
struct Failure {
    message: String,
    exit_code: u8,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: 1 }
    }

    fn usage(message: impl fmt::Display) -> Self {
        Self { message: format!("{message}; see --help"), exit_code: 2 }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        match error {
            lexopt::Error::ParsingFailed { value, error } => {
                Self::usage(format_args!("invalid value `{value}`: {error}"))
            }
            error => Self::usage(error),
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.message;
            // A failure to write to standard error cannot be reported.
            let _ = writeln!(anstream::stderr(), "{ERROR}error: {message}{ERROR:#}");
            ExitCode::from(failure.exit_code)
        }
    }
}

fn run() -> Result<(), Failure> {
    let Some(options) = parse(env::args_os().skip(1))? else {
        return print(HELP);
    };
    let sandbox = start(&options)?;
    let root_certificate = match sandbox.root_certificate_pem() {
        Some(pem) => Some(write_root_certificate(options.root_certificate.as_deref(), pem)?),
        None => None,
    };
    let settings = Settings {
        authorize_url: authorize_url(&sandbox, options.callback.is_some())?,
        root_certificate,
        sandbox: &sandbox,
    };
    if options.json {
        print(&settings.json())?;
    } else {
        print(&settings.text())?;
    }
    if let Some(callback) = &options.callback
        && nothing_listens(callback)
    {
        eprintln!("note: nothing listens on {callback} yet");
    }
    loop {
        thread::park();
    }
}

/// Parses the command line. Returns `None` if it asks for help.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, Failure> {
    let mut options = Options {
        builder: Sandbox::builder(),
        port: 0,
        tls: false,
        root_certificate: None,
        json: false,
        callback: None,
    };
    let mut builder = Sandbox::builder();
    let mut log: Log = |request| eprintln!("{request}");
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        let Arg::Long(name) = argument else {
            match argument {
                Arg::Short('h') => return Ok(None),
                _ => return Err(argument.unexpected().into()),
            }
        };
        builder = match name {
            "port" => {
                options.port = parser.value()?.parse()?;
                builder.port(options.port)
            }
            "tls" => {
                options.tls = true;
                builder.tls()
            }
            "root-certificate" => {
                options.root_certificate = Some(parser.value()?.into());
                builder
            }
            "json" => {
                options.json = true;
                builder
            }
            "log" => {
                log = parser.value()?.parse_with(log_format)?;
                builder
            }
            "callback" => {
                let callback = parser.value()?.parse_with(str::parse::<RedirectUri>)?;
                options.callback = Some(callback.as_str().into());
                builder.callback(callback.as_str())
            }
            "automatic" => builder.automatic(),
            "second-account" => builder.second_account(),
            "expires-in" => builder.token_lifetime(Duration::from_secs(parser.value()?.parse()?)),
            "rotate-refresh-tokens" => builder.rotate_refresh_tokens(),
            "refresh-without-credentials" => builder.refresh_without_credentials(),
            "api-key" => builder.api_key(&parser.value()?.string()?),
            "lenient-basic" => builder.lenient_basic(),
            "nested-errors" => builder.nested_errors(),
            "rate-limit" => builder.rate_limit(parser.value()?.parse()?),
            "fault" => builder.fault(parser.value()?.parse()?),
            "help" => return Ok(None),
            _ => return Err(argument.unexpected().into()),
        };
    }
    if options.root_certificate.is_some() && !options.tls {
        return Err(Failure::usage("--root-certificate needs --tls"));
    }
    options.builder = builder.on_request(log);
    Ok(Some(options))
}

/// Logs a request to standard error.
type Log = fn(&RecordedRequest);

fn log_format(text: &str) -> Result<Log, &'static str> {
    match text {
        "text" => Ok(|request| eprintln!("{request}")),
        "json" => Ok(|request| eprintln!("{}", request.to_json())),
        "none" => Ok(|_| {}),
        _ => Err("a log format is one of text, json and none"),
    }
}

fn start(options: &Options) -> Result<Sandbox, Failure> {
    let port = options.port;
    let started = options.builder.clone().start();
    started.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::new(format!("port {port} is in use")),
        io::ErrorKind::PermissionDenied => {
            Failure::new(format!("no permission to listen on port {port}"))
        }
        _ => Failure::new(format!("cannot start: {error}")),
    })
}

fn write_root_certificate(path: Option<&Path>, pem: &str) -> Result<PathBuf, Failure> {
    let mut file = OpenOptions::new();
    file.write(true);
    let path = if let Some(path) = path {
        file.create(true).truncate(true);
        path.to_owned()
    } else {
        // Other users can write to the folder, so the name cannot be guessed, and an existing file
        // is not overwritten.
        file.create_new(true);
        let random = getrandom::u64();
        let random = random.map_err(|error| Failure::new(format!("no random bytes: {error}")))?;
        env::temp_dir().join(format!("dropbox-sign-sandbox-{random:016x}.pem"))
    };
    let written = file.open(&path).and_then(|mut file| file.write_all(pem.as_bytes()));
    match written {
        Ok(()) => Ok(path),
        Err(error) => Err(Failure::new(format!("cannot write {}: {error}", path.display()))),
    }
}

/// Returns an authorize URL with the callback of the command line, or else the default one.
fn authorize_url(sandbox: &Sandbox, has_callback: bool) -> Result<String, Failure> {
    let app = sandbox.app();
    let state = State::from_stored(STATE).map_err(|error| Failure::new(error.to_string()))?;
    if has_callback {
        return Ok(app.authorize_url(&state));
    }
    let callback = RedirectUri::new(DEFAULT_CALLBACK);
    let callback = callback.map_err(|error| Failure::new(error.to_string()))?;
    Ok(app.authorize_url_with_redirect(&state, &callback))
}

/// Returns whether the callback is plain `http` and no server listens there.
fn nothing_listens(callback: &str) -> bool {
    const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);

    let Ok(uri) = callback.parse::<Uri>() else {
        return false;
    };
    let (Some(host), Some("http")) = (uri.host(), uri.scheme_str()) else {
        return false;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (host, uri.port_u16().unwrap_or(80)).to_socket_addrs();
    let mut addresses = addresses.into_iter().flatten();
    let listens =
        |address: SocketAddr| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok();
    !addresses.any(listens)
}

/// The settings that are printed at startup.
struct Settings<'s> {
    sandbox: &'s Sandbox,
    authorize_url: String,
    root_certificate: Option<PathBuf>,
}

impl Settings<'_> {
    fn json(&self) -> String {
        let settings = json!({
            "base_url": self.sandbox.base_url(),
            "client_id": self.sandbox.client_id(),
            "client_secret": self.sandbox.client_secret(),
            "authorize_url": self.authorize_url,
            "state": STATE,
            "root_certificate": self.root_certificate,
        });
        format!("{settings}\n")
    }

    fn text(&self) -> String {
        let base_url = self.sandbox.base_url();
        let client_id = self.sandbox.client_id();
        let client_secret = self.sandbox.client_secret();
        let authorize_url = &self.authorize_url;
        let (trust, option) = match &self.root_certificate {
            Some(path) => (
                format!("root certificate  {}\n", path.display()),
                format!(" --cacert '{}'", path.display()),
            ),
            None => Default::default(),
        };
        format!(
            "{BOLD}The sandbox is ready. Ctrl-C stops it.{BOLD:#}

base URL          {base_url}
client id         {client_id}
client secret     {client_secret}
{trust}
{BOLD}1. Open this in a browser, and copy the code from the address to which it redirects:{BOLD:#}

   {authorize_url}

{BOLD}2. Exchange the code:{BOLD:#}

   curl{option} '{base_url}/oauth/token' --user '{client_id}:{client_secret}' \\
     --header 'Content-Type: application/json' \\
     --data '{{\"client_id\":\"{client_id}\",\"client_secret\":\"{client_secret}\",\"code\":\"CODE\",\"grant_type\":\"authorization_code\",\"state\":\"{STATE}\"}}'

{BOLD}3. Use the access token, and refresh it:{BOLD:#}

   curl{option} '{base_url}/v3/account' --header 'Authorization: Bearer ACCESS_TOKEN'
   curl{option} '{base_url}/oauth/token?refresh' --form grant_type=refresh_token \\
     --form refresh_token=REFRESH_TOKEN --form client_id={client_id} --form client_secret={client_secret}

{BOLD}4. Make requests fail (429, 503, slow, reset), and succeed again (none):{BOLD:#}

   curl{option} -X PUT '{base_url}/sandbox/fault' --data 503
"
        )
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn parsed(command_line: &str) -> Result<Option<Options>, Failure> {
        parse(command_line.split_whitespace().map(OsString::from))
    }

    fn options(command_line: &str) -> Options {
        parsed(command_line).unwrap().unwrap()
    }

    #[test]
    fn accepts_all_options_of_the_help() {
        let all = "--port 0 --tls --root-certificate root.pem --json --log json \
                   --callback http://127.0.0.1:9/callback --automatic --second-account \
                   --expires-in 60 --rotate-refresh-tokens --refresh-without-credentials \
                   --api-key key --lenient-basic --nested-errors --rate-limit 5 --fault 429";
        let options = options(all);
        assert!(options.json);
        assert_eq!(options.root_certificate, Some("root.pem".into()));
        assert!(start(&options).is_ok());
        for option in all.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(HELP.contains(&format!("      {option}")), "{option}");
        }
        let lines = HELP.lines().map(str::trim_start);
        assert_eq!(lines.filter(|line| line.starts_with("--")).count(), 16);
        assert!(parsed("--help").unwrap().is_none());
        assert!(parsed("--tls -h").unwrap().is_none());
    }

    #[test]
    fn rejects_invalid_command_lines() {
        for (command_line, message) in [
            ("--prot 80", "invalid option '--prot'"),
            ("-x", "invalid option '-x'"),
            ("8080", "unexpected argument \"8080\""),
            ("--port", "missing argument for option '--port'"),
            ("--port 65536", "invalid value `65536`: number too large to fit in target type"),
            ("--tls=yes", "unexpected argument for option '--tls': \"yes\""),
            ("--root-certificate root.pem", "--root-certificate needs --tls"),
            (
                "--callback /callback",
                "invalid value `/callback`: a redirect URI must be absolute, without a fragment, \
                 and either https, http to a loopback host, or of a private-use scheme",
            ),
            ("--fault 500", "invalid value `500`: a fault is one of 429, 503, slow and reset"),
            ("--log xml", "invalid value `xml`: a log format is one of text, json and none"),
        ] {
            assert_eq!(parsed(command_line).err(), Some(Failure::usage(message)));
        }
    }

    #[test]
    fn reports_a_port_in_use() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let options = options(&format!("--port {port}"));
        let failure = Failure::new(format!("port {port} is in use"));
        assert_eq!(start(&options).err(), Some(failure));
    }

    #[test]
    fn reports_an_unwritable_certificate_file() {
        let path = Some(Path::new("nowhere/root.pem"));
        let message = write_root_certificate(path, "pem").unwrap_err().message;
        assert!(message.starts_with("cannot write nowhere/root.pem: "), "{message}");
    }

    #[test]
    fn detects_whether_a_server_listens_on_the_callback() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let callback = format!("http://{}/callback", listener.local_addr().unwrap());
        assert!(!nothing_listens(&callback));
        drop(listener);
        assert!(nothing_listens(&callback));
        assert!(!nothing_listens("https://example.com/callback"));
        assert!(!nothing_listens("com.example.app:/callback"));
    }

    #[test]
    fn prints_settings_as_text_and_json() {
        for (command_line, rest) in [
            ("--tls", "&redirect_uri=http%3A%2F%2F127.0.0.1%3A7878%2Fcallback"),
            ("--tls --callback http://127.0.0.1:9/callback", ""),
        ] {
            let options = options(command_line);
            let sandbox = start(&options).unwrap();
            let shown = Settings {
                authorize_url: authorize_url(&sandbox, options.callback.is_some()).unwrap(),
                root_certificate: Some("certs/root.pem".into()),
                sandbox: &sandbox,
            };
            let base_url = sandbox.base_url();
            let client_id = sandbox.client_id();
            let authorize_url = format!(
                "{base_url}/oauth/authorize?response_type=code&client_id={client_id}\
                 &state=900e06e2{rest}"
            );
            let text = shown.text();
            for part in [
                &format!("base URL          {base_url}\n"),
                &format!("client id         {client_id}\n"),
                &format!("client secret     {}\n", sandbox.client_secret()),
                "root certificate  certs/root.pem\n",
                &format!("   {authorize_url}\n"),
                &format!("   curl --cacert 'certs/root.pem' '{base_url}/oauth/token' "),
            ] {
                assert!(text.contains(part), "{part}\n{text}");
            }
            let json: serde_json::Value = serde_json::from_str(&shown.json()).unwrap();
            assert_eq!(json["authorize_url"], authorize_url);
            assert_eq!(json["root_certificate"], "certs/root.pem");
        }
    }
}
