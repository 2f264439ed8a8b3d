//! The load on the async clients, and rounds in which clients alternate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_benches::{BoxError, table::median};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    Extent,
    clients::{self, Exchange, NAMES, Target},
};

/// The rounds of one client.
pub(crate) struct Load {
    pub(crate) client: &'static str,
    pub(crate) rounds: Vec<Round>,
}

/// The result of one round.
pub(crate) struct Round {
    /// Exchanges per second.
    pub(crate) rate: f64,
    /// Latencies in microseconds.
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Round {
    pub(crate) fn new(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let micros = |latency: &Duration| latency.as_secs_f64() * 1e6;
        let p99 = latencies.get(latencies.len() * 99 / 100);
        #[expect(clippy::cast_precision_loss, reason = "a round is short")]
        let count = latencies.len() as f64;
        Self {
            rate: count / elapsed.as_secs_f64(),
            p99: p99.map_or(f64::NAN, micros),
            median: median(latencies.iter().map(micros)),
        }
    }
}

/// Calls `run` for each client in turn, so that other load on the machine affects all of them.
pub(crate) fn alternate<const N: usize>(
    clients: [&'static str; N],
    extent: &Extent,
    mut run: impl FnMut(usize, Duration) -> Result<Round, BoxError>,
) -> Result<Vec<Load>, BoxError> {
    let mut loads = clients.map(|client| Load { client, rounds: Vec::new() });
    for index in 0..N {
        // Opens connections and fills caches.
        run(index, Duration::ZERO)?;
    }
    for round in 0..extent.rounds {
        for turn in 0..N {
            let index = (round + turn) % N;
            loads[index].rounds.push(run(index, extent.time)?);
        }
    }
    Ok(loads.into())
}

/// Uses one thread, which leaves another core to the server.
pub(crate) fn runtime() -> Result<Runtime, BoxError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

pub(crate) fn compare(
    target: &Target,
    in_flight: usize,
    extent: &Extent,
) -> Result<Vec<Load>, BoxError> {
    let clients = clients::all(target)?;
    let runtime = runtime()?;
    alternate(NAMES, extent, |index, time| runtime.block_on(load(&clients[index], in_flight, time)))
}

/// Keeps `in_flight` exchanges in flight for `time`, at least one each.
async fn load(exchange: &Exchange, in_flight: usize, time: Duration) -> Result<Round, BoxError> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        tasks.spawn(repeat(Arc::clone(exchange), begun, time));
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    Ok(Round::new(latencies, begun.elapsed()))
}

async fn repeat(
    exchange: Exchange,
    begun: Instant,
    time: Duration,
) -> Result<Vec<Duration>, BoxError> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        exchange().await?;
        latencies.push(start.elapsed());
        if begun.elapsed() >= time {
            return Ok(latencies);
        }
    }
}
