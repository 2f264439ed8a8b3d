//! Random numbers for the state machines of sessions.

use std::hash::{BuildHasher as _, RandomState};

/// A random number generator (`SplitMix64`) with a random seed. For the adapters; not suitable for
/// secrets.
#[derive(Debug)]
pub struct Entropy(u64);

impl Entropy {
    /// Returns a generator with a new random seed.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default value is expected to be constant")]
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(()))
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generates_the_published_sequence_for_seed_zero() {
        let mut entropy = Entropy(0);
        let numbers = [(); 3].map(|()| entropy.next_u64());
        assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
        assert_ne!(Entropy::new().next_u64(), Entropy::new().next_u64());
    }
}
