//! Random numbers for the state machines of sessions.

use std::hash::{BuildHasher as _, RandomState};

/// A random number generator: the numbers from 1 on, hashed with a random key. For the adapters;
/// not suitable for secrets.
#[derive(Debug)]
pub struct Entropy {
    key: RandomState,
    count: u64,
}

impl Entropy {
    /// Returns a generator with a new random key.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default value is expected to be constant")]
    pub fn new() -> Self {
        Self { key: RandomState::new(), count: 0 }
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.count += 1;
        self.key.hash_one(self.count)
    }
}
