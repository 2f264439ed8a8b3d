//! Measures the time of the work without IO.

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dropbox_sign_oauth_benches::work::{self, Meter};

/// The number of inputs of a batch: enough to hide the cost of reading the clock, and few enough to
/// stay in the cache, like a response that has just arrived. Criterion's own batch sizes make
/// thousands.
const BATCH: BatchSize = BatchSize::NumIterations(64);

struct Timer<'c>(&'c mut Criterion);

impl Meter for Timer<'_> {
    fn measure<I>(&mut self, work: &str, by: &'static str, new: impl Fn() -> I, run: impl Fn(I)) {
        let mut group = self.0.benchmark_group(work);
        group.bench_function(by, |bencher| bencher.iter_batched(&new, &run, BATCH));
    }
}

fn all(criterion: &mut Criterion) {
    work::measure_all(&mut Timer(criterion));
    work::measure_bodies(&mut Timer(criterion));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = all
}
criterion_main!(benches);
