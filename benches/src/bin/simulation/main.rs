//! A million sessions over a week, through the state machines alone: no sockets, and a clock that
//! does not wait.
//!
//! ```text
//! cargo run --release -p dropbox-sign-oauth-benches --bin simulation [--sessions N] [--days N] [--seed N] [--plot PATH]
//! ```
//!
//! All sessions begin within an hour, which is the worst that can happen to those who issue tokens.
//! The service limits its rate, has bursts of failures, an hour's outage, refuses a few access tokens
//! before their time, and gives a new refresh token with each refresh, so that an answer that is lost
//! would lose the grant. The same world is lived through twice: with the library's policy, and with
//! the one that most applications begin with.
//!
//! It fails if a user had to authorize again whose refresh token still worked.

mod options;
mod plot;
mod policy;
mod service;
mod table;
mod tally;
mod user;
mod world;

use std::{env, process::ExitCode, time::Instant};

use crate::{options::Options, policy::NAMES, tally::Tally, world::World};

fn main() -> ExitCode {
    match Options::read(env::args_os().skip(1))
        .map_err(Into::into)
        .and_then(|options| run(&options))
    {
        Ok(0) => ExitCode::SUCCESS,
        Ok(lost) => {
            eprintln!(
                "error: {lost} users had to authorize again whose refresh token still worked"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives the number of users who lost a grant that was good.
fn run(options: &Options) -> Result<u64, dropbox_sign_oauth_benches::BoxError> {
    println!(
        "{} sessions, {} days, seed {}",
        options.sessions, options.days, options.seed
    );
    let begun = Instant::now();
    let tallies = simulate(options);
    println!("\n{}", table::of(&tallies));
    println!("Simulated in {:.0} s.", begun.elapsed().as_secs_f64());
    if let Some(path) = &options.plot {
        plot::draw(&tallies, options, path)?;
        println!("{} is written.", path.display());
    }
    Ok(tallies[0].lost_good_grants)
}

/// Lives through the same world with each policy.
fn simulate(options: &Options) -> [Tally; 2] {
    NAMES.map(|name| World::new(options, policy::named(name)).run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_loses_a_grant_that_is_good_and_the_same_seed_gives_the_same_week() {
        let options = Options {
            sessions: 2_000,
            ..Options::default()
        };
        let [ours, naive] = simulate(&options);
        for tally in [&ours, &naive] {
            assert_eq!(tally.lost_good_grants, 0);
            assert!(tally.revoked > 0);
            let per_minute: u64 = tally.per_minute.iter().map(|calls| u64::from(*calls)).sum();
            assert_eq!(per_minute, tally.calls());
            let uses = tally.at_once + tally.waited + tally.failed + tally.revoked;
            assert_eq!(uses, tally.uses);
        }
        // Who uses a session once a day does not notice an hour's outage.
        assert!(ours.failed * 2 < naive.failed);
        assert!(ours.peak() * 2 < naive.peak());
        let [again, _] = simulate(&options);
        assert_eq!(again, ours);
    }
}
