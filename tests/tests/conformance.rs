//! Both adapters through every fault. Their outcomes differ only where this file says so.

use std::{future, thread};

use dropbox_sign_oauth_hyper as hyper;
use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Report},
    fault::{Outcome, Resolution},
};
use dropbox_sign_oauth_ureq as ureq;

const UNKNOWN: &[Outcome] = &[Outcome::Unknown];
const MALFORMED: &[Outcome] = &[Outcome::Malformed];
const OK: &[Outcome] = &[Outcome::Ok];
const EITHER: &[Outcome] = &[Outcome::Ok, Outcome::Unknown];

/// How far a request got before the connection ended is up to the scheduling.
const LOST: &[Outcome] = &[Outcome::Unknown, Outcome::NotSent];
const EARLY: &[Outcome] = &[Outcome::Rejected, Outcome::Unknown];

/// The outcomes of hyper and of ureq in the cases in which more than one is right, or in which they
/// differ.
const OUTCOMES: &[(&str, &[Outcome], &[Outcome])] = &[
    ("fin-on-accept", LOST, LOST),
    ("reset-on-accept", LOST, LOST),
    ("early-400-then-reset", EARLY, EARLY),
    ("unsolicited-response-refresh", OK, OK),
    // RFC 9110 lets a 100 have headers; ureq rejects it.
    ("interim-100-with-headers", OK, UNKNOWN),
    ("space-before-a-colon", UNKNOWN, UNKNOWN),
    ("switching-protocols", MALFORMED, MALFORMED),
    ("status-999", MALFORMED, MALFORMED),
    ("close-delimited-cut", MALFORMED, MALFORMED),
    ("chunk-extension-endless", UNKNOWN, UNKNOWN),
    ("trailers-endless", OK, OK),
    ("content-length-10^30", UNKNOWN, UNKNOWN),
    // Both arrive at once, and rustls reports the record first.
    ("complete-object-then-broken-record", EITHER, OK),
    ("proxy-dies-at-every-byte", OK, OK),
];

fn run_hyper() -> Report {
    let run = Conformance::new("hyper").with_resolver().with_proxy();
    run.with_http2().run_async(|setup| {
        let mut builder = hyper::Transport::builder()
            .deadline(setup.deadline)
            .connect_timeout(setup.connect_timeout)
            .body_limit(setup.body_limit)
            .extra_root(setup.root_certificate.clone());
        let resolution = setup.resolution;
        if resolution != Resolution::System {
            builder = builder.resolver(move |host| async move {
                match resolution.addresses(&host) {
                    Some(result) => result,
                    None => future::pending().await,
                }
            });
        }
        if let Some(proxy) = &setup.proxy {
            builder = builder.proxy(proxy);
        }
        if setup.http2 {
            builder = builder.http2();
        }
        let transport = builder.build().expect("valid settings");
        async move |operation| transport.send(operation).await
    })
}

fn run_ureq() -> Report {
    let run = Conformance::new("ureq").with_resolver().with_proxy();
    let run = run.allow("interim-100-with-headers", Outcome::Unknown);
    run.run_blocking(|setup| {
        let mut builder = ureq::Transport::builder()
            .deadline(setup.deadline)
            .connect_timeout(setup.connect_timeout)
            .body_limit(setup.body_limit)
            .extra_root(setup.root_certificate.clone());
        let resolution = setup.resolution;
        if resolution != Resolution::System {
            builder = builder.resolver(move |host| match resolution.addresses(host) {
                Some(result) => result,
                None => loop {
                    thread::park();
                },
            });
        }
        if let Some(proxy) = &setup.proxy {
            builder = builder.proxy(proxy);
        }
        let transport = builder.build().expect("valid settings");
        move |operation| transport.send(operation)
    })
}

#[test]
fn adapters_have_the_same_outcomes_but_where_named() {
    let (hyper, ureq) = (run_hyper(), run_ureq());
    println!("{hyper}\n{ureq}");
    hyper.assert_conforms();
    ureq.assert_conforms();
    for (row, other) in hyper.rows.iter().zip(&ureq.rows) {
        // A blocking call cannot be dropped, and ureq speaks no HTTP/2.
        let (Some(hyper), Some(ureq)) = (row.outcome, other.outcome) else {
            assert!(other.not_applicable.is_some());
            continue;
        };
        let named = OUTCOMES.iter().find(|(case, ..)| *case == row.case);
        let is_right = match named {
            Some((_, h, u)) => h.contains(&hyper) && u.contains(&ureq),
            None => hyper == ureq && row.expected.len() == 1,
        };
        assert!(is_right, "{}: hyper {hyper:?}, ureq {ureq:?}", row.case);
    }
}
