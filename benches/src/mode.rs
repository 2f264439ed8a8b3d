//! How a bench was started.

use std::env;

/// Returns whether `cargo bench` started this program, which then measures. `cargo test` runs
/// everything once; `None` if it only asks for the list of tests.
#[must_use]
pub fn measures() -> Option<bool> {
    let has = |name| env::args().any(|argument| argument == name);
    (!has("--list")).then(|| has("--bench") && !has("--test"))
}
