//! The time and the randomness that the core's state machines are given.

use std::{
    hash::{BuildHasher, RandomState},
    time::SystemTime,
};

use dropbox_sign_oauth::UnixTime;

/// The system's time; a clock before 1970 counts as 1970.
pub(crate) fn now() -> UnixTime {
    UnixTime::since_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// 64 bits that differ from call to call and from process to process, to spread waits. Nothing
/// secret is made of them.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(())
}
