//! The command line.

use std::{ffi::OsString, ops::RangeInclusive, path::PathBuf, time::Duration};

use dropbox_sign_oauth::{Endpoints, InvalidEndpoint};
use http::uri::Scheme;
use lexopt::{Arg, Parser, ValueExt as _};

use crate::failure::Failure;

pub(crate) const HELP: &str = "\
Logs in with Dropbox Sign, and tells each step. Without options it needs neither an account nor
the network: it starts a sandbox of the service on this machine, which approves at once.

Usage: cargo run --example login -- [OPTIONS]

Options:
      --transport NAME   What carries the requests: hyper or ureq [default: hyper]
      --browser          Wait for a person at the consent page
      --live             Use the real service; a person decides there
      --endpoint URL     Use a sandbox that is running already, below this URL; add --browser
                         unless it approves at once over plain http
      --root-certificate PATH
                         Trust this certificate too, PEM or DER: the one of an --endpoint with
                         https
      --port PORT        The port of the callback on 127.0.0.1 [default: one that is free; with
                         --live 8754]
      --timeout SECONDS  How long to wait for the callback [default: 300]
      --save PATH        Store the tokens there as JSON, in the place of what is there, readable
                         by you alone
      --simulate WHAT    Let something go wrong in the sandbox:
                           denied           the user denies the request
                           timeout          the user never decides (waits a second, or --timeout)
                           forged-callback  a callback with another state comes first
                           wrong-secret     this program has another client secret
                           used-code        somebody else exchanges the code first
                           expired-code     the code is exchanged an hour late
  -h, --help             Print this help

Environment, for --live and --endpoint:
  DROPBOX_SIGN_CLIENT_ID      The client id; for --endpoint, the sandbox's own if not set
  DROPBOX_SIGN_CLIENT_SECRET  The client secret, likewise

For --live, make http://127.0.0.1:8754/callback the OAuth callback URL in the app's settings
(sign.dropbox.com, Settings, API).

The exit status is 0 after a login, 2 if this program was called wrongly, and 1 otherwise.
";

/// The port of the callback with `--live`: the app's settings must name it, so it is always the
/// same.
const LIVE_PORT: u16 = 8754;

/// How long a person has to decide.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How long a person can be given, in seconds: up to a day.
const TIMEOUTS: RangeInclusive<u64> = 1..=86_400;

/// How long is waited for somebody who never comes.
const SIMULATED_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) transport: Adapter,
    pub(crate) root_certificate: Option<PathBuf>,
    pub(crate) target: Target,
    pub(crate) visitor: Visitor,
    pub(crate) simulation: Option<Simulation>,
    pub(crate) port: u16,
    pub(crate) timeout: Duration,
    pub(crate) save: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Adapter {
    Hyper,
    Ureq,
}

/// Which service is used.
#[derive(Debug)]
pub(crate) enum Target {
    /// A sandbox that this program starts.
    Sandbox,
    /// A sandbox that is running already.
    Endpoint(Box<Endpoints>),
    /// The real one.
    Live,
}

/// Who goes to the authorize page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visitor {
    StandIn,
    Person,
    Nobody,
}

/// What goes wrong in the sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Simulation {
    Denied,
    Timeout,
    ForgedCallback,
    WrongSecret,
    UsedCode,
    ExpiredCode,
}

impl Adapter {
    pub(crate) const ALL: [(&'static str, Self); 2] =
        [("hyper", Self::Hyper), ("ureq", Self::Ureq)];
}

impl Simulation {
    const ALL: [(&'static str, Self); 6] = [
        ("denied", Self::Denied),
        ("timeout", Self::Timeout),
        ("forged-callback", Self::ForgedCallback),
        ("wrong-secret", Self::WrongSecret),
        ("used-code", Self::UsedCode),
        ("expired-code", Self::ExpiredCode),
    ];
}

/// Reads the command line; none if it asks for help.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Option<Options>, Failure> {
    let mut transport = Adapter::Hyper;
    let mut browser = false;
    let mut live = false;
    let mut endpoint = None;
    let mut root_certificate = None;
    let mut port = None;
    let mut timeout = None;
    let mut save = None;
    let mut simulation = None;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("transport") => transport = named(&mut parser, "--transport", &Adapter::ALL)?,
            Arg::Long("browser") => browser = true,
            Arg::Long("live") => live = true,
            Arg::Long("endpoint") => endpoint = Some(endpoints(&parser.value()?.string()?)?),
            Arg::Long("root-certificate") => root_certificate = Some(parser.value()?.into()),
            Arg::Long("port") => {
                let read = |value: &str| value.parse().ok();
                port = Some(value(&mut parser, "--port", "a number up to 65535", read)?);
            }
            Arg::Long("timeout") => {
                let read = |value: &str| value.parse().ok().filter(|n| TIMEOUTS.contains(n));
                let seconds = value(&mut parser, "--timeout", "1 to 86400 seconds", read)?;
                timeout = Some(Duration::from_secs(seconds));
            }
            Arg::Long("save") => save = Some(parser.value()?.into()),
            Arg::Long("simulate") => {
                simulation = Some(named(&mut parser, "--simulate", &Simulation::ALL)?);
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let (elsewhere, simulated) = (endpoint.is_some(), simulation.is_some());
    let exclusive = [
        ("--live", live, "--endpoint", elsewhere),
        ("--live", live, "--simulate", simulated),
        ("--endpoint", elsewhere, "--simulate", simulated),
        ("--browser", browser, "--simulate", simulated),
    ];
    let clash = exclusive.iter().find(|(_, one, _, other)| *one && *other);
    if let Some((one, _, other, _)) = clash {
        return Err(Failure::usage(format!(
            "{one} and {other} exclude each other; see --help"
        )));
    }
    let is_https = endpoint.as_ref().is_some_and(|endpoints: &Endpoints| {
        endpoints.authorize().scheme() == Some(&Scheme::HTTPS)
    });
    if is_https && !browser {
        return Err(Failure::usage(
            "the stand-in for a browser speaks no https; add --browser, and --root-certificate \
             with the certificate of the sandbox",
        ));
    }
    if root_certificate.is_some() && !is_https {
        return Err(Failure::usage(
            "--root-certificate is for an --endpoint with https; see --help",
        ));
    }
    let target = match endpoint {
        Some(endpoints) => Target::Endpoint(endpoints.into()),
        None if live => Target::Live,
        None => Target::Sandbox,
    };
    let (visitor, default_timeout) = match simulation {
        Some(Simulation::Timeout) => (Visitor::Nobody, SIMULATED_TIMEOUT),
        _ if browser || live => (Visitor::Person, TIMEOUT),
        _ => (Visitor::StandIn, TIMEOUT),
    };
    Ok(Some(Options {
        transport,
        root_certificate,
        target,
        visitor,
        simulation,
        port: port.unwrap_or(if live { LIVE_PORT } else { 0 }),
        timeout: timeout.unwrap_or(default_timeout),
        save,
    }))
}

/// Reads the value of an option that takes `wanted`.
fn value<T>(
    parser: &mut Parser,
    option: &str,
    wanted: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Failure> {
    let value = parser.value()?;
    value.to_str().and_then(read).ok_or_else(|| {
        // Quoted, since what is wrong may be a space.
        let value = value.to_string_lossy();
        Failure::usage(format!(
            "{option} takes {wanted}, not {value:?}; see --help"
        ))
    })
}

/// Reads the value of an option that takes one of some names.
fn named<T: Copy>(
    parser: &mut Parser,
    option: &str,
    names: &[(&'static str, T)],
) -> Result<T, Failure> {
    let wanted: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    value(parser, option, &wanted.join(" or "), |value| {
        let found = names.iter().find(|(name, _)| *name == value);
        found.map(|(_, meaning)| *meaning)
    })
}

fn endpoints(url: &str) -> Result<Endpoints, Failure> {
    Endpoints::at(url).map_err(|error| {
        Failure::usage(match error {
            InvalidEndpoint::Insecure(_) => {
                "--endpoint takes https, or http to this machine; see --help".into()
            }
            error => format!("--endpoint: {error}; see --help"),
        })
    })
}
