//! The clock, and durations in words.

use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::UnixTime;

pub(crate) fn now() -> UnixTime {
    UnixTime::since_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A duration as a person says it: `1 day`, `5 minutes 3 seconds`.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    // The longer it is, the less a second or a minute of it matters.
    let precision = match seconds {
        0..600 => 1,
        600..DAY => MINUTE,
        DAY.. => HOUR,
    };
    let mut rest = seconds.saturating_add(precision / 2) / precision * precision;
    let mut words = Vec::new();
    for (unit, length) in [
        ("day", DAY),
        ("hour", HOUR),
        ("minute", MINUTE),
        ("second", 1),
    ] {
        let count = rest / length;
        rest %= length;
        match count {
            0 => {}
            1 => words.push(format!("1 {unit}")),
            _ => words.push(format!("{count} {unit}s")),
        }
    }
    if words.is_empty() {
        words.push("0 seconds".into());
    }
    words.join(" ")
}
