//! Whether a bench measures, or only shows that it works.

use std::{env, path::PathBuf};

/// How a bench was started.
#[derive(Clone, Debug)]
pub struct Mode {
    /// By `cargo bench`. Without it, every piece of work is done once, as a test.
    pub measure: bool,
    /// Where `--save PATH` asks for the results.
    pub save: Option<PathBuf>,
}

impl Mode {
    /// Reads the command line that `cargo bench` or `cargo test` made; `None` if it asks for no
    /// run, but for the list of tests.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let mut mode = Self {
            measure: false,
            save: None,
        };
        let mut arguments = env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--list") => return None,
                Some("--bench") => mode.measure = true,
                Some("--save") => mode.save = arguments.next().map(PathBuf::from),
                // Meant for the other benches and tests of the same command.
                _ => {}
            }
        }
        Some(mode)
    }
}
