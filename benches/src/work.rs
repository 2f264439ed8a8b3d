//! The list of what is measured, by whatever measures it.

use std::{hint::black_box, sync::Mutex};

use dropbox_sign_oauth::Operation;
use oauth2::CsrfToken;

use crate::{by_hand, fixture, ours, peer};

/// Builds a request.
pub const BUILD: &str = "build";
/// Reads a 200.
pub const PARSE: &str = "parse";
/// Both.
pub const EXCHANGE: &str = "whole exchange";
/// Both, with a 400.
pub const REFUSED: &str = "refused exchange";
/// Reads a callback.
pub const CALLBACK: &str = "callback";
/// Asks a session for the token that it has.
pub const POLL: &str = "session poll";

/// All of them.
pub const ALL: [&str; 6] = [BUILD, PARSE, EXCHANGE, REFUSED, CALLBACK, POLL];

/// Whether a subject has no such piece of work.
#[must_use]
pub fn is_missing(work: &str, subject: &str) -> bool {
    subject == peer::NAME && [PARSE, POLL].contains(&work)
}

/// Measures pieces of work.
pub trait Meter {
    /// Measures `routine`, which includes the drop of what it makes, and leaves out `setup`.
    fn measure<I>(
        &mut self,
        work: &'static str,
        subject: &'static str,
        setup: impl Fn() -> I,
        routine: impl Fn(I),
    );
}

/// Shows a `meter` every piece of work, done by every subject.
///
/// oauth2's parsing is not to be had without its building, so it has no [`PARSE`]; and it keeps no
/// tokens, so it has no [`POLL`].
///
/// # Panics
/// If a piece of work fails, or does not.
pub fn measure_all(meter: &mut impl Meter) {
    let app = ours::app();
    let state = ours::state();
    let client = peer::client(fixture::TOKEN_URL);
    let csrf = CsrfToken::new(fixture::STATE.into());
    let url = fixture::TOKEN_URL;

    meter.measure(BUILD, ours::NAME, ours::code, |code| {
        drop(black_box(app.generate(code).request()));
    });
    meter.measure(BUILD, peer::NAME, peer::code, |code| {
        peer::build(&client, code);
    });
    meter.measure(BUILD, by_hand::NAME, code_by_hand, |code| {
        drop(black_box(by_hand::build(url, &code, fixture::STATE)));
    });

    let operation = || (app.generate(ours::code()), fixture::success());
    meter.measure(PARSE, ours::NAME, operation, |(operation, response)| {
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
        drop(black_box(peer::exchange(&client, code, response).unwrap()));
    });
    let input = || (code_by_hand(), fixture::success());
    meter.measure(EXCHANGE, by_hand::NAME, input, |(code, response)| {
        drop(black_box(by_hand::exchange(url, &code, &response).unwrap()));
    });

    let input = || (ours::code(), fixture::refusal());
    meter.measure(REFUSED, ours::NAME, input, |(code, response)| {
        drop(black_box(ours::exchange(&app, code, response).unwrap_err()));
    });
    let input = || (peer::code(), fixture::refusal());
    meter.measure(REFUSED, peer::NAME, input, |(code, response)| {
        let result = peer::exchange(&client, code, response);
        drop(black_box(result.unwrap_err()));
    });
    let input = || (code_by_hand(), fixture::refusal());
    meter.measure(REFUSED, by_hand::NAME, input, |(code, response)| {
        let result = by_hand::exchange(url, &code, &response);
        drop(black_box(result.unwrap_err()));
    });

    let query = || black_box(fixture::QUERY);
    meter.measure(CALLBACK, ours::NAME, query, |query| {
        drop(black_box(ours::callback(&app, query, &state).unwrap()));
    });
    meter.measure(CALLBACK, peer::NAME, query, |query| {
        drop(black_box(peer::callback(query, &csrf).unwrap()));
    });
    meter.measure(CALLBACK, by_hand::NAME, query, |query| {
        drop(black_box(by_hand::callback(query, fixture::STATE).unwrap()));
    });

    let session = Mutex::new(ours::session());
    let now = || black_box(fixture::NOW);
    meter.measure(POLL, ours::NAME, now, |now| {
        drop(black_box(ours::poll(&session, now).unwrap()));
    });
    let kept = Mutex::new(by_hand::kept());
    meter.measure(POLL, by_hand::NAME, now, |now| {
        drop(black_box(by_hand::poll(&kept, now).unwrap()));
    });
}

fn code_by_hand() -> String {
    fixture::CODE.into()
}
