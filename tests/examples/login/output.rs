//! Prints the steps of the login, and errors.

use std::{
    fmt::{Display, Write as _},
    io::Write as _,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use dropbox_sign_oauth::{
    CallError, CallbackError, Remedy,
    session::{SendError, SessionError},
};

use crate::Failure;

const LABEL: Style = AnsiColor::Green.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default();

/// Prints one line about a step. `text` must not contain secrets.
pub(crate) fn step(label: &str, text: impl Display) -> Result<(), Failure> {
    let text = one_line(text);
    print(format_args!("{LABEL}{label:>9}{LABEL:#} {text}\n"))
}

/// Prints text. Colors are removed if the terminal has none or `NO_COLOR` is set.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints an error with its sources and remedy, and returns the exit code.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    let mut message = failure.to_string();
    let is_usage = failure.is::<lexopt::Error>();
    let mut source = failure.source().filter(|_| !is_usage);
    while let Some(error) = source {
        let _ = write!(message, ": {error}");
        source = error.source();
    }
    match remedy(failure) {
        _ if is_usage => message += "; see --help",
        Some(Remedy::StartOver) => message += "; run this program again and approve",
        Some(Remedy::Retry { after }) => _ = write!(message, "; try again in {after:?}"),
        Some(Remedy::FixConfiguration) => message += "; check the credentials and settings",
        _ => {}
    }
    let message = one_line(message);
    // A failure to write to standard error cannot be reported.
    let _ = writeln!(anstream::stderr(), "{ERROR}error: {message}{ERROR:#}");
    ExitCode::from(if is_usage { 2 } else { 1 })
}

fn remedy(failure: &Failure) -> Option<Remedy> {
    None.or_else(|| Some(failure.downcast_ref::<CallbackError>()?.remedy()))
        .or_else(|| Some(failure.downcast_ref::<CallError>()?.remedy()))
        .or_else(|| Some(failure.downcast_ref::<SessionError>()?.remedy()))
        .or_else(|| match failure.downcast_ref::<SendError<CallError>>()? {
            SendError::Session(error) => Some(error.remedy()),
            SendError::Send(error) => Some(error.remedy()),
        })
}

/// Replaces control characters, because a server could use them to change the terminal.
fn one_line(text: impl Display) -> String {
    text.to_string().replace(char::is_control, " ")
}
