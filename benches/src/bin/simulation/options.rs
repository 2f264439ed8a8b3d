//! The command line.

use std::{ffi::OsString, path::PathBuf};

const USAGE: &str = "usage: simulation [--sessions N] [--days N] [--seed N] [--plot PATH]";

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) sessions: u32,
    pub(crate) days: u32,
    pub(crate) seed: u64,
    /// Where to draw the calls over time.
    pub(crate) plot: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sessions: 1_000_000,
            days: 7,
            seed: 1,
            plot: None,
        }
    }
}

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            let number = || {
                let value = value.to_str().and_then(|value| value.parse().ok());
                value.filter(|number| *number > 0).ok_or(USAGE)
            };
            match name.to_str() {
                Some("--sessions") => options.sessions = number()?,
                Some("--days") => options.days = number()?,
                Some("--seed") => options.seed = number()?.into(),
                Some("--plot") => options.plot = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}
