//! How many exchanges per second a client carries on loopback, how long each takes, and what it
//! keeps in memory meanwhile. The server is the same for all, and a process of its own.

mod blocking;
mod load;
mod memory;
mod peers;
mod server;

use std::{env, time::Duration};

use dropbox_sign_oauth_benches::{
    BoxError,
    mode::Mode,
    results::{self, Load, Loopback},
};

use crate::{
    peers::{Connections, Target},
    server::Server,
};

/// How much is measured.
struct Extent {
    rounds: usize,
    /// The least time of one round.
    time: Duration,
    http: &'static [usize],
    https: &'static [usize],
    threads: &'static [usize],
    /// How many exchanges are in flight when memory is looked at.
    in_memory: usize,
    /// How long the server holds its answers back meanwhile.
    hold: Duration,
}

const MEASURE: Extent = Extent {
    rounds: 7,
    time: Duration::from_millis(400),
    http: &[1, 16, 256, 2048],
    https: &[1, 16, 256, 2048],
    threads: &[1, 16],
    in_memory: 2048,
    hold: Duration::from_secs(3),
};

const TEST: Extent = Extent {
    rounds: 1,
    time: Duration::ZERO,
    http: &[1, 16],
    https: &[1],
    threads: &[1, 4],
    in_memory: 16,
    hold: Duration::from_millis(200),
};

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [server::ARGUMENT, hold] => return server::serve(Duration::from_millis(hold.parse()?)),
        [memory::ARGUMENT, subject, base, in_flight, hold] => {
            let hold = Duration::from_millis(hold.parse()?);
            return memory::print(subject, base, in_flight.parse()?, hold);
        }
        _ => {}
    }
    let Some(mode) = Mode::from_env() else {
        return Ok(());
    };
    let extent = if mode.measure { MEASURE } else { TEST };
    let server = Server::start(extent.hold)?;
    let mut results = Loopback::default();
    println!(
        "{:<7}{:<7}{:>9}  {:<26}{:>10}{:>12}{:>12}",
        "", "", "in flight", "", "per second", "median us", "p99 us"
    );
    for (target, levels) in [(&server.http, extent.http), (&server.https, extent.https)] {
        for connections in [Connections::Kept, Connections::Fresh] {
            for &in_flight in levels {
                let loads = load::compare(target, connections, in_flight, &extent)?;
                loads.iter().for_each(print);
                results.loads.extend(loads);
            }
            for &threads in extent.threads {
                let loads = blocking::compare(target, connections, threads, &extent)?;
                loads.iter().for_each(print);
                results.loads.extend(loads);
            }
        }
    }
    results.memory = memory::compare(&server.slow, &extent)?;
    for memory in &results.memory {
        println!(
            "{:<26}{:>8.0} bytes for each of {}",
            memory.subject, memory.bytes, memory.in_flight
        );
    }
    results::save(&results, mode.save.as_deref())
}

fn print(load: &Load) {
    let median = |of: fn(&results::Round) -> f64| results::median(load.rounds.iter().map(of));
    println!(
        "{:<7}{:<7}{:>9}  {:<26}{:>10.0}{:>12.0}{:>12.0}",
        load.scheme,
        load.connections,
        load.in_flight,
        load.subject,
        median(|round| round.rate),
        median(|round| round.median),
        median(|round| round.p99),
    );
}

/// A row for `subject`, whose rounds are to come.
fn row(target: &Target, connections: Connections, in_flight: usize, subject: &str) -> Load {
    Load {
        scheme: target.scheme.into(),
        connections: connections.to_string(),
        in_flight,
        subject: subject.into(),
        rounds: Vec::new(),
    }
}
