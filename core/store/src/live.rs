//! The sessions of one process.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many parts the map has, each with a lock of its own: a few times the cores of a large server.
const SHARDS: usize = 64;

/// Values by key, each shared by all of the process as long as it is used. For the adapters; not
/// covered by semantic versioning.
///
/// A value that nothing else holds is idle. Idle values are kept too, up to a limit, and those that
/// were not asked for lately are evicted first.
pub struct Live<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    hasher: RandomState,
    /// How many values a shard may have before idle ones are evicted.
    limit: usize,
}

struct Shard<T> {
    values: HashMap<Arc<str>, Slot<T>>,
    /// The number of values at which idle ones are looked for.
    sweep_at: usize,
}

struct Slot<T> {
    value: Arc<T>,
    /// Whether it was asked for since the last sweep.
    recent: bool,
}

impl<T> Live<T> {
    /// Returns an empty map that keeps about `limit` values, and all that are in use.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.div_ceil(SHARDS);
        let shard = || Shard {
            values: HashMap::new(),
            sweep_at: limit,
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
            limit,
        }
    }

    /// Returns the value of `key`, made by `new` if there is none.
    pub fn get(&self, key: &str, new: impl FnOnce(Arc<str>) -> T) -> Arc<T> {
        let mut shard = self.shard(key);
        if let Some(slot) = shard.values.get_mut(key) {
            slot.recent = true;
            return Arc::clone(&slot.value);
        }
        if shard.values.len() >= shard.sweep_at {
            shard.sweep(self.limit);
        }
        let key: Arc<str> = key.into();
        let value = Arc::new(new(Arc::clone(&key)));
        let slot = Slot {
            value: Arc::clone(&value),
            recent: false,
        };
        shard.values.insert(key, slot);
        value
    }

    /// Returns all values, in use or idle.
    #[must_use]
    pub fn values(&self) -> Vec<Arc<T>> {
        let values = |shard| {
            let slots = lock(shard);
            let values = slots.values.values();
            values
                .map(|slot| Arc::clone(&slot.value))
                .collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(values).collect()
    }

    /// Returns how many values there are, in use or idle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).values.len())
            .sum()
    }

    /// Returns whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "the remainder is below the number of shards"
    )]
    fn shard(&self, key: &str) -> MutexGuard<'_, Shard<T>> {
        lock(&self.shards[(self.hasher.hash_one(key) % SHARDS as u64) as usize])
    }
}

fn lock<T>(shard: &Mutex<Shard<T>>) -> MutexGuard<'_, Shard<T>> {
    // Each change is one call of the map.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Shard<T> {
    /// Evicts a quarter of the idle values beyond use, those that were not asked for lately first.
    fn sweep(&mut self, limit: usize) {
        let target = limit - limit / 4;
        let mut excess = self.values.len().saturating_sub(target);
        for _ in 0..2 {
            self.values.retain(|_, slot| {
                // No other can take it meanwhile: that needs the lock of this shard.
                let is_idle = Arc::strong_count(&slot.value) == 1;
                let keep = excess == 0 || !is_idle || mem::take(&mut slot.recent);
                excess -= usize::from(!keep);
                keep
            });
        }
        // Values in use stay, however many: looking for idle ones must not cost a pass for each.
        let len = self.values.len();
        self.sweep_at = if len > target { 2 * len } else { limit };
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_same_value_while_it_is_used() {
        let live = Live::new(0);
        let first = live.get("a", |key| key.to_string());
        for other in 0..1000 {
            live.get(&other.to_string(), |key| key.to_string());
        }
        assert!(Arc::ptr_eq(
            &first,
            &live.get("a", |_| panic!("it is there"))
        ));
    }

    #[test]
    fn bounds_idle_values_and_keeps_recent_ones() {
        const LIMIT: usize = 640;
        let live = Live::new(LIMIT);
        for round in 0..10_000 {
            live.get(&round.to_string(), |key| key.to_string());
            live.get("recent", |key| {
                assert_eq!(round, 0, "it was evicted");
                key.to_string()
            });
        }
        assert!((LIMIT / 2..=LIMIT).contains(&live.len()), "{}", live.len());
    }

    #[test]
    fn values_in_use_are_not_bounded() {
        let live = Live::new(64);
        let held: Vec<_> = (0..5000)
            .map(|number| live.get(&number.to_string(), |key| key.to_string()))
            .collect();
        assert_eq!(live.len(), 5000);
        drop(held);
        for number in 0..20_000 {
            live.get(&format!("other{number}"), |key| key.to_string());
        }
        assert!(live.len() <= 1000, "{}", live.len());
    }
}
