//! Any query of a callback gives a code or an error, and a code only with the right state.

#![no_main]

use dropbox_sign_oauth::{App, State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465").unwrap();
    let state = State::from_stored("900e06e2").unwrap();
    let other = State::from_stored("900e06e3").unwrap();
    let outcome = app.callback(query, &state);
    if let Err(error) = &outcome {
        assert!(!format!("{error} {error:?}").contains(char::is_control));
    }
    assert!(outcome.is_err() || app.callback(query, &other).is_err());
});
