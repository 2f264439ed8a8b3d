//! Randomness for waits.

use std::hash::{BuildHasher, RandomState};

/// Returns 64 bits that differ from call to call and from process to process. They spread waits;
/// they are not fit for secrets.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(())
}
