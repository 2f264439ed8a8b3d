//! Logs in with Dropbox Sign, and tells each step: `cargo run --example login`.
//!
//! Without arguments it needs neither an account nor the network, since it starts a sandbox of the
//! service; `--help` tells the rest. What an application does is in `flow`; around it are the
//! command line, the listener for the callback, the store for the tokens, and what a person sees.

mod arguments;
mod browser;
mod failure;
mod flow;
mod listener;
mod report;
mod service;
mod store;
mod time;
mod transport;
mod wait;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use self::{failure::Failure, report::Report};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nowhere left to say that this failed.
            let _ = writeln!(io::stderr(), "error: {failure}");
            failure.exit_code()
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut report = Report::new();
    let Some(options) = arguments::parse(env::args_os().skip(1))? else {
        return report.help(arguments::HELP);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(flow::run(&options, &mut report))
}
