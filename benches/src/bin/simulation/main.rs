//! Simulates a million sessions over a week with the session state machine: it has no sockets, and
//! its clock is simulated.
//!
//! ```text
//! cargo run --release -p dropbox-sign-oauth-benches --bin simulation [SESSIONS [SEED]]
//! ```
//!
//! All sessions begin within an hour, the worst case for the token endpoint. The service has a rate
//! limit, bursts of failures and an outage of an hour, rejects a few access tokens early, and
//! rotates refresh tokens. The same week is simulated with the default policy and with a naive one.
//!
//! It fails if a user with a valid refresh token had to authorize again.

mod tally;
mod world;

use std::{env, time::Duration};

use dropbox_sign_oauth::{RetryPolicy, session::SessionPolicy};
use dropbox_sign_oauth_benches::{BoxError, table};

use crate::{tally::Tally, world::World};

const DAYS: u64 = 7;

fn main() -> Result<(), BoxError> {
    let mut arguments = env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |it| it.parse());
    let (sessions, seed) = (number(1_000_000)?, number(1)?);
    let tallies = simulate(sessions, seed.into());
    let title = format!("Simulation: {sessions} sessions, {DAYS} days, seed {seed}");
    table::print(&title, " | default policy | naive policy", tally::rows(&tallies));
    match tallies[0].lost_grants {
        0 => Ok(()),
        lost => Err(format!("{lost} users authorized again despite a valid refresh token").into()),
    }
}

/// Simulates the same week with the default policy and with a naive one.
fn simulate(sessions: u32, seed: u64) -> [Tally; 2] {
    [SessionPolicy::default(), naive()].map(|policy| World::new(sessions, seed, policy).run())
}

/// Refreshes a token once it has expired, retries at once, and refreshes again a second after a
/// failure.
fn naive() -> SessionPolicy {
    let retry = RetryPolicy::default().base_delay(Duration::ZERO).max_delay(Duration::ZERO);
    SessionPolicy::default()
        .margin(Duration::ZERO)
        .spread(Duration::ZERO)
        .pause(Duration::from_secs(1))
        .longest_pause(Duration::from_secs(1))
        .retry(retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loses_no_valid_grant_and_repeats_a_seed() {
        let [default, naive] = simulate(2_000, 1);
        for tally in [&default, &naive] {
            assert_eq!(tally.lost_grants, 0);
            assert!(tally.revoked > 0);
            let uses = tally.cached + tally.waited + tally.failed + tally.revoked;
            assert_eq!(uses, tally.uses);
        }
        // Most sessions that refresh ahead of expiry are not affected by the outage.
        assert!(default.failed * 2 < naive.failed);
        assert!(default.peak() * 2 < naive.peak());
        let [again, _] = simulate(2_000, 1);
        assert_eq!(again, default);
    }
}
