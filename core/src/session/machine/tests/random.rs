//! Random runs of the world, each from a seed: cut connections, lost and late acknowledgements,
//! lagging loads, crashes, clocks that differ and jump, and several authorizations.
//!
//! A million runs: `SESSION_RUNS=1000000 cargo test --release -p dropbox-sign-oauth --lib random --
//! --nocapture`.

use core::time::Duration;
use std::{collections::BTreeMap, env, println};

use super::{
    service::Behaviour,
    world::{Fault, World},
};

/// The number of runs of the test suite.
const RUNS: u64 = 3_000;

/// The longest time for which work that has begun makes no progress. A claim expires after the
/// lease of two minutes and the tolerance of ten. Clocks that differ may use up the tolerance, so
/// this is less than the lease.
const MAX_STOPPED: Duration = Duration::from_secs(100);

/// Seeds whose runs once broke an invariant.
const SEEDS: &[u64] = &[8, 133, 2_290];

/// A generator of random numbers (`SplitMix64`), so that a seed has one meaning on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// The difference of a clock, within the policy's tolerance of ten minutes between any two.
    fn skew(&mut self) -> i64 {
        i64::try_from(self.below(601)).unwrap() - 300
    }
}

/// Simulates one run. Returns its counts, and whether the user had to authorize again for a reason
/// that no client can prevent.
fn run(seed: u64) -> (BTreeMap<&'static str, u64>, bool) {
    let random = &mut Random(seed);
    let behaviour = Behaviour {
        rotates: random.chance(80),
        revokes_families: random.chance(50),
        lifetime: [20, 3_600, 86_400][random.below(3)],
        ..Behaviour::default()
    };
    let has_skew = random.chance(50);
    let faults = [0, 5, 20][random.below(3)];
    let crashes = [0, 0, 1][random.below(3)];
    let mut world = World::new(behaviour, 1 + random.next() % 3);
    world.clocks_are_right = !has_skew;
    world.authorize(0);
    world.settle();
    for _ in 0..random.below(120) {
        step(&mut world, random, has_skew, faults, crashes);
    }
    let is_lost = world.check_user();
    (world.counts, is_lost)
}

fn step(world: &mut World, random: &mut Random, has_skew: bool, faults: usize, crashes: usize) {
    let process = random.below(world.processes.len());
    let calls = world.processes[process].calls.len();
    if random.chance(crashes) {
        let skew = if has_skew { random.skew() } else { 0 };
        world.count("crashes");
        return world.crash(process, skew);
    }
    match random.below(14) {
        0..4 => {
            let _ = world.ask(process);
        }
        4..6 => {
            let _ = world.work(process);
        }
        6..10 if calls > 0 => {
            let fault = random.chance(faults).then(|| {
                [Fault::Cut, Fault::LostAck, Fault::Lag, Fault::GiveUp, Fault::Abandon]
                    [random.below(5)]
            });
            world.finish(process, random.below(calls), fault);
        }
        10 if calls > 0 => {
            let index = random.below(calls);
            world.count("late acknowledgements");
            world.perform(process, index);
            if random.chance(faults) {
                world.give_up(process, index);
            }
        }
        11 => {
            let seconds = [0, 1, 5, 60, 130, 800, 9_000, 70_000][random.below(8)];
            if seconds >= 5 {
                let gives_up = random.chance(faults);
                world.enforce_time_limits(gives_up);
            }
            // No process is stopped for longer than the lease and the tolerance of the clocks.
            if world.stopped + Duration::from_secs(seconds) > MAX_STOPPED {
                world.settle();
            }
            world.pass(Duration::from_millis(seconds * 1_000 + 37));
        }
        12 if has_skew && random.chance(30) => {
            world.count("clock jumps");
            world.processes[process].skew = random.skew();
        }
        13 if random.chance(15) => {
            world.count("authorizations");
            world.authorize(process);
        }
        13 if random.chance(10) => {
            let token = world.processes[process].session.record();
            if let Some(token) = token.map(|record| record.tokens().access_token.clone()) {
                let now = world.now(process);
                world.processes[process].session.handle_rejection(now, &token);
            }
        }
        _ => {}
    }
}

#[test]
fn random_runs_lose_no_valid_authorization() {
    let runs = env::var("SESSION_RUNS").map_or(RUNS, |runs| runs.parse().expect("a number"));
    let mut counts = BTreeMap::<_, u64>::new();
    let mut lost = 0_u64;
    for seed in SEEDS.iter().copied().chain(0..runs) {
        let run = std::panic::catch_unwind(|| run(seed));
        let (run_counts, is_lost) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        lost += u64::from(is_lost);
        for (what, count) in run_counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{runs} runs, {lost} authorizations lost by a process that died or a lost response");
    for (what, count) in counts {
        println!("{count:>12} {what}");
    }
}
