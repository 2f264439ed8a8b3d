//! The examples run.

#[path = "../examples/exchange.rs"]
mod exchange;

#[test]
fn exchange_succeeds() {
    exchange::main().unwrap();
}
