//! What the benches hand to the report.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::BoxError;

/// What one piece of work takes from the allocator.
#[derive(Serialize, Deserialize, Debug)]
pub struct Allocations {
    /// The piece of work.
    pub work: String,
    /// Who does it.
    pub subject: String,
    /// How many times it allocates, growth among them.
    pub count: u64,
    /// How many bytes in all.
    pub bytes: u64,
}

/// The time to parse one body.
#[derive(Serialize, Deserialize, Debug)]
pub struct Growth {
    /// What the body is made of.
    pub kind: String,
    /// Its length in bytes.
    pub len: usize,
    /// The time.
    pub nanos: f64,
}

/// One load on one client, in one or more rounds that alternate with its competitors'.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Load {
    /// `http` or `https`.
    pub scheme: String,
    /// `kept` or `fresh`.
    pub connections: String,
    /// How many exchanges are under way at a time.
    pub in_flight: usize,
    /// The client.
    pub subject: String,
    /// One for each round.
    pub rounds: Vec<Round>,
}

/// One round of a [`Load`].
#[derive(Serialize, Deserialize, Clone, Copy, Debug)]
pub struct Round {
    /// Exchanges per second.
    pub rate: f64,
    /// The median latency in microseconds.
    pub median: f64,
    /// The 99th percentile of the latency in microseconds.
    pub p99: f64,
}

/// What a client keeps in memory for an exchange in flight.
#[derive(Serialize, Deserialize, Debug)]
pub struct Memory {
    /// The client.
    pub subject: String,
    /// How many exchanges were under way.
    pub in_flight: usize,
    /// Bytes of resident memory for each.
    pub bytes: f64,
}

/// All that the loopback gives.
#[derive(Serialize, Deserialize, Default, Debug)]
pub struct Loopback {
    /// The loads.
    pub loads: Vec<Load>,
    /// The memory.
    pub memory: Vec<Memory>,
}

/// Writes results to where [`Mode::save`](crate::mode::Mode::save) says, if it does.
///
/// # Errors
/// If the file cannot be written.
pub fn save(results: &impl Serialize, path: Option<&Path>) -> Result<(), BoxError> {
    if let Some(path) = path {
        fs::write(path, serde_json::to_vec_pretty(results)?)?;
    }
    Ok(())
}

/// Reads what was saved.
///
/// # Errors
/// If there is none, or it is another bench's.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, BoxError> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The middle one of some numbers, or the mean of the two in the middle; not a number if there are
/// none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(median([]).is_nan());
        for (values, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0], 2.5)] {
            assert!((median(values.iter().copied()) - expected).abs() < f64::EPSILON);
        }
    }
}
