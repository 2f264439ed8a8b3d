//! When somebody uses a session.

use std::time::Duration;

use fastrand::Rng;

/// The mean time between two uses of a session: a fifth are busy, three fifths are used a few times
/// a day, and a fifth every few days.
fn mean(user: u32) -> Duration {
    match user % 5 {
        0 => Duration::from_secs(30 * 60),
        1..=3 => Duration::from_secs(6 * 60 * 60),
        _ => Duration::from_secs(3 * 24 * 60 * 60),
    }
}

/// The time until the next use: independent of the last.
pub(crate) fn until_next_use(user: u32, random: &mut Rng) -> Duration {
    // Of 1 the logarithm is zero, and of 0 it is none.
    mean(user).mul_f64(-(1.0 - random.f64()).ln())
}
