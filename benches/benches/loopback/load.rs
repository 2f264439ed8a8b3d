//! Measures the exchanges per second of each client, with criterion.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use dropbox_sign_oauth_benches::BoxError;
use tokio::task::JoinSet;

use crate::{clients, runtime, server::Server};

/// Measures `counts` of exchanges at once.
pub(crate) fn compare(server: &Server, counts: &[usize]) -> Result<(), BoxError> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let runtime = runtime()?;
    for target in server.targets() {
        let clients = clients::all(&target)?;
        for &count in counts {
            let mut group = criterion.benchmark_group(format!("load: {target}, {count} at once"));
            group.throughput(Throughput::Elements(u64::try_from(count)?));
            for (name, exchange) in &clients {
                let all = || async {
                    let tasks: JoinSet<_> = (0..count).map(|_| exchange()).collect();
                    tasks.join_all().await.into_iter().collect::<Result<(), _>>()
                };
                group.bench_function(*name, |bencher| {
                    bencher.iter(|| runtime.block_on(all()).expect("all succeed"));
                });
            }
        }
    }
    Ok(())
}
