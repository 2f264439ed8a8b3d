//! What was to be reached, and whether it was.

use dropbox_sign_oauth_benches::{by_hand, ours, peer, results::median, work};

use crate::data::{BARE_HYPER, BARE_UREQ, Data, HONEST, HYPER, OAUTH2_REQWEST, Setup, UREQ};

/// One goal.
pub(crate) struct Goal {
    pub(crate) work: &'static str,
    pub(crate) against: String,
    pub(crate) bound: Bound,
    pub(crate) measured: f64,
}

/// What a measured value is compared with.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.measured <= bound,
            Bound::AtLeast(bound) => self.measured >= bound,
        }
    }
}

/// All goals.
pub(crate) fn all(data: &Data) -> Vec<Goal> {
    let exchange = |subject| data.nanos(work::EXCHANGE, subject);
    let allocations = |subject| {
        data.allocations(work::EXCHANGE, subject)
            .map_or(f64::NAN, |row| {
                f64::from(u32::try_from(row.count).unwrap_or(u32::MAX))
            })
    };
    let weight = |subject| data.weight(subject);
    let packages = |subject| weight(subject).map_or(f64::NAN, |row| row.packages);
    let seconds = |subject| weight(subject).map_or(f64::NAN, |row| row.seconds);
    let at_256 = Setup::new("http", "kept", 256);
    let rate = |theirs| median(data.ratios(&at_256, HYPER, theirs, |round| round.rate));
    let ureq = |threads| {
        let setup = Setup::new("http", "kept", threads);
        median(data.ratios(&setup, UREQ, BARE_UREQ, |round| round.rate))
    };
    let worst = data
        .worst_kind()
        .map_or(f64::NAN, |kind| data.per_byte_at_limit(kind));
    let goal = |work, against: &str, bound, measured| Goal {
        work,
        against: against.into(),
        bound,
        measured,
    };
    vec![
        goal(
            "whole exchange, CPU",
            "oauth2",
            Bound::AtMost(0.25),
            exchange(ours::NAME) / exchange(peer::NAME),
        ),
        goal(
            "whole exchange, CPU",
            "serde_json and base64 by hand",
            Bound::AtMost(0.75),
            exchange(ours::NAME) / exchange(by_hand::NAME),
        ),
        goal(
            "allocations for it, the response's own left out",
            &format!("oauth2: {}", allocations(peer::NAME)),
            Bound::AtMost(6.0),
            allocations(ours::NAME),
        ),
        goal(
            "exchanges per second, hyper adapter, 256 in flight, kept connections",
            BARE_HYPER,
            Bound::AtLeast(0.97),
            rate(BARE_HYPER),
        ),
        goal(
            "the same",
            OAUTH2_REQWEST,
            Bound::AtLeast(1.3),
            rate(OAUTH2_REQWEST),
        ),
        goal(
            "exchanges per second, ureq adapter, 1 thread, kept connections",
            BARE_UREQ,
            Bound::AtLeast(0.97),
            ureq(1),
        ),
        goal(
            "the same, 16 threads",
            BARE_UREQ,
            Bound::AtLeast(0.97),
            ureq(16),
        ),
        goal(
            "p99 latency, hyper adapter, 256 in flight, kept connections",
            BARE_HYPER,
            Bound::AtMost(1.05),
            median(data.ratios(&at_256, HYPER, BARE_HYPER, |round| round.p99)),
        ),
        goal(
            "parse at the body limit, worst hostile body, each byte",
            "an honest response of the usual length",
            Bound::AtMost(2.0),
            worst / data.per_byte_of_honest(),
        ),
        goal(
            "the same",
            "an honest body as long, one long token",
            Bound::AtMost(2.0),
            worst / data.per_byte_at_limit(HONEST),
        ),
        goal(
            "packages of the core",
            &format!("oauth2: {}", packages(peer::NAME)),
            Bound::AtMost(20.0),
            packages(ours::NAME),
        ),
        goal(
            "cold release build of the core, user seconds",
            "oauth2 without features",
            Bound::AtMost(0.35),
            seconds(ours::NAME) / seconds(peer::NAME),
        ),
    ]
}
