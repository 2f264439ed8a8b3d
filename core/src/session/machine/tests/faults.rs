//! Single faults and their effects.

use core::time::Duration;
use std::vec::Vec;

use crate::{
    Remedy, Token, UnixTime,
    session::{Background, Job, Record, RefreshState, SessionError, Step},
};

use super::{
    service::{Behaviour, token},
    world::{Fault, World},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A world whose access token has expired.
fn expired(behaviour: Behaviour, processes: u64) -> World {
    let mut world = World::authorized(behaviour, processes);
    world.pass(DAY);
    world
}

/// Finishes the jobs of a process until `is_wanted` is in flight.
fn until(world: &mut World, process: usize, is_wanted: impl Fn(&Job) -> bool) {
    for _ in 0..100 {
        let _ = world.ask(process);
        match world.processes[process].calls.first() {
            Some(call) if is_wanted(&call.job) => return,
            Some(_) => world.finish(process, 0, None),
            None => world.pass(Duration::from_millis(100)),
        }
    }
    panic!("no such job");
}

fn is_claim(job: &Job) -> bool {
    matches!(job, Job::Swap(swap) if matches!(swap.record().refresh(), RefreshState::InProgress { .. }))
}

fn is_refresh(job: &Job) -> bool {
    matches!(job, Job::Refresh(_))
}

/// A swap that stores tokens, or a failure.
fn is_result(job: &Job) -> bool {
    matches!(job, Job::Swap(_)) && !is_claim(job)
}

fn stored_token(world: &World) -> &str {
    let stored: &Record = world.stored.as_ref().unwrap();
    stored.tokens().access_token.expose()
}

fn reject(world: &mut World, process: usize, token: &Token) {
    let now = world.now(process);
    world.processes[process].session.handle_rejection(now, token);
}

#[test]
fn stores_new_tokens_after_failed_writes_without_a_caller() {
    let mut world = expired(Behaviour::default(), 2);
    until(&mut world, 0, is_result);
    for _ in 0..5 {
        world.finish(0, 0, Some(Fault::Cut));
        // From here on, only the background task runs.
        while let Background::Wait(until) = world.work(0) {
            world.pass(until.saturating_since(world.now(0)));
        }
    }
    assert!(world.processes[0].session.has_unstored_tokens());
    world.settle();
    assert_eq!(stored_token(&world), "a0.1");
    assert_eq!(world.token(1).unwrap().expose(), "a0.1");
}

#[test]
fn continues_at_once_with_a_claim_whose_acknowledgement_was_lost() {
    for fault in [Fault::LostAck, Fault::GiveUp, Fault::Abandon] {
        let mut world = expired(Behaviour::default(), 1);
        until(&mut world, 0, is_claim);
        world.finish(0, 0, Some(fault));
        let start = world.time;
        // Callers get the error. The work continues in the background.
        world.settle();
        assert_eq!(world.token(0).unwrap().expose(), "a0.1");
        let waited = world.time.saturating_since(start);
        assert!(waited < Duration::from_secs(1), "{fault:?}: {waited:?}");
    }
}

#[test]
fn continues_at_once_with_a_claim_that_is_stored_late() {
    let mut world = expired(Behaviour::default(), 1);
    until(&mut world, 0, is_claim);
    world.give_up(0, 0);
    world.pass(Duration::from_millis(100));
    // The following load does not see the claim, which is stored just after it.
    let _ = world.ask(0);
    assert!(matches!(world.processes[0].calls[1].job, Job::Load(_)));
    world.finish(0, 1, None);
    world.perform(0, 0);
    let start = world.time;
    assert_eq!(world.token(0).unwrap().expose(), "a0.1");
    assert!(world.time.saturating_since(start) < Duration::from_secs(1));
}

#[test]
fn finishes_its_work_after_a_late_refresh_and_a_claim_of_unknown_outcome() {
    for fault in [Fault::Cut, Fault::LostAck, Fault::GiveUp, Fault::Abandon] {
        let mut world = expired(Behaviour::default(), 1);
        until(&mut world, 0, is_refresh);
        // The process is stopped for longer than the refresh may take, and then claims it anew.
        world.pass(Duration::from_secs(800));
        let _ = world.ask(0);
        assert!(is_claim(&world.processes[0].calls[1].job));
        world.finish(0, 1, Some(fault));
        // The response arrives before the record is loaded.
        world.finish(0, 0, None);
        world.settle();
        assert_eq!(stored_token(&world), "a0.1", "{fault:?}");
        let flushed =
            world.processes[0].session.poll_flushed(world.now(0), UnixTime::from_secs(u64::MAX));
        assert!(matches!(flushed, Step::Ready(())), "{fault:?}");
    }
}

#[test]
fn returns_a_valid_token_while_the_store_hangs() {
    let mut world = World::authorized(Behaviour::default(), 1);
    // The refresh is due, and the token is valid for two hours.
    world.pass(22 * HOUR);
    for _ in 0..7_000 {
        let step = world.ask(0);
        assert!(matches!(step, Step::Ready(token) if token.expose() == "a0.0"));
        world.pass(Duration::from_secs(1));
    }
    assert!(!world.processes[0].calls.is_empty());
}

#[test]
fn the_same_access_token_again_counts_as_a_refresh() {
    let behaviour = Behaviour { repeats_access_token: true, ..Behaviour::default() };
    let mut world = World::authorized(behaviour, 1);
    for _ in 0..50 {
        let token = world.token(0).unwrap();
        reject(&mut world, 0, &token);
        assert_eq!(world.token(0).unwrap(), token);
    }
    assert_eq!(world.service.refreshes, 1);
}

#[test]
fn no_older_authorization_overwrites_a_newer_one() {
    let faults =
        [None, Some(Fault::Cut), Some(Fault::LostAck), Some(Fault::GiveUp), Some(Fault::Abandon)];
    // The older one is stored by the process of the newer one, or by another process.
    for (fault, newer, is_refreshed) in faults
        .into_iter()
        .flat_map(|fault| [(fault, 0), (fault, 1)])
        .flat_map(|(fault, newer)| [(fault, newer, false), (fault, newer, true)])
    {
        let mut world = World::authorized(Behaviour::default(), 2);
        world.pass(HOUR);
        world.authorize(0);
        until(&mut world, 0, is_result);
        world.finish(0, 0, fault);
        world.pass(Duration::from_secs(10));
        world.authorize(newer);
        for _ in 0..20 {
            let _ = world.ask(newer);
            if !world.processes[newer].calls.is_empty() {
                world.finish(newer, 0, None);
            }
        }
        assert_eq!(stored_token(&world), "a2.0", "{fault:?} {newer}");
        if is_refreshed {
            world.pass(DAY);
            world.token(newer).unwrap();
        }
        world.settle();
        assert!(stored_token(&world).starts_with("a2."), "{fault:?} {newer}");
        assert!(!world.check_user());
    }
}

#[test]
fn an_authorization_that_loads_the_record_late_does_not_replace_a_newer_one() {
    let mut world = World::authorized(Behaviour::default(), 2);
    world.pass(HOUR);
    world.crash(0, 0);
    world.authorize(0);
    let _ = world.ask(0);
    world.finish(0, 0, Some(Fault::Cut));
    world.pass(Duration::from_secs(30));
    world.authorize(1);
    world.settle();
    assert_eq!(stored_token(&world), "a2.0");
}

#[test]
fn keeps_a_newer_authorization_after_an_error_of_the_store() {
    let mut world = World::authorized(Behaviour::default(), 2);
    world.pass(HOUR);
    // The older one is slow.
    world.authorize(1);
    until(&mut world, 1, is_result);
    world.pass(Duration::from_secs(3));
    world.authorize(0);
    until(&mut world, 0, is_result);
    world.finish(0, 0, Some(Fault::Cut));
    world.finish(1, 0, None);
    assert_eq!(stored_token(&world), "a1.0");
    world.settle();
    assert_eq!(stored_token(&world), "a2.0");
}

#[test]
fn an_authorization_replaces_an_older_one_that_was_stored_by_a_fast_clock() {
    let mut world = World::new(Behaviour::default(), 2);
    world.clocks_are_right = false;
    world.processes[1].skew = 600;
    world.authorize(1);
    world.settle();
    world.pass(Duration::from_secs(60));
    world.authorize(0);
    world.settle();
    assert_eq!(stored_token(&world), "a1.0");
}

#[test]
fn an_authorization_after_the_end_survives_a_conflict_of_an_earlier_swap() {
    let mut world = expired(Behaviour::default(), 2);
    until(&mut world, 0, is_claim);
    until(&mut world, 1, is_claim);
    world.finish(1, 0, None);
    world.end(0);
    world.authorize(0);
    world.finish(0, 0, None);
    world.settle();
    assert_eq!(stored_token(&world), "a1.0");
}

#[test]
fn the_end_of_a_session_reaches_the_other_processes() {
    let mut world = World::authorized(Behaviour::default(), 2);
    assert!(world.token(1).is_ok());
    world.end(0);
    assert!(matches!(world.poll(0), Step::Fail(SessionError::NoTokens)));
    world.settle();
    assert_eq!(world.stored, None);
    world.pass(DAY);
    for process in 0..2 {
        let error = (0..10).find_map(|_| {
            world.pass(Duration::from_secs(1));
            world.token(process).err()
        });
        assert!(error.unwrap().needs_authorization());
        assert!(world.processes[process].session.needs_authorization());
    }
}

#[test]
fn reads_again_after_invalid_grant_before_it_reports_revoked() {
    let behaviour = Behaviour { revokes_families: false, ..Behaviour::default() };
    let mut world = expired(behaviour, 2);
    until(&mut world, 0, is_result);
    world.finish(0, 0, Some(Fault::Cut));
    // The first process is stopped until its claim has expired.
    world.pass(Duration::from_secs(800));
    until(&mut world, 1, is_refresh);
    world.finish(1, 0, None);
    for _ in 0..50 {
        let step = world.ask(1);
        assert!(matches!(step, Step::Wait(_)), "{step:?}");
        if !world.processes[1].calls.is_empty() {
            world.finish(1, 0, None);
        }
        world.pass(Duration::from_secs(1));
    }
    world.settle();
    assert_eq!(world.token(1).unwrap().expose(), "a0.1");
    assert!(!world.check_user());
}

#[test]
fn reports_revoked_tokens_once_they_have_expired() {
    let mut world = World::authorized(Behaviour::default(), 2);
    world.service.revoke();
    world.pass(23 * HOUR);
    assert!(world.token(0).is_ok());
    world.settle();
    world.pass(HOUR);
    for process in 0..2 {
        let error = world.token(process).unwrap_err();
        assert!(matches!(error, SessionError::Revoked { .. }), "{error:?}");
        assert!(error.needs_authorization());
    }
    assert_eq!(world.service.refreshes, 1);
}

#[test]
fn a_claim_survives_clocks_that_are_ten_minutes_apart() {
    for skew in [-600, 600] {
        let mut world = expired(Behaviour::default(), 2);
        world.processes[1].skew = skew;
        world.pass(HOUR);
        until(&mut world, 0, is_refresh);
        for _ in 0..90 {
            let _ = world.ask(1);
            let calls = &world.processes[1].calls;
            assert!(!calls.iter().any(|call| is_claim(&call.job)), "{skew}");
            if !calls.is_empty() {
                world.finish(1, 0, None);
            }
            world.pass(Duration::from_secs(1));
        }
        world.settle();
        assert_eq!(world.service.refreshes, 1, "{skew}");
    }
}

/// Asks every second for a day. Returns the last error and the number of refreshes.
fn day_of_rejections(status: u16, code: &'static str) -> (SessionError, u32, World) {
    let mut world =
        expired(Behaviour { rejection: Some((status, code)), ..Behaviour::default() }, 1);
    let start = world.time;
    let mut last = None;
    while world.time.saturating_since(start) < DAY {
        last = world.token(0).err().or(last);
        world.pass(Duration::from_secs(1));
    }
    (last.unwrap(), world.service.refreshes, world)
}

#[test]
fn pauses_grow_after_rejections_that_are_not_invalid_grant() {
    for (status, code) in [(401, "unauthorized"), (403, "forbidden"), (400, "bad_request")] {
        let (error, refreshes, world) = day_of_rejections(status, code);
        // The pauses grow to at most a quarter of an hour, and at least half of that.
        assert!((90..220).contains(&refreshes), "{status}: {refreshes}");
        assert!(error.needs_authorization());
        assert!(world.processes[0].session.needs_authorization());
        assert_eq!(error.remedy(), Remedy::StartOver);
    }
    for (status, code) in [(400, "invalid_request"), (401, "invalid_client")] {
        let (error, refreshes, world) = day_of_rejections(status, code);
        assert!((90..220).contains(&refreshes), "{status}: {refreshes}");
        assert!(!error.needs_authorization());
        assert!(!world.processes[0].session.needs_authorization());
        assert_eq!(error.remedy(), Remedy::FixConfiguration);
    }
    let (error, refreshes, world) = day_of_rejections(400, "invalid_grant");
    assert!(world.processes[0].session.needs_authorization());
    assert_eq!(refreshes, 1);
    assert!(matches!(error, SessionError::Revoked { cause: Some(_) }));
}

#[test]
fn a_service_that_rejects_every_token_gets_one_refresh_a_minute() {
    let behaviour = Behaviour { rejects_access_tokens: true, ..Behaviour::default() };
    let mut world = World::authorized(behaviour, 20);
    let start = world.time;
    while world.time.saturating_since(start) < Duration::from_secs(300) {
        for process in 0..20 {
            let token = world.token(process).unwrap();
            reject(&mut world, process, &token);
            world.token(process).unwrap();
        }
        world.pass(Duration::from_secs(1));
    }
    assert!((4..=6).contains(&world.service.refreshes), "{}", world.service.refreshes);
}

/// Asks continuously for three seconds, and finishes each call with `finish`. Returns the number of
/// calls.
fn calls_in_three_seconds(
    world: &mut World,
    process: usize,
    finish: impl Fn(&mut World, usize),
) -> u32 {
    let start = world.time;
    let mut calls = 0;
    while world.time.saturating_since(start) < Duration::from_secs(3) {
        let _ = world.ask(process);
        world.pass(Duration::from_millis(1));
        if !world.processes[process].calls.is_empty() {
            calls += 1;
            finish(world, process);
        }
    }
    calls
}

#[test]
fn a_store_that_always_conflicts_leads_to_pauses() {
    let mut world = expired(Behaviour::default(), 1);
    let calls = calls_in_three_seconds(&mut world, 0, |world, process| {
        match world.processes[process].calls[0].job {
            // Another process always stores first.
            Job::Swap(_) => world.conflict(process, 0),
            _ => world.finish(process, 0, None),
        }
    });
    assert!((4..30).contains(&calls), "{calls}");
}

#[test]
fn a_store_whose_loads_lag_leads_to_pauses() {
    let mut world = expired(Behaviour::default(), 2);
    until(&mut world, 0, is_claim);
    world.finish(0, 0, None);
    let loads = calls_in_three_seconds(&mut world, 1, |world, process| {
        world.finish(process, 0, Some(Fault::Lag));
    });
    assert!((4..60).contains(&loads), "{loads}");
}

#[test]
fn a_caller_that_waits_for_another_process_reads_soon_and_then_less_often() {
    let mut world = expired(Behaviour::default(), 2);
    until(&mut world, 0, is_refresh);
    let start = world.time;
    let mut times = Vec::new();
    while times.len() < 8 {
        let _ = world.ask(1);
        if !world.processes[1].calls.is_empty() {
            times.push(world.time.saturating_since(start).as_millis());
            world.finish(1, 0, None);
        }
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(times[0], 0);
    assert!((50..60).contains(&times[1]), "{times:?}");
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted() && gaps[6] >= 1_000, "{gaps:?}");
}

#[test]
fn claims_again_if_little_of_the_lease_is_left() {
    let mut world = expired(Behaviour::default(), 1);
    until(&mut world, 0, is_claim);
    let claimed_until = |world: &World| match world.processes[0].calls[0].job {
        Job::Swap(ref swap) => match swap.record().refresh() {
            RefreshState::InProgress { until, .. } => until,
            other => panic!("{other:?}"),
        },
        ref job => panic!("{job:?}"),
    };
    let first: UnixTime = claimed_until(&world);
    world.perform(0, 0);
    world.pass(Duration::from_secs(4));
    world.finish(0, 0, None);
    world.pass(Duration::from_secs(40));
    let _ = world.ask(0);
    assert!(claimed_until(&world) > first);
    world.finish(0, 0, None);
    let _ = world.ask(0);
    assert!(is_refresh(&world.processes[0].calls[0].job));
}

#[test]
fn ignores_the_rejection_of_another_token() {
    let mut world = World::authorized(Behaviour::default(), 1);
    reject(&mut world, 0, &token("a0.9"));
    assert_eq!(world.token(0).unwrap().expose(), "a0.0");
    assert_eq!(world.service.refreshes, 0);
}

#[test]
fn a_newer_authorization_cancels_the_job_in_progress() {
    let mut world = expired(Behaviour::default(), 1);
    until(&mut world, 0, is_refresh);
    world.authorize(0);
    let _ = world.ask(0);
    // Storing the authorization does not wait for the refresh.
    assert!(matches!(world.processes[0].calls[1].job, Job::Load(_)));
    world.finish(0, 1, None);
    let _ = world.ask(0);
    world.finish(0, 1, None);
    assert_eq!(stored_token(&world), "a1.0");
    // The response arrives late, and changes nothing.
    world.finish(0, 0, None);
    world.settle();
    assert_eq!(stored_token(&world), "a1.0");
}

#[test]
fn refreshed_tokens_do_not_replace_an_authorization_of_another_process() {
    let mut world = expired(Behaviour::default(), 2);
    until(&mut world, 0, is_result);
    world.authorize(1);
    while world.stored.as_ref().unwrap().tokens().access_token.expose() != "a1.0" {
        let _ = world.ask(1);
        world.finish(1, 0, None);
    }
    world.settle();
    assert_eq!(stored_token(&world), "a1.0");
    assert_eq!(world.token(0).unwrap().expose(), "a1.0");
}
