//! Any response to each operation is a result or an error, and shows no secret.
//!
//! The input is the status in two bytes, then headers up to an empty line, then the body.

#![no_main]

use std::fmt::Debug;

use dropbox_sign_oauth::{App, AuthorizationCode, Error, Operation, State, Token};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "1d14434088507ffa390e6f5528465";
const CODE: &str = "1b0d28d90c86c141";

fn response(data: &[u8]) -> Option<Response<Vec<u8>>> {
    let (status, rest) = data.split_at_checked(2)?;
    let status = u16::from_be_bytes([status[0], status[1]]);
    let end = rest.windows(2).position(|bytes| bytes == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (&[][..], rest),
    };
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = StatusCode::from_u16(200 + status % 400).ok()?;
    for line in head.split(|byte| *byte == b'\n') {
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

fuzz_target!(|data: &[u8]| {
    let Some(response) = response(data) else {
        return;
    };
    let app = App::new("cc91c61d00f8bb2ece1428035716b", SECRET).unwrap();
    let state = State::from_stored("900e06e2").unwrap();
    let code = AuthorizationCode::new(CODE, state).unwrap();
    let token = Token::new(CODE).unwrap();
    check(app.generate(code).parse(response.clone()), &[SECRET, CODE]);
    check(app.refresh(&token).parse(response.clone()), &[SECRET, CODE]);
    check(app.account(&token).parse(response), &[CODE]);
});
