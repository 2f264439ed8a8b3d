//! The result of a run, as data and as a table.

use std::{fmt, time::Duration};

use super::canary::Needle;
use crate::fault::{Case, Outcome};

/// The result of a run. `Display` shows a table of all rows and a summary.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a report has no effect unless it is read"]
pub struct Report {
    /// The name of the transport.
    pub transport: String,
    /// The cases, in the order of an exchange.
    pub rows: Vec<Row>,
    /// How many log records were searched for secrets.
    pub log_records: usize,
    /// The duration of the run.
    pub elapsed: Duration,
}

/// One case of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The part of the exchange that goes wrong.
    pub group: &'static str,
    /// The name of the case.
    pub case: &'static str,
    /// The right outcomes.
    pub expected: &'static [Outcome],
    /// The outcome of the last call, if the case was run.
    pub outcome: Option<Outcome>,
    /// The POSTs that the server received.
    pub posts: usize,
    /// The bytes that the server wrote.
    pub bytes: u64,
    /// The duration of the call.
    pub elapsed: Duration,
    /// The number of variations that were played. The other numbers are the largest of any.
    pub variations: usize,
    /// The allowed outcomes in which the case ended instead of a right one.
    pub allowed: Vec<Outcome>,
    /// Why the case cannot be run.
    pub not_applicable: Option<&'static str>,
    /// What is wrong with the result.
    pub violations: Vec<String>,
}

impl Report {
    /// Checks that no case failed.
    ///
    /// # Panics
    /// If one did, with a table of the failed cases.
    #[track_caller]
    pub fn assert_conforms(&self) {
        let failed = |row: &&Row| !row.violations.is_empty();
        let failures: String = self.rows.iter().filter(failed).map(Row::to_string).collect();
        assert!(failures.is_empty(), "{}\n\n{failures}", self.summary());
    }

    fn summary(&self) -> String {
        let count = |verdict| {
            let rows = self.rows.iter();
            rows.filter(|row| row.verdict().starts_with(verdict)).count()
        };
        format!(
            "{}: {} cases in {:.1} s: {} passed, {} allowed, {} failed, {} not applicable; {} log \
             records searched",
            self.transport,
            self.rows.len(),
            self.elapsed.as_secs_f64(),
            count("passed"),
            count("allowed"),
            count("FAILED"),
            count("not applicable"),
            self.log_records,
        )
    }
}

impl Row {
    pub(super) fn new(case: &Case) -> Self {
        Self {
            group: case.group,
            case: case.name,
            expected: case.expected,
            outcome: None,
            posts: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
            variations: 0,
            allowed: Vec::new(),
            not_applicable: None,
            violations: Vec::new(),
        }
    }

    /// Takes note of a violation unless `holds`.
    pub(super) fn check(&mut self, holds: bool, violation: impl Into<String>) {
        if !holds {
            self.violations.push(violation.into());
        }
    }

    /// Checks that no secret appears in `text`, which is from `place`.
    pub(super) fn check_secrets(&mut self, needles: &[Needle], place: &str, text: &str) {
        for (secret, needle) in needles {
            if text.contains(needle) {
                let leak = format!("{secret} in {place}");
                self.check(self.violations.contains(&leak), leak);
            }
        }
    }

    fn verdict(&self) -> String {
        match (self.not_applicable, &*self.allowed) {
            (Some(reason), _) => format!("not applicable: {reason}"),
            _ if !self.violations.is_empty() => format!("FAILED: {}", self.violations.join("; ")),
            (None, []) => "passed".into(),
            (None, allowed) => format!("allowed to end in {}", names(allowed)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            row.fmt(f)?;
        }
        write!(f, "\n{}", self.summary())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome.map_or("-".into(), |outcome| format!("{outcome:?}"));
        writeln!(
            f,
            "{:8}  {:44}  x{:<3}  {:23}  {outcome:13}  {} POSTs  {:8} B  {:.3} s  {}",
            self.group,
            self.case,
            self.variations,
            names(self.expected),
            self.posts,
            self.bytes,
            self.elapsed.as_secs_f64(),
            self.verdict(),
        )
    }
}

fn names(outcomes: &[Outcome]) -> String {
    outcomes.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(" or ")
}
