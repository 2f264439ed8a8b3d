//! What the processes report.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

/// What all processes have reported.
#[derive(Default, Debug)]
pub(crate) struct Tally {
    /// How long each call took, in microseconds.
    pub(crate) calls: Vec<u64>,
    /// Calls that failed, by their error.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What each process has stored: users and generations.
    pub(crate) stored: HashMap<String, HashSet<(u64, u64)>>,
    /// When each process was killed.
    pub(crate) killed: HashMap<String, Instant>,
    /// Calls that found out that a user must authorize again.
    pub(crate) lost: u64,
}

impl Tally {
    /// Takes note of a line of a process.
    pub(crate) fn add(&mut self, process: &str, line: &str) {
        let mut words = line.splitn(3, ' ');
        let (kind, first, rest) = (words.next(), words.next(), words.next());
        let number = first.and_then(|word| word.parse().ok());
        match (kind, number, rest) {
            (Some("call"), Some(micros), rest) => {
                self.calls.push(micros);
                match rest {
                    Some("lost") => self.lost += 1,
                    Some(error) => *self.errors.entry(error.to_owned()).or_default() += 1,
                    None => {}
                }
            }
            (Some("stored"), Some(user), Some(generation)) => {
                if let Ok(generation) = generation.parse() {
                    let stored = self.stored.entry(process.to_owned()).or_default();
                    stored.insert((user, generation));
                }
            }
            // A line that was cut when its process was killed, or a message of a panic.
            _ => {}
        }
    }

    /// The time within which this share of the calls was done.
    pub(crate) fn percentile(&mut self, share: f64) -> Duration {
        self.calls.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index into a list"
        )]
        let index = ((self.calls.len().saturating_sub(1)) as f64 * share) as usize;
        Duration::from_micros(self.calls.get(index).copied().unwrap_or(0))
    }
}
