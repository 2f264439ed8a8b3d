//! Measures the exchanges per second of each client on loopback, their latency, and the memory of
//! an exchange in flight. All clients use the same server, which runs in its own thread.

mod blocking;
mod clients;
mod load;
mod memory;
mod server;

use std::time::Duration;

use dropbox_sign_oauth_benches::{
    BoxError, mode,
    table::{self, median, number},
};

use crate::{
    clients::Target,
    load::{Load, Round},
    server::Server,
};

/// The extent of a measurement.
struct Extent {
    rounds: usize,
    /// The duration of a round.
    time: Duration,
    in_flight: &'static [usize],
    threads: &'static [usize],
    /// The exchanges in flight whose memory is measured.
    in_memory: u32,
    /// How long the server delays its responses meanwhile.
    delay: Duration,
}

const MEASURE: Extent = Extent {
    rounds: 7,
    time: Duration::from_millis(400),
    in_flight: &[1, 16, 256, 2048],
    threads: &[1, 16],
    in_memory: 2048,
    delay: Duration::from_secs(3),
};

const TEST: Extent = Extent {
    rounds: 1,
    time: Duration::ZERO,
    in_flight: &[1, 4],
    threads: &[1, 2],
    in_memory: 16,
    delay: Duration::from_millis(200),
};

fn main() -> Result<(), BoxError> {
    let Some(measures) = mode::measures() else {
        return Ok(());
    };
    let extent = if measures { MEASURE } else { TEST };
    let server = Server::start(extent.delay)?;
    for (title, levels, compare) in [
        (
            "Async clients in one thread",
            extent.in_flight,
            load::compare as fn(&Target, usize, &Extent) -> Result<Vec<Load>, BoxError>,
        ),
        ("Blocking clients, in flight: threads", extent.threads, blocking::compare),
    ] {
        let mut rows = Vec::new();
        for target in server.targets() {
            for &in_flight in levels {
                let loads = compare(&target, in_flight, &extent)?;
                let row = |load| row(&target, in_flight, &loads[0], load);
                rows.extend(loads.iter().map(row));
            }
        }
        table::print(title, HEAD, rows);
    }
    memory::compare(&server, &extent)
}

const HEAD: &str = "connections | in flight | client | per second | median, µs | p99, µs | \
    rate, ours / it | p99, ours / it";

/// A row of the table. A ratio is the median of the rounds, with the lowest and the highest.
fn row(target: &Target, in_flight: usize, ours: &Load, load: &Load) -> [String; 8] {
    let value = |of: fn(&Round) -> f64| number(median(load.rounds.iter().map(of)), 0);
    let ratio = |of: fn(&Round) -> f64| {
        let pairs = ours.rounds.iter().zip(&load.rounds);
        let mut ratios: Vec<f64> = pairs.map(|(ours, it)| of(ours) / of(it)).collect();
        ratios.sort_by(f64::total_cmp);
        let middle = median(ratios.iter().copied());
        match &ratios[..] {
            [lowest, .., highest] if ours.client != load.client => {
                format!("{middle:.2} ({lowest:.2}–{highest:.2})")
            }
            _ => String::new(),
        }
    };
    [
        target.to_string(),
        in_flight.to_string(),
        load.client.into(),
        value(|round| round.rate),
        value(|round| round.median),
        value(|round| round.p99),
        ratio(|round| round.rate),
        ratio(|round| round.p99),
    ]
}
