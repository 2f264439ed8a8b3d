//! How the time to parse grows with the body, up to the limit, honest and hostile.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{DEFAULT_BODY_LIMIT, Operation};
use dropbox_sign_oauth_benches::{
    BoxError, fixture,
    mode::Mode,
    ours,
    results::{self, Growth},
};
use http::StatusCode;

/// An honest body is the smallest.
const SHORTEST: usize = 300;

/// How long one body is measured.
const TIME: Duration = Duration::from_millis(150);

/// A body of about `len` bytes.
type Body = fn(len: usize) -> String;

/// What a body is filled up with. The first is honest: the tokens themselves are long.
const KINDS: [(&str, Body); 17] = [
    ("honest", |len| long_token(len, "NWNiOTMx")),
    ("escaped token", |len| long_token(len, "\\u004e")),
    ("long unknown string", |len| {
        unknown(&quoted(&repeat("lorem ipsum ", len)))
    }),
    ("escaped unknown string", |len| {
        unknown(&quoted(&repeat("\\n\\u00e9", len)))
    }),
    ("unknown members", |len| {
        members(len, |n| format!("\"x{n}\":{n}"))
    }),
    ("duplicates of one unknown", |len| {
        members(len, |_| "\"x\":0".into())
    }),
    ("numbers of every part", |len| {
        members(len, |_| "\"x\":-0.0e-0".into())
    }),
    ("members of empty objects", |len| {
        members(len, |_| "\"\":{}".into())
    }),
    ("members of empty strings", |len| {
        members(len, |_| "\"\":\"\"".into())
    }),
    ("text beyond ASCII", |len| {
        unknown(&quoted(&repeat("é€", len)))
    }),
    ("space", |len| unknown(&format!("0{}", repeat(" \n", len)))),
    ("escaped names", |len| {
        members(len, |_| "\"\\u0061ccess_toke\":0".into())
    }),
    ("nested arrays", |len| {
        unknown(&format!("{}{}", repeat("[", len / 2), repeat("]", len / 2)))
    }),
    ("empty objects", |len| {
        unknown(&format!("[{}{{}}]", repeat("{},", len)))
    }),
    ("refusal, escaped message", |len| {
        let message = repeat("\\u00e9\\\"", len);
        format!(r#"{{"error":"invalid_grant","error_description":"{message}"}}"#)
    }),
    ("refusal, object of empty objects", error_object),
    ("no token, object of empty objects", error_object),
];

/// What the kinds whose bodies come with a 400 begin with.
const REFUSAL: &str = "refusal";
/// What the kinds begin with that are no success in spite of their 200.
const NO_TOKEN: &str = "no token";

/// An error in the shape of the API, which is read by itself once it is found.
fn error_object(len: usize) -> String {
    let members = vec![r#""":{}"#; len / 6].join(",");
    format!(r#"{{"error":{{{members}}}}}"#)
}

/// `unit` as often as it fits.
fn repeat(unit: &str, len: usize) -> String {
    unit.repeat(len / unit.len())
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn long_token(len: usize, unit: &str) -> String {
    let frame = fixture::TOKENS.len();
    let token = repeat(unit, len.saturating_sub(frame));
    fixture::TOKENS.replacen("NWNi", &format!("NWNi{token}"), 1)
}

/// The honest body with one more member.
fn unknown(value: &str) -> String {
    fixture::TOKENS.replacen('{', &format!("{{\"x\":{value},"), 1)
}

/// The honest body with many more members.
fn members(len: usize, member: impl Fn(usize) -> String) -> String {
    let mut more = String::new();
    for n in 0.. {
        let next = member(n);
        if more.len() + next.len() + 1 > len {
            break;
        }
        more.push_str(&next);
        more.push(',');
    }
    fixture::TOKENS.replacen('{', &format!("{{{more}"), 1)
}

/// A body of `kind` that is at most `len` long, and nearly.
fn body(kind: Body, len: usize) -> String {
    let mut fill = len;
    loop {
        let body = kind(fill);
        match body.len().checked_sub(len) {
            None | Some(0) => return body,
            Some(excess) => fill = fill.saturating_sub(excess),
        }
    }
}

/// The shortest time in nanoseconds that parsing took: what is longer is the machine's doing.
fn parse(name: &str, body: &str, time: Duration) -> f64 {
    let app = ours::app();
    let status = if name.starts_with(REFUSAL) {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let begun = Instant::now();
    let mut shortest = Duration::MAX;
    loop {
        let operation = app.generate(ours::code());
        let response = fixture::response(status, body);
        let start = Instant::now();
        let result = black_box(operation.parse(response));
        let succeeded = result.is_ok();
        drop(result);
        shortest = shortest.min(start.elapsed());
        let expected = status.is_success() && !name.starts_with(NO_TOKEN);
        assert_eq!(succeeded, expected, "{name}");
        if begun.elapsed() >= time {
            return shortest.as_secs_f64() * 1e9;
        }
    }
}

fn main() -> Result<(), BoxError> {
    let Some(mode) = Mode::from_env() else {
        return Ok(());
    };
    let time = if mode.measure { TIME } else { Duration::ZERO };
    let mut rows = Vec::new();
    println!("{:<28}{:>8}{:>12}{:>10}", "", "bytes", "ns", "ns/byte");
    for (name, kind) in KINDS {
        for len in [SHORTEST, 1 << 10, 1 << 12, 1 << 14, DEFAULT_BODY_LIMIT] {
            let body = body(kind, len);
            let nanos = parse(name, &body, time);
            let len = body.len();
            #[expect(clippy::cast_precision_loss, reason = "a body is short")]
            let per_byte = nanos / len as f64;
            println!("{name:<28}{len:>8}{nanos:>12.0}{per_byte:>10.3}");
            rows.push(Growth {
                kind: name.into(),
                len,
                nanos,
            });
        }
    }
    results::save(&rows, mode.save.as_deref())
}
