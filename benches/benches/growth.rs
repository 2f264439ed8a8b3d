//! Measures how the time to parse a byte grows with the length of the body, honest and hostile,
//! with `dropbox-sign-oauth` and with `oauth2`.

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{DEFAULT_BODY_LIMIT, Operation};
use dropbox_sign_oauth_benches::{
    bodies::{self, Body},
    fixture, mode, ours, peer,
    table::{self, number},
};

/// The lengths. The first is about that of the documented response.
const LENGTHS: [usize; 3] = [300, 1 << 12, DEFAULT_BODY_LIMIT];

/// How long one body is measured.
const TIME: Duration = Duration::from_millis(100);

/// Returns the shortest time for a byte, in nanoseconds: longer times are caused by other programs.
fn per_byte(body: &Body, time: Duration, parse: impl Fn(&Body) -> Duration) -> f64 {
    let begun = Instant::now();
    let mut shortest = parse(body);
    while begun.elapsed() < time {
        shortest = shortest.min(parse(body));
    }
    #[expect(clippy::cast_precision_loss, reason = "a body is short")]
    let size = body.size() as f64;
    shortest.as_secs_f64() * 1e9 / size
}

fn main() {
    let Some(measures) = mode::measures() else {
        return;
    };
    let time = if measures { TIME } else { Duration::ZERO };
    let app = ours::app();
    let client = peer::client(fixture::TOKEN_URL);
    let ours = |body: &Body| {
        let operation = app.generate(ours::code());
        let response = body.response();
        let start = Instant::now();
        drop(black_box(operation.parse(response)));
        start.elapsed()
    };
    let oauth2 = |body: &Body| {
        let response = body.response();
        let start = Cell::new(Instant::now());
        let respond = || {
            start.set(Instant::now());
            response
        };
        drop(black_box(peer::exchange(&client, peer::code(), respond)));
        start.get().elapsed()
    };
    let rows = bodies::KINDS.map(|(kind, _)| {
        let bodies = LENGTHS.map(|len| Body::new(kind, len));
        std::array::from_fn::<String, 7, _>(|column| match column {
            0 => kind.into(),
            1..=3 => number(per_byte(&bodies[column - 1], time, ours), 2),
            _ => number(per_byte(&bodies[column - 4], time, oauth2), 2),
        })
    });
    let head = "body | ours, 300 bytes | 4 KiB | 64 KiB | oauth2, 300 bytes | 4 KiB | 64 KiB";
    table::print("Growth: nanoseconds for a byte of the body", head, rows);
}
