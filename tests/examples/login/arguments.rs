//! Parses the command line and the environment.

use std::{env, path::PathBuf};

use dropbox_sign_oauth::{App, Endpoints};
use dropbox_sign_oauth_testkit::sandbox;
use lexopt::{Arg, Error, Parser, ValueExt as _};

pub(crate) const HELP: &str = "\
Logs in with Dropbox Sign and prints each step. Without options it needs no account and no network:
it starts a sandbox of the service on this machine and approves on behalf of the user.

Usage: cargo run --example login -- [OPTIONS]

Options:
      --transport NAME  The adapter that sends the requests: hyper or ureq [default: hyper]
      --browser         Open the authorize page in a browser, where you approve or deny
      --live            Use the real service
      --sandbox URL     Use a running sandbox (cargo run --example sandbox -- --port 8080)
      --save DIR        Keep the session in this folder; the next run needs no login
  -h, --help            Print this help

--live reads the credentials of an app from the environment variables DROPBOX_SIGN_CLIENT_ID and
DROPBOX_SIGN_CLIENT_SECRET. The OAuth callback in the settings of the app (sign.dropbox.com,
Settings, API) must be http://127.0.0.1:8754/callback.

NO_COLOR turns colors off. Exit codes: 0 success, 1 failure, 2 invalid command line.
";

/// The port of the callback with `--live`.
const LIVE_PORT: u16 = 8754;

#[derive(Default)]
pub(crate) struct Options {
    /// Sends requests with the ureq adapter instead of hyper.
    pub(crate) uses_ureq: bool,
    pub(crate) browser: bool,
    /// The app, or `None` if this program starts a sandbox.
    pub(crate) app: Option<App>,
    /// The port of the callback, or 0 for a free one.
    pub(crate) port: u16,
    pub(crate) save: Option<PathBuf>,
}

/// Parses the command line. Returns `None` if it asks for help.
pub(crate) fn parse() -> Result<Option<Options>, Error> {
    let mut options = Options::default();
    let mut live = false;
    let mut sandbox = None;
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("transport") => {
                options.uses_ureq = match &*parser.value()?.string()? {
                    "hyper" => false,
                    "ureq" => true,
                    _ => return Err("--transport takes hyper or ureq".into()),
                };
            }
            Arg::Long("browser") => options.browser = true,
            Arg::Long("live") => live = true,
            Arg::Long("sandbox") => sandbox = Some(parser.value()?.string()?),
            Arg::Long("save") => options.save = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    match (live, sandbox) {
        (true, Some(_)) => return Err("--live and --sandbox cannot be used together".into()),
        (true, None) => {
            options.app = Some(live_app()?);
            options.port = LIVE_PORT;
        }
        (false, sandbox) => options.app = sandbox.as_deref().map(sandbox_app).transpose()?,
    }
    Ok(Some(options))
}

fn sandbox_app(url: &str) -> Result<App, Error> {
    let endpoints = Endpoints::at(url).map_err(|error| format!("--sandbox: {error}"))?;
    let app = App::builder(sandbox::CLIENT_ID, sandbox::CLIENT_SECRET).endpoints(endpoints);
    app.build().map_err(|error| Error::Custom(error.into()))
}

fn live_app() -> Result<App, Error> {
    // The error for a variable that is not UTF-8 is not shown: it contains the value.
    let variable = |name| env::var(name).map_err(|_| format!("--live: {name} is not set"));
    let id = variable("DROPBOX_SIGN_CLIENT_ID")?;
    let secret = variable("DROPBOX_SIGN_CLIENT_SECRET")?;
    App::new(&id, &secret).map_err(|error| format!("--live: {error}").into())
}
