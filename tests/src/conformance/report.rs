//! What a run found, as data and as a table.

use std::{fmt, time::Duration};

use super::attempt::Call;
use crate::fault::{Case, Group, Outcome, Tally};

/// What a run found.
///
/// It displays as a table of all rows with a summary.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a report that nobody looks at finds nothing"]
pub struct Report {
    /// The name of the transport.
    pub transport: String,
    /// The cases, in the order of an exchange.
    pub rows: Vec<Row>,
    /// The allowances of the cases that were run that were not needed, and should go.
    pub unused_allowances: Vec<(String, Outcome)>,
    /// How many log records were searched for secrets; `None` if the process has another logger,
    /// so that the log was not searched.
    pub log_records: Option<usize>,
    /// How long the run took.
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
    /// The outcomes that are right.
    pub expected: &'static [Outcome],
    /// How the call ended.
    pub ending: Ending,
    /// How many POSTs the server saw.
    pub posts: usize,
    /// How many bytes the server could write.
    pub bytes: u64,
    /// How long the call took.
    pub elapsed: Duration,
    /// In how many variations the case was played; the numbers are the largest of any.
    pub variations: usize,
    /// In which of the allowed outcomes it ended instead of a right one.
    pub divergences: Vec<Outcome>,
    /// Whether it is right.
    pub verdict: Verdict,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// In this class.
    Outcome(Outcome),
    /// With an answer of a class that this run does not know.
    Unclassified,
    /// In a panic with this message.
    Panicked(String),
    /// Not at all, or too late to wait for.
    Hung,
    /// It was not begun.
    NotRun,
}

/// Whether a case's result is right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is right.
    Passed,
    /// It ended in outcomes that are not right, but allowed, and nothing else is wrong.
    Allowed,
    /// The case cannot be run, for this reason.
    NotApplicable(&'static str),
    /// It is wrong in these ways.
    Failed(Vec<Violation>),
}

/// What is wrong with a case's result.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Violation {
    /// The case has no variation, so that nothing was checked.
    NotPlayed,
    /// The outcome is none of the right ones.
    Outcome,
    /// A call before the last one should have ended in tokens, and ended so.
    EarlierCall(Ending),
    /// The tokens are not those of the server's answer to this call.
    WrongTokens,
    /// The transport says that nothing was sent, and the server saw it.
    SentAfterAll,
    /// The server saw so many requests, more than there were calls.
    Requests(usize),
    /// The address that a redirect named was connected to.
    RedirectFollowed,
    /// The call took longer than this.
    Late(Duration),
    /// At least so many bytes were read, more than the limit and a buffer.
    BytesRead(u64),
    /// The named secret stood in the open there.
    Leak(&'static str, Place),
    /// The message lacks what the server said.
    Unsaid(&'static str),
    /// The error asks to wait for so long, which is not what the server said.
    Wait(Option<Duration>),
}

/// Where a secret can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The error's message.
    Display,
    /// The result as `{:?}` shows it.
    Debug,
    /// The message or `{:?}` of an error behind the error.
    Source,
    /// The log, at DEBUG or above.
    Log,
    /// The message of a panic.
    Panic,
}

impl Report {
    /// The rows that are wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| matches!(row.verdict, Verdict::Failed(_)))
    }

    /// The row of a case.
    #[must_use]
    pub fn row(&self, case: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case)
    }

    /// Checks that nothing is wrong.
    ///
    /// # Panics
    /// If something is, with a table of it.
    #[track_caller]
    pub fn assert_conforms(&self) {
        let failures: Vec<&Row> = self.failures().collect();
        assert!(
            failures.is_empty(),
            "{}\n\n{}",
            Summary(self),
            Table(&failures)
        );
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

    /// Takes the result of one more variation.
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
            None => f.write_str("; the log was not searched, the process has another logger")?,
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
        const HEAD: [&str; 8] = [
            "group", "case", "expected", "got", "POSTs", "bytes", "time", "verdict",
        ];
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
                    write!(f, "{separator}{violation}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPlayed => f.write_str("the case has nothing to play"),
            Self::Outcome => f.write_str("the outcome is wrong"),
            Self::EarlierCall(ending) => write!(f, "an earlier call ended: {ending}"),
            Self::WrongTokens => f.write_str("the tokens are not the server's"),
            Self::SentAfterAll => f.write_str("the request was sent after all"),
            Self::Requests(requests) => write!(f, "the server saw {requests} requests"),
            Self::RedirectFollowed => f.write_str("the redirect was followed"),
            Self::Late(limit) => write!(f, "it took longer than {:.1} s", limit.as_secs_f64()),
            Self::BytesRead(bytes) => write!(f, "{bytes} bytes or more were read"),
            Self::Leak(secret, place) => write!(f, "`{secret}` stands in {place}"),
            Self::Unsaid(text) => write!(f, "the message lacks `{text}`"),
            Self::Wait(Some(wait)) => write!(f, "it asks to wait for {} s", wait.as_secs()),
            Self::Wait(None) => f.write_str("it does not ask to wait"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Display => "the message",
            Self::Debug => "`{:?}`",
            Self::Source => "the chain of sources",
            Self::Log => "the log",
            Self::Panic => "the message of the panic",
        })
    }
}
