//! The pieces of work that are measured.

use std::hint::black_box;

use dropbox_sign_oauth::Operation;
use http::Response;

use crate::{
    bodies::{Body, KINDS, LENGTHS},
    by_hand, fixture, ours, peer,
};

/// Builds a token request.
pub const BUILD: &str = "build";
/// Parses a 200.
pub const PARSE: &str = "parse";
/// Builds the request and parses a 200.
pub const EXCHANGE: &str = "exchange";
const RFC_REFUSAL: &str = "refusal, RFC shape";
const VENDOR_REFUSAL: &str = "refusal, vendor shape";
const REFUSED: &str = "refused exchange";

/// The pieces of work, without the bodies of [`measure_bodies`].
pub const ALL: [&str; 6] = [BUILD, PARSE, EXCHANGE, RFC_REFUSAL, VENDOR_REFUSAL, REFUSED];

/// Measures pieces of work.
pub trait Meter {
    /// Measures `run`, including the drop of its input and result, but not `new`.
    fn measure<I>(&mut self, work: &str, by: &'static str, new: impl Fn() -> I, run: impl Fn(I));
}

/// A function that makes a response.
type Respond = fn() -> Response<Vec<u8>>;

const SUCCESS: Respond = fixture::success;
const RFC: Respond = || fixture::refusal(fixture::RFC_REFUSAL);
const VENDOR: Respond = || fixture::refusal(fixture::VENDOR_REFUSAL);

/// Uses and drops what was computed, which the compiler must not leave out.
fn discard<T>(it: T) {
    black_box(&it);
    drop(it);
}

/// Passes the pieces of [`ALL`] of every subject to `meter`.
///
/// The parser of oauth2 cannot be called without building a request.
pub fn measure_all(meter: &mut impl Meter) {
    let app = ours::app();
    let client = peer::client(fixture::TOKEN_URL);
    let url = fixture::TOKEN_URL;
    let code_by_hand = || String::from(fixture::CODE);

    meter.measure(BUILD, ours::NAME, ours::code, |code| {
        discard(app.generate(code).request());
    });
    meter.measure(BUILD, peer::NAME, peer::code, |code| peer::build(&client, code));
    meter.measure(BUILD, by_hand::NAME, code_by_hand, |code| {
        discard(by_hand::build(url, &code, fixture::STATE));
    });
    for (work, respond) in [(PARSE, SUCCESS), (RFC_REFUSAL, RFC), (VENDOR_REFUSAL, VENDOR)] {
        let input = || (app.generate(ours::code()), respond());
        meter.measure(work, ours::NAME, input, |(operation, response)| {
            discard(operation.parse(response));
        });
        meter.measure(work, by_hand::NAME, respond, |response| {
            discard(by_hand::parse(&response));
        });
    }
    for (work, respond) in [(EXCHANGE, SUCCESS), (REFUSED, RFC)] {
        let input = || (ours::code(), respond());
        meter.measure(work, ours::NAME, input, |(code, response)| {
            discard(ours::exchange(&app, code, response));
        });
        let input = || (peer::code(), respond());
        meter.measure(work, peer::NAME, input, |(code, response)| {
            discard(peer::exchange(&client, code, response));
        });
        let input = || (code_by_hand(), respond());
        meter.measure(work, by_hand::NAME, input, |(code, response)| {
            discard(by_hand::exchange(url, &code, &response));
        });
    }
}

/// Passes the parsing of all [`KINDS`] of bodies to `meter`, for this library and for oauth2. The
/// work of oauth2 includes building the request.
pub fn measure_bodies(meter: &mut impl Meter) {
    let app = ours::app();
    let client = peer::client(fixture::TOKEN_URL);
    for (kind, len) in KINDS.iter().flat_map(|(kind, _)| LENGTHS.map(|len| (kind, len))) {
        let body = Body::new(kind, len);
        let input = || (app.generate(ours::code()), body.response());
        meter.measure(body.name(), ours::NAME, input, |(operation, response)| {
            discard(operation.parse(response));
        });
        let input = || (peer::code(), body.response());
        meter.measure(body.name(), peer::NAME, input, |(code, response)| {
            discard(peer::exchange(&client, code, response));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_agree() {
        for (respond, succeeds) in [(SUCCESS, true), (RFC, false), (VENDOR, false)] {
            let ours = ours::exchange(&ours::app(), ours::code(), respond());
            let peer = peer::exchange(&peer::client(fixture::TOKEN_URL), peer::code(), respond());
            let outcomes = [ours.is_ok(), peer.is_ok(), by_hand::parse(&respond()).is_ok()];
            assert_eq!(outcomes, [succeeds; 3]);
        }
    }
}
