//! What was measured, and the ratios of it.

use std::{fs, path::Path};

use dropbox_sign_oauth_benches::{
    BoxError,
    results::{self, Allocations, Growth, Load, Loopback, Round},
    work, {by_hand, ours, peer},
};
use serde::Deserialize;

use crate::machine::Machine;

/// The names of what [`run`](crate::run) leaves.
pub(crate) const CRITERION: &str = "criterion";
pub(crate) const WEIGHT: &str = "weight.tsv";
pub(crate) const MACHINE: &str = "machine.json";

/// The clients of the loopback, as the bench calls them.
pub(crate) const HYPER: &str = "dropbox-sign-oauth-hyper";
pub(crate) const BARE_HYPER: &str = "bare hyper-util";
pub(crate) const OAUTH2_REQWEST: &str = "oauth2 + reqwest";
pub(crate) const RAW: &str = "raw socket (ceiling)";
pub(crate) const UREQ: &str = "dropbox-sign-oauth-ureq";
pub(crate) const BARE_UREQ: &str = "bare ureq";
pub(crate) const BARE_UREQ_DEADLINE: &str = "bare ureq with a deadline";

/// The kind of body that is not hostile.
pub(crate) const HONEST: &str = "honest";

/// All that was measured.
pub(crate) struct Data {
    pub(crate) cpu: Vec<Cpu>,
    pub(crate) allocations: Vec<Allocations>,
    pub(crate) growth: Vec<Growth>,
    pub(crate) loopback: Loopback,
    pub(crate) weight: Vec<Weight>,
    pub(crate) machine: Machine,
}

/// The time of one piece of work.
pub(crate) struct Cpu {
    pub(crate) work: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) nanos: f64,
}

/// What one library weighs.
pub(crate) struct Weight {
    pub(crate) subject: String,
    pub(crate) packages: f64,
    pub(crate) seconds: f64,
    pub(crate) bytes: f64,
}

/// The part of criterion's `estimates.json` that is used.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

impl Data {
    pub(crate) fn load(results: &Path) -> Result<Self, BoxError> {
        Ok(Self {
            cpu: cpu(&results.join(CRITERION))?,
            allocations: results::load(&results.join("allocations.json"))?,
            growth: results::load(&results.join("growth.json"))?,
            loopback: results::load(&results.join("loopback.json"))?,
            weight: weight(&fs::read_to_string(results.join(WEIGHT))?)?,
            machine: results::load(&results.join(MACHINE))?,
        })
    }

    /// The time of a piece of work in nanoseconds; not a number if `subject` does not do it.
    pub(crate) fn nanos(&self, work: &str, subject: &str) -> f64 {
        self.cpu
            .iter()
            .find(|row| row.work == work && row.subject == subject)
            .map_or(f64::NAN, |row| row.nanos)
    }

    pub(crate) fn allocations(&self, work: &str, subject: &str) -> Option<&Allocations> {
        self.allocations
            .iter()
            .find(|row| row.work == work && row.subject == subject)
    }

    pub(crate) fn weight(&self, subject: &str) -> Option<&Weight> {
        self.weight.iter().find(|row| row.subject == subject)
    }

    pub(crate) fn load_of(&self, setup: &Setup, subject: &str) -> Option<&Load> {
        self.loopback
            .loads
            .iter()
            .find(|load| Setup::of(load) == *setup && load.subject == subject)
    }

    /// What was competed in, in its order.
    pub(crate) fn setups(&self) -> Vec<Setup> {
        let mut setups = Vec::new();
        for setup in self.loopback.loads.iter().map(Setup::of) {
            if !setups.contains(&setup) {
                setups.push(setup);
            }
        }
        setups
    }

    /// Ours to theirs in each round, sorted.
    pub(crate) fn ratios(
        &self,
        setup: &Setup,
        ours: &str,
        theirs: &str,
        of: fn(&Round) -> f64,
    ) -> Vec<f64> {
        let (Some(ours), Some(theirs)) = (self.load_of(setup, ours), self.load_of(setup, theirs))
        else {
            return Vec::new();
        };
        let mut ratios: Vec<f64> = ours
            .rounds
            .iter()
            .zip(&theirs.rounds)
            .map(|(ours, theirs)| of(ours) / of(theirs))
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }

    /// The kinds of bodies, in their order.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.growth.iter().map(|row| row.kind.as_str()).collect();
        kinds.dedup();
        kinds
    }

    /// Nanoseconds for each byte of the longest body of a kind.
    pub(crate) fn per_byte_at_limit(&self, kind: &str) -> f64 {
        self.growth
            .iter()
            .filter(|row| row.kind == kind)
            .max_by_key(|row| row.len)
            .map_or(f64::NAN, per_byte)
    }

    /// Nanoseconds for each byte of an honest response.
    pub(crate) fn per_byte_of_honest(&self) -> f64 {
        self.growth
            .iter()
            .find(|row| row.kind == HONEST)
            .map_or(f64::NAN, per_byte)
    }

    /// The hostile kind that is the slowest at the limit.
    pub(crate) fn worst_kind(&self) -> Option<&str> {
        self.kinds()
            .into_iter()
            .filter(|kind| *kind != HONEST)
            .max_by(|a, b| {
                self.per_byte_at_limit(a)
                    .total_cmp(&self.per_byte_at_limit(b))
            })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a body is short")]
pub(crate) fn per_byte(row: &Growth) -> f64 {
    row.nanos / row.len as f64
}

/// What is the same for all that compete in one load.
#[derive(PartialEq, Clone)]
pub(crate) struct Setup {
    pub(crate) scheme: String,
    pub(crate) connections: String,
    pub(crate) in_flight: usize,
}

impl Setup {
    pub(crate) fn new(scheme: &str, connections: &str, in_flight: usize) -> Self {
        Self {
            scheme: scheme.into(),
            connections: connections.into(),
            in_flight,
        }
    }

    pub(crate) fn of(load: &Load) -> Self {
        Self::new(&load.scheme, &load.connections, load.in_flight)
    }
}

fn cpu(criterion: &Path) -> Result<Vec<Cpu>, BoxError> {
    let mut rows = Vec::new();
    for work in work::ALL {
        for subject in [ours::NAME, peer::NAME, by_hand::NAME] {
            if work::is_missing(work, subject) {
                continue;
            }
            let path = criterion.join(work).join(subject).join("new");
            let estimates: Estimates = results::load(&path.join("estimates.json"))?;
            rows.push(Cpu {
                work,
                subject,
                nanos: estimates.median.point_estimate,
            });
        }
    }
    Ok(rows)
}

fn weight(text: &str) -> Result<Vec<Weight>, BoxError> {
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [subject, packages, seconds, bytes] = fields[..] else {
                return Err(format!("not a weight: {line}").into());
            };
            Ok(Weight {
                subject: subject.into(),
                packages: packages.parse()?,
                seconds: seconds.parse()?,
                bytes: bytes.parse()?,
            })
        })
        .collect()
}
