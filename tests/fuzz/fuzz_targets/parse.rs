//! Any response to each operation is a result or an error, and shows no secret.
//!
//! The input is the status in two bytes, headers and an empty line if there are headers, and the body.

#![no_main]

use std::{fmt::Debug, iter};

use dropbox_sign_oauth::{App, AuthorizationCode, Error, Operation, State, Token, TokenResponse};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "1d14434088507ffa390e6f5528465";
const CODE: &str = "1b0d28d90c86c141";

/// A token of this length does not occur by chance in the rest of the output, as a shorter one may.
const LONG: usize = 32;

fn response(data: &[u8]) -> Option<Response<Vec<u8>>> {
    let (status, rest) = data.split_at_checked(2)?;
    let status = u16::from_be_bytes([status[0], status[1]]);
    let end = rest.windows(2).position(|bytes| bytes == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (&[][..], rest),
    };
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = StatusCode::from_u16(100 + status % 900).ok()?;
    for line in head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(&line[colon + 1..]).ok()?;
        response.headers_mut().append(name, value);
    }
    Some(response)
}

fn check<T: Debug>(outcome: Result<T, Error>, secrets: &[&str]) {
    if let Err(error) = outcome {
        let shown = format!("{error} {error:?}");
        assert!(!secrets.iter().any(|secret| shown.contains(secret)));
    }
}

/// Also checks that a success shows none of its tokens.
fn check_tokens(outcome: Result<TokenResponse, Error>, secrets: &[&str]) {
    if let Ok(response) = &outcome {
        let shown = format!("{response:?}");
        let tokens = iter::once(&response.access_token).chain(&response.refresh_token);
        for token in tokens.map(Token::expose) {
            assert!(token.len() < LONG || !shown.contains(token));
        }
    }
    check(outcome, secrets);
}

fuzz_target!(|data: &[u8]| {
    let Some(response) = response(data) else {
        return;
    };
    let app = App::new("cc91c61d00f8bb2ece1428035716b", SECRET).unwrap();
    let state = State::from_stored("900e06e2").unwrap();
    let code = AuthorizationCode::new(CODE, state).unwrap();
    let token = Token::new(CODE).unwrap();
    check_tokens(app.generate(code).parse(response.clone()), &[SECRET, CODE]);
    check_tokens(app.refresh(&token).parse(response.clone()), &[SECRET, CODE]);
    check(app.account(&token).parse(response), &[CODE]);
});
