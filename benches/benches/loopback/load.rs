//! A load on the async clients, in rounds in which they take turns.

use std::time::{Duration, Instant};

use dropbox_sign_oauth_benches::{
    BoxError,
    results::{Load, Round},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    Extent,
    peers::{BareHyper, Connections, Oauth2, Ours, Peer, Raw, Target},
};

/// One thread, so that the server has the other of two.
pub(crate) fn runtime() -> Result<Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// Puts the same load on each client in turn, round by round: what the machine does beside hits
/// all of them.
pub(crate) fn compare(
    target: &Target,
    connections: Connections,
    in_flight: usize,
    extent: &Extent,
) -> Result<Vec<Load>, BoxError> {
    let ours = Ours::new(target, connections)?;
    let bare = BareHyper::new(target, connections)?;
    let oauth2 = Oauth2::new(target, connections)?;
    let raw = Raw::new(target, connections)?;
    let row = |subject| crate::row(target, connections, in_flight, subject);
    let mut rows = vec![row(Ours::NAME), row(BareHyper::NAME), row(Oauth2::NAME)];
    // Without TLS of its own.
    let ceiling = target.root.is_none();
    if ceiling {
        rows.push(row(Raw::NAME));
    }
    runtime()?.block_on(async {
        // The connections that are kept are made, and every allocator is warm.
        put(&ours, in_flight, Duration::ZERO).await?;
        put(&bare, in_flight, Duration::ZERO).await?;
        put(&oauth2, in_flight, Duration::ZERO).await?;
        for round in 0..extent.rounds {
            let count = rows.len();
            for turn in 0..count {
                // Each round begins with another one.
                let index = (round + turn) % count;
                let result = match index {
                    0 => put(&ours, in_flight, extent.time).await,
                    1 => put(&bare, in_flight, extent.time).await,
                    2 => put(&oauth2, in_flight, extent.time).await,
                    _ => put(&raw, in_flight, extent.time).await,
                };
                rows[index].rounds.push(result?);
            }
        }
        Ok(rows)
    })
}

/// Keeps `in_flight` exchanges under way for `time`, and at least one for each.
async fn put<P: Peer>(peer: &P, in_flight: usize, time: Duration) -> Result<Round, BoxError> {
    let mut peers = Vec::with_capacity(in_flight);
    for _ in 0..in_flight {
        let mut peer = peer.clone();
        peer.prepare().await?;
        peers.push(peer);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for peer in peers {
        tasks.spawn(repeat(peer, begun, time));
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    Ok(round(latencies, begun.elapsed()))
}

async fn repeat<P: Peer>(
    mut peer: P,
    begun: Instant,
    time: Duration,
) -> Result<Vec<Duration>, BoxError> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        peer.exchange().await?;
        latencies.push(start.elapsed());
        if begun.elapsed() >= time {
            return Ok(latencies);
        }
    }
}

/// What the latencies of one round come to.
pub(crate) fn round(mut latencies: Vec<Duration>, elapsed: Duration) -> Round {
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies
            .get(index)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    };
    #[expect(clippy::cast_precision_loss, reason = "a round is short")]
    let count = latencies.len() as f64;
    Round {
        rate: count / elapsed.as_secs_f64(),
        median: percentile(50),
        p99: percentile(99),
    }
}
