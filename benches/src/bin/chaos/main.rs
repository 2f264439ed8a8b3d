//! A fleet under chaos: 8 processes share the sessions of 50 users in a real database, whose
//! connections are cut, and which is killed, started and paused, while the processes are killed too.
//!
//! The service issues tokens of 20 seconds, replaces the refresh token at each refresh, and revokes
//! all tokens of a user when a replaced one is used. A user whose tokens are revoked is lost, and the
//! table says why.

mod controller;
mod options;
mod service;
mod tally;
mod worker;

use std::{env, process::ExitCode};

use options::Options;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|argument| argument == "worker") {
        worker::run(arguments.skip(1));
        return ExitCode::SUCCESS;
    }
    match Options::read(arguments) {
        Ok(options) => controller::run(&options),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
