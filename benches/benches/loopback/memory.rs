//! What a client keeps in memory for an exchange in flight.

use std::{
    env, fs,
    process::{Command, Stdio},
    time::Duration,
};

use dropbox_sign_oauth_benches::{BoxError, results::Memory};
use tokio::task::JoinSet;

use crate::{
    Extent, load,
    peers::{BareHyper, Connections, Oauth2, Ours, Peer, Target},
};

/// Starts this program to measure one client: memory that another one has freed would be its.
pub(crate) const ARGUMENT: &str = "--memory";

/// Measures each client in a process of its own. Nothing where the system does not say what is
/// resident.
pub(crate) fn compare(target: &Target, extent: &Extent) -> Result<Vec<Memory>, BoxError> {
    if resident().is_none() {
        return Ok(Vec::new());
    }
    [Ours::NAME, BareHyper::NAME, Oauth2::NAME]
        .into_iter()
        .map(|subject| {
            let output = Command::new(env::current_exe()?)
                .args([
                    ARGUMENT,
                    subject,
                    &target.address.to_string(),
                    &extent.in_memory.to_string(),
                    &extent.hold.as_millis().to_string(),
                ])
                .stderr(Stdio::inherit())
                .output()?;
            Ok(Memory {
                subject: subject.into(),
                in_flight: extent.in_memory,
                bytes: String::from_utf8(output.stdout)?.trim().parse()?,
            })
        })
        .collect()
}

/// Prints the bytes that `subject` keeps for each exchange in flight.
pub(crate) fn print(
    subject: &str,
    address: &str,
    in_flight: usize,
    hold: Duration,
) -> Result<(), BoxError> {
    let target = Target::http(address.parse()?);
    let connections = Connections::Fresh;
    let bytes = match subject {
        Ours::NAME => measure(&Ours::new(&target, connections)?, in_flight, hold),
        BareHyper::NAME => measure(&BareHyper::new(&target, connections)?, in_flight, hold),
        Oauth2::NAME => measure(&Oauth2::new(&target, connections)?, in_flight, hold),
        other => Err(format!("there is no client called {other}").into()),
    };
    println!("{}", bytes?);
    Ok(())
}

fn measure<P: Peer>(peer: &P, in_flight: usize, hold: Duration) -> Result<f64, BoxError> {
    load::runtime()?.block_on(async {
        // What is kept for all of them together.
        peer.clone().exchange().await?;
        let before = resident().ok_or("unknown")?;
        let mut tasks = JoinSet::new();
        for _ in 0..in_flight {
            let mut peer = peer.clone();
            tasks.spawn(async move { peer.exchange().await });
        }
        // All of them are connected by then, and none is answered.
        tokio::time::sleep(hold * 2 / 3).await;
        let during = resident().ok_or("unknown")?;
        while let Some(task) = tasks.join_next().await {
            task??;
        }
        #[expect(clippy::cast_precision_loss, reason = "memory is small for a float")]
        Ok(during.saturating_sub(before) as f64 / in_flight as f64)
    })
}

/// The bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
