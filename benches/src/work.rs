//! The pieces of work that are measured.

use std::hint::black_box;

use dropbox_sign_oauth::{DEFAULT_BODY_LIMIT, Operation};

use crate::{
    bodies::{self, Body},
    by_hand, fixture, ours, peer,
};

/// Builds a token request.
pub const BUILD: &str = "build";
/// Parses a 200.
pub const PARSE: &str = "parse";
/// Builds the request and parses a 200.
pub const EXCHANGE: &str = "exchange";
/// Parses a 400 in the shape of RFC 6749.
pub const RFC_REFUSAL: &str = "refusal, RFC shape";
/// Parses a 400 in the shape of the vendor's API.
pub const VENDOR_REFUSAL: &str = "refusal, vendor shape";
/// Builds the request and parses a 400 in the shape of RFC 6749.
pub const REFUSED: &str = "refused exchange";

/// The pieces of work, without the bodies of [`measure_bodies`].
pub const ALL: [&str; 6] = [BUILD, PARSE, EXCHANGE, RFC_REFUSAL, VENDOR_REFUSAL, REFUSED];

/// The subjects.
pub const SUBJECTS: [&str; 3] = [ours::NAME, peer::NAME, by_hand::NAME];

/// Measures pieces of work.
pub trait Meter {
    /// Measures `routine`, including the drop of its input and result, but not `setup`.
    fn measure<I>(
        &mut self,
        work: &'static str,
        subject: &'static str,
        setup: impl Fn() -> I,
        routine: impl Fn(I),
    );
}

/// Passes the pieces of [`ALL`] of every subject to `meter`.
///
/// The parser of oauth2 cannot be called without building a request.
///
/// # Panics
/// If a piece of work has another result than expected.
pub fn measure_all(meter: &mut impl Meter) {
    let app = ours::app();
    let client = peer::client(fixture::TOKEN_URL);
    let url = fixture::TOKEN_URL;
    let code_by_hand = || String::from(fixture::CODE);

    meter.measure(BUILD, ours::NAME, ours::code, |code| {
        drop(black_box(app.generate(code).request()));
    });
    meter.measure(BUILD, peer::NAME, peer::code, |code| {
        peer::build(&client, code);
    });
    meter.measure(BUILD, by_hand::NAME, code_by_hand, |code| {
        drop(black_box(by_hand::build(url, &code, fixture::STATE)));
    });

    let input = || (app.generate(ours::code()), fixture::success());
    meter.measure(PARSE, ours::NAME, input, |(operation, response)| {
        drop(black_box(operation.parse(response).unwrap()));
    });
    meter.measure(PARSE, by_hand::NAME, fixture::success, |response| {
        drop(black_box(by_hand::parse(&response).unwrap()));
    });

    let input = || (ours::code(), fixture::success());
    meter.measure(EXCHANGE, ours::NAME, input, |(code, response)| {
        drop(black_box(ours::exchange(&app, code, response).unwrap()));
    });
    let input = || (peer::code(), fixture::success());
    meter.measure(EXCHANGE, peer::NAME, input, |(code, response)| {
        let result = peer::exchange(&client, code, || response);
        drop(black_box(result.unwrap()));
    });
    let input = || (code_by_hand(), fixture::success());
    meter.measure(EXCHANGE, by_hand::NAME, input, |(code, response)| {
        drop(black_box(by_hand::exchange(url, &code, &response).unwrap()));
    });

    for (work, body) in
        [(RFC_REFUSAL, fixture::RFC_REFUSAL), (VENDOR_REFUSAL, fixture::VENDOR_REFUSAL)]
    {
        let input = || (app.generate(ours::code()), fixture::refusal(body));
        meter.measure(work, ours::NAME, input, |(operation, response)| {
            drop(black_box(operation.parse(response).unwrap_err()));
        });
        let input = || fixture::refusal(body);
        meter.measure(work, by_hand::NAME, input, |response| {
            drop(black_box(by_hand::parse(&response).unwrap_err()));
        });
    }

    let refusal = || fixture::refusal(fixture::RFC_REFUSAL);
    let input = || (ours::code(), refusal());
    meter.measure(REFUSED, ours::NAME, input, |(code, response)| {
        drop(black_box(ours::exchange(&app, code, response).unwrap_err()));
    });
    let input = || (peer::code(), refusal());
    meter.measure(REFUSED, peer::NAME, input, |(code, response)| {
        let result = peer::exchange(&client, code, || response);
        drop(black_box(result.unwrap_err()));
    });
    let input = || (code_by_hand(), refusal());
    meter.measure(REFUSED, by_hand::NAME, input, |(code, response)| {
        let result = by_hand::exchange(url, &code, &response);
        drop(black_box(result.unwrap_err()));
    });
}

/// Passes the bodies of [`bodies::KINDS`] at the body limit to `meter`, for this library and for
/// oauth2. The work of oauth2 includes building the request.
pub fn measure_bodies(meter: &mut impl Meter) {
    let app = ours::app();
    let client = peer::client(fixture::TOKEN_URL);
    for (kind, _) in bodies::KINDS {
        let response = || body(kind).response();
        let input = || (app.generate(ours::code()), response());
        meter.measure(kind, ours::NAME, input, |(operation, response)| {
            drop(black_box(operation.parse(response)));
        });
        let input = || (peer::code(), response());
        meter.measure(kind, peer::NAME, input, |(code, response)| {
            drop(black_box(peer::exchange(&client, code, || response)));
        });
    }
}

/// Returns the body of this kind at the body limit.
#[must_use]
pub fn body(kind: &str) -> Body {
    Body::new(kind, DEFAULT_BODY_LIMIT)
}
