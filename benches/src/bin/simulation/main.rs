//! Simulates a million sessions over a week with the session state machine: it has no sockets, and
//! its clock is simulated.
//!
//! ```text
//! cargo run --release -p dropbox-sign-oauth-benches --bin simulation [SESSIONS [DAYS [SEED]]]
//! ```
//!
//! All sessions begin within an hour, the worst case for the token endpoint. The service has a rate
//! limit, bursts of failures and an outage of an hour, rejects a few access tokens early, and
//! rotates refresh tokens. The same week is simulated with the default policy and with a naive one.
//!
//! It fails if a user with a valid refresh token had to authorize again.

mod service;
mod tally;
mod world;

use std::{env, process::ExitCode, time::Duration};

use dropbox_sign_oauth::{RetryPolicy, session::SessionPolicy};
use dropbox_sign_oauth_benches::table;

use crate::{tally::Tally, world::World};

/// What is simulated.
#[derive(Clone, Copy)]
struct Options {
    sessions: u32,
    days: u32,
    seed: u64,
}

fn main() -> ExitCode {
    let numbers: Option<Vec<u32>> = env::args()
        .skip(1)
        .map(|argument| argument.parse().ok().filter(|number| *number > 0))
        .collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() <= 3) else {
        eprintln!("usage: simulation [SESSIONS [DAYS [SEED]]]");
        return ExitCode::from(2);
    };
    let number = |index, default| numbers.get(index).copied().unwrap_or(default);
    let options =
        Options { sessions: number(0, 1_000_000), days: number(1, 7), seed: number(2, 1).into() };
    let tallies = simulate(options);
    let title = format!(
        "Simulation: {} sessions, {} days, seed {}",
        options.sessions, options.days, options.seed
    );
    let head = " | default policy | naive policy";
    table::print(&title, head, tally::rows(&tallies));
    match tallies[0].lost_grants {
        0 => ExitCode::SUCCESS,
        lost => {
            eprintln!("error: {lost} users authorized again despite a valid refresh token");
            ExitCode::FAILURE
        }
    }
}

/// Simulates the same week with the default policy and with a naive one.
fn simulate(options: Options) -> [Tally; 2] {
    [SessionPolicy::default(), naive()].map(|policy| World::new(options, policy).run())
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
        let options = Options { sessions: 2_000, days: 7, seed: 1 };
        let [default, naive] = simulate(options);
        for tally in [&default, &naive] {
            assert_eq!(tally.lost_grants, 0);
            assert!(tally.revoked > 0);
            let uses = tally.cached + tally.waited + tally.failed + tally.revoked;
            assert_eq!(uses, tally.uses);
        }
        // Most sessions that refresh ahead of expiry are not affected by the outage.
        assert!(default.failed * 2 < naive.failed);
        assert!(default.peak() * 2 < naive.peak());
        let [again, _] = simulate(options);
        assert_eq!(again, default);
    }
}
