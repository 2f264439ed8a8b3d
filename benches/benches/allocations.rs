//! Counts the allocations of the work without IO. Counts do not vary between runs, so they are
//! asserted.

use std::collections::BTreeMap;

use dropbox_sign_oauth_benches::{
    mode, ours, table,
    work::{self, Meter, SUBJECTS},
};

/// The maximum number of allocations of an exchange, without those of the response.
const EXCHANGE_GOAL: u64 = 5;

/// The count of each piece of work and subject.
#[derive(Default)]
struct Counter(BTreeMap<(&'static str, &'static str), u64>);

impl Meter for Counter {
    fn measure<I>(
        &mut self,
        work: &'static str,
        subject: &'static str,
        setup: impl Fn() -> I,
        routine: impl Fn(I),
    ) {
        // Excludes what is allocated only once.
        routine(setup());
        let input = setup();
        let info = allocation_counter::measure(|| routine(input));
        self.0.insert((work, subject), info.count_total);
    }
}

fn main() {
    if mode::measures().is_none() {
        return;
    }
    let mut counter = Counter::default();
    work::measure_all(&mut counter);
    let count = |work, subject| counter.0.get(&(work, subject)).copied();
    let rows = work::ALL.map(|work| {
        let cell = |subject| count(work, subject).map_or_else(|| "–".into(), |n| n.to_string());
        let [ours, oauth2, by_hand] = SUBJECTS.map(cell);
        [work.into(), ours, oauth2, by_hand]
    });
    let head = format!("work | {}", SUBJECTS.join(" | "));
    table::print("Allocations", &head, rows);
    let exchange = count(work::EXCHANGE, ours::NAME);
    assert!(
        exchange.is_some_and(|count| count <= EXCHANGE_GOAL),
        "an exchange allocates {exchange:?} times, more than {EXCHANGE_GOAL}"
    );
}
