//! The wait for the callback, and what a callback without a code means.

use std::time::Duration;

use dropbox_sign_oauth::{AuthorizationCode, CallbackError, ErrorCode};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::timeout;

use crate::{
    arguments::{Options, Visitor},
    failure::Failure,
    listener::{Callback, Callbacks},
    report::Report,
    time::in_words,
};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Waits for the callback that has this login's state.
///
/// One that has not is told, and the wait goes on: any page in the user's browser can send one, and
/// none can guess the state, so that going on is safe, and ending would let any page end a login.
pub(crate) async fn for_decision(
    callbacks: &mut Callbacks,
    options: &Options,
    report: &Report,
) -> Result<Result<AuthorizationCode, CallbackError>, Failure> {
    let limit = in_words(options.timeout);
    let spinner = match options.visitor {
        Visitor::Person => spinner(&limit),
        Visitor::StandIn | Visitor::Nobody => ProgressBar::hidden(),
    };
    let decision = async {
        loop {
            match callbacks.next().await? {
                Callback::Decisive(decision) => return Ok(decision),
                Callback::Refused(error) => spinner.suspend(|| {
                    let fault = fault(&error);
                    report.say(format_args!(
                        "A callback {fault} was refused, and the wait goes on."
                    ))
                })?,
            }
        }
    };
    let decision = timeout(options.timeout, decision).await;
    decision.unwrap_or_else(|_| {
        Err(Failure::new(format!(
            "nobody decided at the authorize page within {limit}; run this again, or allow more \
             time with --timeout"
        )))
    })
}

/// A spinner on standard error, which is hidden if that is no terminal.
fn spinner(limit: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("   {spinner} {elapsed} {msg}") {
        spinner.set_style(style);
    }
    spinner.set_message(format!("of {limit}"));
    spinner.enable_steady_tick(TICK);
    spinner
}

/// What is wrong with a callback that anybody may have sent.
fn fault(error: &CallbackError) -> String {
    match error {
        CallbackError::StateMismatch => "with another state, which may be forged,".into(),
        CallbackError::Duplicate(name) => format!("that carried `{name}` twice"),
        _ => "without a code".into(),
    }
}

/// What a callback of this login means that brings no code.
pub(crate) fn refusal(error: &CallbackError) -> Failure {
    let advice = match error {
        CallbackError::Denied(denial) if denial.code == ErrorCode::AccessDenied => {
            "run this again, and approve"
        }
        CallbackError::Denied(_) => "check the app's settings, and run this again",
        _ => "run this again",
    };
    Failure::new(format!("{error}; {advice}"))
}
