//! Measures the time of logins over a slow network, the memory of an exchange in flight, and the
//! exchanges per second of each client on loopback. All clients use the same server, which runs in
//! its own thread. The arguments `latency`, `memory` and `load` select.

mod clients;
mod latency;
mod load;
mod memory;
mod server;

use std::{env, time::Duration};

use dropbox_sign_oauth_benches::{BoxError, mode};
use tokio::runtime::{Builder, Runtime};

use crate::server::Server;

/// The extent of a measurement.
struct Extent {
    /// Between client and server, for the time of logins.
    round_trip: Duration,
    /// The sessions, and the exchanges in flight, whose memory is measured.
    sessions: &'static [u32],
    in_flight: &'static [u32],
    /// How long the server delays its responses meanwhile.
    delay: Duration,
    /// The exchanges at once, whose time is measured.
    at_once: &'static [usize],
}

const MEASURE: Extent = Extent {
    round_trip: Duration::from_millis(100),
    sessions: &[10_000, 100_000],
    in_flight: &[1000, 10_000],
    delay: Duration::from_secs(5),
    at_once: &[1, 16, 256],
};

const TEST: Extent = Extent {
    round_trip: Duration::from_millis(5),
    sessions: &[16],
    in_flight: &[16],
    delay: Duration::from_millis(200),
    at_once: &[1, 4],
};

/// Uses one thread, which leaves another core to the server.
fn runtime() -> Result<Runtime, BoxError> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn main() -> Result<(), BoxError> {
    if memory::serve()? {
        return Ok(());
    }
    let Some(measures) = mode::measures() else {
        return Ok(());
    };
    let extent = if measures { MEASURE } else { TEST };
    let server = Server::start(Duration::ZERO)?;
    let asked: Vec<_> = env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|it| it == part);
    if is_asked("latency") {
        latency::compare(&server, extent.round_trip)?;
    }
    if is_asked("memory") {
        memory::compare(&extent)?;
    }
    if is_asked("load") {
        load::compare(&server, extent.at_once)?;
    }
    Ok(())
}
