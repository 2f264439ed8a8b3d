//! A map with a size limit, which evicts the oldest entries first.

use std::collections::{HashMap, VecDeque};

/// The limit of entries: more than a test or benchmark needs at a time.
const LIMIT: usize = 65_536;

pub(super) struct Bounded<V> {
    values: HashMap<String, V>,
    /// The keys in the order of insertion, including removed ones.
    keys: VecDeque<String>,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self { values: HashMap::new(), keys: VecDeque::new() }
    }
}

impl<V> Bounded<V> {
    pub(super) fn insert(&mut self, key: String, value: V) {
        while self.keys.len() >= LIMIT {
            if let Some(oldest) = self.keys.pop_front() {
                self.values.remove(&oldest);
            }
        }
        self.keys.push_back(key.clone());
        self.values.insert(key, value);
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.values.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        self.values.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evicts_the_oldest_entry() {
        let mut bounded = Bounded::default();
        for number in 0..=LIMIT {
            bounded.insert(number.to_string(), number);
        }
        assert_eq!(bounded.get("0"), None);
        assert_eq!(bounded.get("1"), Some(&1));
        assert_eq!((bounded.values.len(), bounded.keys.len()), (LIMIT, LIMIT));
    }
}
