//! How often the work without IO allocates. A count does not vary, so that it is asserted.

use dropbox_sign_oauth_benches::{
    BoxError,
    mode::Mode,
    ours,
    results::{self, Allocations},
    work::{self, Meter},
};

/// The most allocations of a whole exchange, the response's own left out.
const EXCHANGE_GOAL: u64 = 6;

#[derive(Default)]
struct Counter(Vec<Allocations>);

impl Meter for Counter {
    fn measure<I>(
        &mut self,
        work: &'static str,
        subject: &'static str,
        setup: impl Fn() -> I,
        routine: impl Fn(I),
    ) {
        // What is made at the first call only is not the work's.
        routine(setup());
        let input = setup();
        let info = allocation_counter::measure(|| routine(input));
        self.0.push(Allocations {
            work: work.into(),
            subject: subject.into(),
            count: info.count_total,
            bytes: info.bytes_total,
        });
    }
}

fn main() -> Result<(), BoxError> {
    let Some(mode) = Mode::from_env() else {
        return Ok(());
    };
    let mut counter = Counter::default();
    work::measure_all(&mut counter);
    println!("{:<18}{:<20}{:>12}{:>8}", "", "", "allocations", "bytes");
    for row in &counter.0 {
        println!(
            "{:<18}{:<20}{:>12}{:>8}",
            row.work, row.subject, row.count, row.bytes
        );
    }
    results::save(&counter.0, mode.save.as_deref())?;
    let exchange = counter
        .0
        .iter()
        .find(|row| row.work == work::EXCHANGE && row.subject == ours::NAME)
        .ok_or("the exchange was not measured")?;
    assert!(
        exchange.count <= EXCHANGE_GOAL,
        "a whole exchange allocates {} times, more than {EXCHANGE_GOAL}",
        exchange.count
    );
    Ok(())
}
