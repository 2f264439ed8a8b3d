//! The result of a run, as data and as a table.

use std::{fmt, time::Duration};

use dropbox_sign_oauth::Replay;

use super::attempt::Call;
use crate::{
    fault::{Case, Group, Outcome},
    peer::Tally,
};

/// The result of a run. `Display` shows a table of all rows and a summary.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a report has no effect unless it is read"]
pub struct Report {
    /// The name of the transport.
    pub transport: String,
    /// The cases, in the order of an exchange.
    pub rows: Vec<Row>,
    /// The allowances that were not needed by a case that was run.
    pub unused_allowances: Vec<(String, Outcome)>,
    /// How many log records were searched for secrets, or `None` if the process has another logger.
    pub log_records: Option<usize>,
    /// The duration of the run.
    pub elapsed: Duration,
}

/// One case of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The part of the exchange that goes wrong.
    pub group: Group,
    /// The name of the case.
    pub case: &'static str,
    /// The right outcomes.
    pub expected: &'static [Outcome],
    /// How the call ended.
    pub ending: Ending,
    /// The POSTs that the server received.
    pub posts: usize,
    /// The bytes that the server wrote.
    pub bytes: u64,
    /// The duration of the call.
    pub elapsed: Duration,
    /// The number of variations that were played. The other numbers are the largest of any.
    pub variations: usize,
    /// The allowed outcomes in which the case ended instead of a right one.
    pub divergences: Vec<Outcome>,
    /// Whether the result is right.
    pub verdict: Verdict,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// In this class.
    Outcome(Outcome),
    /// With an error of a class that this run does not know.
    Unclassified,
    /// In a panic with this message.
    Panicked(String),
    /// Not within the time that the run waits.
    Hung,
    /// The call was not made.
    NotRun,
}

/// Whether a case's result is right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The result is right.
    Passed,
    /// The outcome is not right but allowed, and nothing else is wrong.
    Allowed,
    /// The case cannot be run, for this reason.
    NotApplicable(&'static str),
    /// The result is wrong in these ways.
    Failed(Vec<Violation>),
}

/// What is wrong with a case's result.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Violation {
    /// The case has no variation, so nothing was checked.
    NotPlayed,
    /// The outcome is not one of the right ones.
    Outcome,
    /// An earlier call should have ended in tokens but ended in this way.
    EarlierCall(Ending),
    /// The tokens are not those of the server's response to this call.
    WrongTokens,
    /// The transport says that the request was not sent, but the server received it.
    NotSentButReceived,
    /// The server received this many requests, more than the calls allow.
    Requests(usize),
    /// The client connected to a server that must not be called: it followed a redirect, or bypassed
    /// a proxy.
    WrongServer,
    /// The call took longer than this.
    Late(Duration),
    /// The client read at least this many bytes, more than the limit and a buffer.
    BytesRead(u64),
    /// This secret appeared there.
    Leak(&'static str, Place),
    /// The error of an unknown outcome says wrongly whether the request may be sent again.
    Replay(Replay),
    /// The message lacks this text of the server.
    Unsaid(&'static str),
    /// The error requests this wait, which is not the server's.
    Wait(Option<Duration>),
}

/// Where a secret can appear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The error's message.
    Display,
    /// The result as `{:?}` shows it.
    Debug,
    /// The message or `{:?}` of a source of the error.
    Source,
    /// The log, at DEBUG or above.
    Log,
    /// The panic message.
    Panic,
}

impl Report {
    /// Returns the rows of failed cases.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed(_)))
    }

    /// Returns the row of a case.
    #[must_use]
    pub fn row(&self, case: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case)
    }

    /// Checks that no case failed.
    ///
    /// # Panics
    /// If one did, with a table of the failed cases.
    #[track_caller]
    pub fn assert_conforms(&self) {
        let failures: Vec<&Row> = self.failures().collect();
        assert!(failures.is_empty(), "{}\n\n{}", Summary(self), Table(&failures));
    }

    fn count(&self, verdict: impl Fn(&Verdict) -> bool) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| verdict(&row.verdict)).count()
    }
}

impl Row {
    pub(super) fn new(case: &Case, verdict: Verdict) -> Self {
        Self {
            group: case.group,
            case: case.name,
            expected: case.expected,
            ending: Ending::NotRun,
            posts: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
            variations: 0,
            divergences: Vec::new(),
            verdict,
        }
    }

    /// Adds the result of one more variation.
    pub(super) fn add(
        &mut self,
        call: &Call,
        tally: Tally,
        mut violations: Vec<Violation>,
        allowed: &[Outcome],
    ) {
        if let Ending::Outcome(outcome) = call.ending
            && allowed.contains(&outcome)
            && violations.contains(&Violation::Outcome)
        {
            violations.retain(|violation| *violation != Violation::Outcome);
            if !self.divergences.contains(&outcome) {
                self.divergences.push(outcome);
            }
        }
        self.ending = call.ending.clone();
        self.elapsed = self.elapsed.max(call.elapsed);
        self.posts = self.posts.max(tally.posts);
        self.bytes = self.bytes.max(tally.written);
        self.variations += 1;
        self.verdict = if !violations.is_empty() {
            Verdict::Failed(violations)
        } else if self.divergences.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Allowed
        };
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<&Row> = self.rows.iter().collect();
        write!(f, "{}\n{}", Table(&rows), Summary(self))
    }
}

struct Summary<'a>(&'a Report);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        write!(
            f,
            "{}: {} cases in {:.1} s: {} passed, {} allowed, {} failed, {} not applicable",
            report.transport,
            report.rows.len(),
            report.elapsed.as_secs_f64(),
            report.count(|verdict| *verdict == Verdict::Passed),
            report.count(|verdict| *verdict == Verdict::Allowed),
            report.count(|verdict| matches!(verdict, Verdict::Failed(_))),
            report.count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
        )?;
        match report.log_records {
            Some(records) => write!(f, "; {records} log records searched")?,
            None => f.write_str("; the log was not searched: another logger is installed")?,
        }
        for (case, outcome) in &report.unused_allowances {
            write!(f, "\nnot needed: `{case}` is allowed to end in `{outcome}`")?;
        }
        Ok(())
    }
}

struct Table<'a>(&'a [&'a Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 8] =
            ["group", "case", "expected", "got", "POSTs", "bytes", "time", "verdict"];
        const NUMBERS_FROM: usize = 4;
        const LAST: usize = HEAD.len() - 1;

        let head = HEAD.map(String::from);
        let mut rows = vec![head];
        rows.extend(self.0.iter().map(|row| cells(row)));
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for row in &rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    NUMBERS_FROM..LAST => write!(f, "{cell:>width$}  ")?,
                    LAST => writeln!(f, "{cell}")?,
                    _ => write!(f, "{cell:width$}  ")?,
                }
            }
        }
        Ok(())
    }
}

fn cells(row: &Row) -> [String; 8] {
    let expected: Vec<String> = row.expected.iter().map(Outcome::to_string).collect();
    let case = match row.variations {
        0 | 1 => row.case.to_owned(),
        variations => format!("{} (x{variations})", row.case),
    };
    [
        row.group.to_string(),
        case,
        expected.join(" or "),
        row.ending.to_string(),
        row.posts.to_string(),
        row.bytes.to_string(),
        format!("{:.3} s", row.elapsed.as_secs_f64()),
        verdict(row),
    ]
}

fn verdict(row: &Row) -> String {
    let outcomes = row.divergences.iter();
    let outcomes: Vec<String> = outcomes.map(|outcome| format!("`{outcome}`")).collect();
    let allowed = format!("allowed to end in {}", outcomes.join(" and in "));
    match &row.verdict {
        verdict if outcomes.is_empty() => verdict.to_string(),
        Verdict::Allowed => allowed,
        verdict => format!("{verdict} ({allowed})"),
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(outcome) => outcome.fmt(f),
            Self::Unclassified => f.write_str("unclassified"),
            Self::Panicked(_) => f.write_str("panicked"),
            Self::Hung => f.write_str("hung"),
            Self::NotRun => f.write_str("-"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Allowed => f.write_str("allowed"),
            Self::NotApplicable(reason) => write!(f, "not applicable: {reason}"),
            Self::Failed(violations) => {
                f.write_str("FAILED: ")?;
                for (index, violation) in violations.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{violation:?}")?;
                }
                Ok(())
            }
        }
    }
}
