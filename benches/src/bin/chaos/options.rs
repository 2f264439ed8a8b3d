//! The command line.

use std::time::Duration;

use dropbox_sign_oauth_testkit::store::server::Kind;

const USAGE: &str = "usage: chaos [--database postgres|redis] [--adapter hyper|ureq] \
                     [--seconds N] [--seed N] [--without-kills] [--without-outages] [--verbose]";

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) database: Kind,
    pub(crate) adapter: Adapter,
    pub(crate) duration: Duration,
    pub(crate) seed: u64,
    /// Whether processes are killed.
    pub(crate) kills: bool,
    /// Whether the database is killed, started and paused.
    pub(crate) outages: bool,
    /// Whether each fault is printed.
    pub(crate) verbose: bool,
}

/// Which adapter the processes use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Adapter {
    Hyper,
    Ureq,
}

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            database: Kind::Postgres,
            adapter: Adapter::Hyper,
            duration: Duration::from_secs(60),
            seed: 1,
            kills: true,
            outages: true,
            verbose: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match name.as_str() {
                "--database" => options.database = database(&value()?)?,
                "--adapter" => options.adapter = adapter(&value()?)?,
                "--seconds" => {
                    let seconds = value()?.parse().map_err(|_| USAGE)?;
                    options.duration = Duration::from_secs(seconds);
                }
                "--seed" => options.seed = value()?.parse().map_err(|_| USAGE)?,
                "--without-kills" => options.kills = false,
                "--without-outages" => options.outages = false,
                "--verbose" => options.verbose = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

pub(crate) fn database(name: &str) -> Result<Kind, String> {
    match name {
        "postgres" => Ok(Kind::Postgres),
        "redis" => Ok(Kind::Redis),
        _ => Err(USAGE.into()),
    }
}

pub(crate) fn adapter(name: &str) -> Result<Adapter, String> {
    match name {
        "hyper" => Ok(Adapter::Hyper),
        "ureq" => Ok(Adapter::Ureq),
        _ => Err(USAGE.into()),
    }
}
