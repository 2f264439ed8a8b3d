//! Why there is no login: one line, with what to do.

use std::{error::Error as _, fmt, process::ExitCode};

use dropbox_sign_oauth::{CallError, Cause, Error};

use crate::{
    report::OneLine,
    time::{in_words, now},
};

/// Why the program ends without a login.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    exit_code: u8,
}

impl Failure {
    /// Something did not work.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            exit_code: 1,
        }
    }

    /// The program was called wrongly.
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            exit_code: 2,
        }
    }

    /// A call gave no result, so that `what` holds.
    pub(crate) fn call(what: &str, error: &CallError) -> Self {
        Self::new(match error {
            CallError::NotSent(cause) => format!(
                "{what}: the request was not sent: {}; check the address and the network, and run \
                 this again",
                chain(cause)
            ),
            CallError::Unknown(cause) => format!(
                "{what}: whether the request arrived is not known: {}; run this again for a new \
                 code",
                chain(cause)
            ),
            CallError::Answered(error) => match wait(error) {
                Some(wait) => format!("{what}: {error}: {wait}"),
                None => format!("{what}: {error}"),
            },
        })
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error}; see --help"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OneLine(&self.line).fmt(f)
    }
}

/// A cause, and the innermost error below it: what lies between says the same in other words.
fn chain(cause: &Cause) -> String {
    let mut innermost = None;
    let mut next = cause.source();
    while let Some(error) = next {
        innermost = Some(error);
        next = error.source();
    }
    match innermost {
        Some(innermost) => format!("{cause}: {innermost}"),
        None => cause.to_string(),
    }
}

/// How long the server asks to wait, in words.
fn wait(error: &Error) -> Option<String> {
    match error {
        Error::Throttled(rejection) => rejection.wait(now()).map(in_words),
        _ => None,
    }
}
