//! Counts the allocations of the work without IO. Counts do not vary between runs, so they are
//! asserted.

use dropbox_sign_oauth_benches::{
    mode, ours,
    table::{self, Values},
    work::{self, Meter},
};

/// The maximum number of allocations of an exchange, without those of the response.
const EXCHANGE_GOAL: f64 = 5.0;

/// Counts each piece of work.
struct Counter(Values);

impl Meter for Counter {
    fn measure<I>(&mut self, work: &str, by: &'static str, new: impl Fn() -> I, run: impl Fn(I)) {
        // Excludes what is allocated only once.
        run(new());
        let input = new();
        let count = allocation_counter::measure(|| run(input)).count_total;
        self.0.insert((work.into(), by), u32::try_from(count).expect("a few").into());
    }
}

fn main() {
    if mode::measures().is_none() {
        return;
    }
    let mut counter = Counter(Values::new());
    work::measure_all(&mut counter);
    table::print_work("Allocations", &counter.0);
    let exchange = counter.0[&(work::EXCHANGE.into(), ours::NAME)];
    assert!(exchange <= EXCHANGE_GOAL, "an exchange allocates {exchange} times");
}
