//! The sandbox alone, for clients in any language:
//! `cargo run --example sandbox -- --port 8080 [--tls]`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use dropbox_sign_oauth::{RedirectUri, State};
use dropbox_sign_oauth_testkit::sandbox::Sandbox;
use lexopt::{Arg, Parser, ValueExt as _};

const HELP: &str = "\
A stand-in for Dropbox Sign's OAuth service, on this machine alone. Runs until Ctrl-C.

Usage: cargo run --example sandbox -- [OPTIONS]

Options:
      --port PORT              The port on 127.0.0.1 [default: one that is free]
      --tls                    Serve https, with a certificate for 127.0.0.1 and localhost
      --root-certificate PATH  Where to write the certificate that clients must trust, with --tls
                               [default: a new file in the folder for temporary files]
      --automatic              Approve every authorization, without asking
      --callback URL           Where the browser goes if the client names no redirect_uri
  -h, --help                   Print this help
";

/// The state of the commands that are shown.
const STATE: &str = "900e06e2";

#[derive(PartialEq, Eq, Default, Debug)]
struct Options {
    port: u16,
    tls: bool,
    root_certificate: Option<PathBuf>,
    automatic: bool,
    callback: Option<String>,
}

/// Why the sandbox does not start: one line, with what to do.
#[derive(PartialEq, Eq, Debug)]
struct Failure(String);

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self(format!("{error}; see --help"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nowhere left to say that this failed.
            let _ = writeln!(io::stderr(), "sandbox: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let Some(options) = parse(env::args_os().skip(1))? else {
        return print(HELP);
    };
    let sandbox = start(&options)?;
    let root_certificate = match sandbox.root_certificate_pem() {
        Some(pem) => Some(write_root_certificate(options.root_certificate, pem)?),
        None => None,
    };
    let authorize_url = authorize_url(&sandbox, options.callback.is_some())?;
    let root_certificate = root_certificate.as_deref();
    print(&description(&sandbox, &authorize_url, root_certificate))?;
    loop {
        thread::park();
    }
}

/// Reads the command line; none if it asks for help.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, Failure> {
    let mut options = Options::default();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("port") => options.port = port(&parser.value()?)?,
            Arg::Long("tls") => options.tls = true,
            Arg::Long("root-certificate") => {
                options.root_certificate = Some(parser.value()?.into());
            }
            Arg::Long("automatic") => options.automatic = true,
            Arg::Long("callback") => {
                let callback = parser.value()?.string()?;
                RedirectUri::new(&callback).map_err(|e| Failure(format!("--callback: {e}")))?;
                options.callback = Some(callback);
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if options.root_certificate.is_some() && !options.tls {
        return Err(Failure(
            "there is no root certificate without TLS; add --tls, or leave out --root-certificate"
                .into(),
        ));
    }
    Ok(Some(options))
}

fn port(value: &OsStr) -> Result<u16, Failure> {
    value
        .to_str()
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| {
            let value = value.to_string_lossy();
            Failure(format!(
                "--port takes a number from 0 to 65535, and not {value}; see --help"
            ))
        })
}

fn start(options: &Options) -> Result<Sandbox, Failure> {
    let mut builder = Sandbox::builder().port(options.port);
    if options.tls {
        builder = builder.tls();
    }
    if options.automatic {
        builder = builder.automatic();
    }
    if let Some(callback) = &options.callback {
        builder = builder.callback(callback);
    }
    builder.start().map_err(|error| {
        let port = options.port;
        Failure(match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} is taken; choose another with --port, or leave it out for a free one"
            ),
            io::ErrorKind::PermissionDenied => {
                format!("port {port} is not for everybody; choose one above 1023 with --port")
            }
            _ => format!("cannot start: {error}"),
        })
    })
}

fn write_root_certificate(path: Option<PathBuf>, pem: &str) -> Result<PathBuf, Failure> {
    let mut file = OpenOptions::new();
    file.write(true);
    let path = if let Some(path) = path {
        file.create(true).truncate(true);
        path
    } else {
        // In a folder that others can write to, a file that is there already is not ours, and a
        // name that can be guessed could be taken by somebody else.
        file.create_new(true);
        let random = getrandom::u64();
        let random = random.map_err(|error| Failure(format!("no random bytes: {error}")))?;
        env::temp_dir().join(format!("dropbox-sign-sandbox-{random:016x}.pem"))
    };
    file.open(&path)
        .and_then(|mut file| file.write_all(pem.as_bytes()))
        .map_err(|error| {
            let path = path.display();
            Failure(format!(
                "cannot write {path}: {error}; choose another place with --root-certificate"
            ))
        })?;
    Ok(path)
}

/// An authorize page to begin with, which leads to the callback that was given, or to one where
/// nobody needs to listen: the code is in the address.
fn authorize_url(sandbox: &Sandbox, has_callback: bool) -> Result<String, Failure> {
    let app = sandbox.app();
    let state = State::from_stored(STATE).map_err(|error| Failure(error.to_string()))?;
    if has_callback {
        return Ok(app.authorize_url(&state));
    }
    let callback = RedirectUri::new("http://127.0.0.1:7878/callback")
        .map_err(|error| Failure(error.to_string()))?;
    Ok(app.authorize_url_with_redirect(&state, &callback))
}

fn description(sandbox: &Sandbox, authorize_url: &str, root_certificate: Option<&Path>) -> String {
    let base_url = sandbox.base_url();
    let client_id = sandbox.client_id();
    let client_secret = sandbox.client_secret();
    let (trust, option) = match root_certificate {
        Some(path) => (
            format!("root certificate  {}\n", path.display()),
            format!(" --cacert '{}'", path.display()),
        ),
        None => Default::default(),
    };
    format!(
        "The sandbox is ready; Ctrl-C stops it.

base URL          {base_url}
client id         {client_id}
client secret     {client_secret}
{trust}
1. Open this in a browser, and take the code from where it sends you:

   {authorize_url}

2. Exchange the code:

   curl{option} '{base_url}/oauth/token' --user '{client_id}:{client_secret}' \\
     --header 'Content-Type: application/json' \\
     --data '{{\"client_id\":\"{client_id}\",\"client_secret\":\"{client_secret}\",\"code\":\"CODE\",\"grant_type\":\"authorization_code\",\"state\":\"{STATE}\"}}'

3. Use the access token, and refresh it:

   curl{option} '{base_url}/v3/account' --header 'Authorization: Bearer ACCESS_TOKEN'
   curl{option} '{base_url}/oauth/token?refresh' --form grant_type=refresh_token \\
     --form refresh_token=REFRESH_TOKEN --form client_id={client_id} --form client_secret={client_secret}
"
    )
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure(format!("cannot write to standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn parsed(command_line: &str) -> Result<Option<Options>, String> {
        let arguments = command_line.split_whitespace().map(OsString::from);
        parse(arguments).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_command_line_is_read() {
        assert_eq!(parsed(""), Ok(Some(Options::default())));
        let all = "--port=8080 --tls --root-certificate root.pem --automatic \
                   --callback http://127.0.0.1:9/callback";
        let options = Options {
            port: 8080,
            tls: true,
            root_certificate: Some("root.pem".into()),
            automatic: true,
            callback: Some("http://127.0.0.1:9/callback".into()),
        };
        assert_eq!(parsed(all), Ok(Some(options)));
        assert_eq!(parsed("--help"), Ok(None));
        assert_eq!(parsed("--tls -h"), Ok(None));
    }

    #[test]
    fn a_wrong_command_line_is_told_in_a_line() {
        for (command_line, line) in [
            ("--prot 80", "invalid option '--prot'; see --help"),
            ("-x", "invalid option '-x'; see --help"),
            ("8080", "unexpected argument \"8080\"; see --help"),
            ("--port", "missing argument for option '--port'; see --help"),
            (
                "--port 65536",
                "--port takes a number from 0 to 65535, and not 65536; see --help",
            ),
            (
                "--port http",
                "--port takes a number from 0 to 65535, and not http; see --help",
            ),
            (
                "--tls=yes",
                "unexpected argument for option '--tls': \"yes\"; see --help",
            ),
            (
                "--root-certificate root.pem",
                "there is no root certificate without TLS; add --tls, or leave out \
                 --root-certificate",
            ),
            (
                "--callback /callback",
                "--callback: a redirect URI must be absolute, with a host and without a \
                 fragment, such as `https://example.com/callback`",
            ),
        ] {
            assert_eq!(parsed(command_line), Err(line.into()), "{command_line}");
        }
    }

    #[test]
    fn a_taken_port_is_told_in_a_line() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let options = Options {
            port,
            ..Options::default()
        };
        let line = format!(
            "port {port} is taken; choose another with --port, or leave it out for a free one"
        );
        assert_eq!(start(&options).err(), Some(Failure(line)));
    }

    #[test]
    fn a_root_certificate_that_cannot_be_written_is_told_in_a_line() {
        let path = PathBuf::from("nowhere/root.pem");
        let failure = write_root_certificate(Some(path), "pem").unwrap_err();
        let line = failure.to_string();
        assert!(
            line.starts_with("cannot write nowhere/root.pem: "),
            "{line}"
        );
        assert!(
            line.ends_with("; choose another place with --root-certificate"),
            "{line}"
        );
    }

    #[test]
    fn what_is_shown_can_be_used() {
        for (callback, rest) in [
            (
                None,
                "&redirect_uri=http%3A%2F%2F127.0.0.1%3A7878%2Fcallback",
            ),
            (Some("http://127.0.0.1:9/callback".into()), ""),
        ] {
            let options = Options {
                tls: true,
                callback,
                ..Options::default()
            };
            let sandbox = start(&options).unwrap();
            let url = authorize_url(&sandbox, options.callback.is_some()).unwrap();
            let text = description(&sandbox, &url, Some(Path::new("certs/root.pem")));
            let base_url = sandbox.base_url();
            let client_id = sandbox.client_id();
            for part in [
                &format!("base URL          {base_url}\n"),
                &format!("client id         {client_id}\n"),
                &format!("client secret     {}\n", sandbox.client_secret()),
                "root certificate  certs/root.pem\n",
                &format!(
                    "   {base_url}/oauth/authorize?response_type=code&client_id={client_id}\
                     &state=900e06e2{rest}\n"
                ),
                &format!("   curl --cacert 'certs/root.pem' '{base_url}/oauth/token' "),
            ] {
                assert!(text.contains(part), "{part}\n{text}");
            }
        }
    }
}
