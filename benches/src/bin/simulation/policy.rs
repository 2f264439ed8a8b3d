//! The policies that are compared.

use std::time::Duration;

use dropbox_sign_oauth::{RetryPolicy, session::SessionPolicy};

/// The library's own, and what most applications begin with.
pub(crate) const NAMES: [&str; 2] = ["default policy", "naive policy"];

pub(crate) fn named(name: &str) -> SessionPolicy {
    if name == NAMES[0] {
        return SessionPolicy::default();
    }
    // Refreshes when the token has expired, sends again at once, and a second later again if
    // somebody asks.
    SessionPolicy {
        margin: Duration::ZERO,
        spread: Duration::ZERO,
        pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(1),
        retry: RetryPolicy {
            base: Duration::ZERO,
            cap: Duration::ZERO,
            ..RetryPolicy::default()
        },
        ..SessionPolicy::default()
    }
}
