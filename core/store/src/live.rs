//! The cache of the sessions that a process uses.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The number of shards, each with its own lock: more than the cores of most servers, so that
/// threads seldom wait for each other.
const SHARDS: usize = 64;

/// A concurrent map whose values are shared while they are in use. For the adapters; not covered by
/// semantic versioning.
///
/// A value is in use while the caller holds an `Arc` of it, and idle otherwise. Values in use are
/// never evicted. Above a limit, idle values are evicted, those first that were not requested
/// recently.
pub struct Live<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    hasher: RandomState,
    /// The number of values in a shard above which idle ones are evicted.
    limit: usize,
}

struct Shard<T> {
    values: HashMap<Arc<str>, Slot<T>>,
    /// The number of values at which the next sweep evicts idle ones.
    sweep_at: usize,
}

struct Slot<T> {
    value: Arc<T>,
    /// Whether it was requested again since it was added or since the last sweep.
    recent: bool,
}

impl<T> Live<T> {
    /// Returns an empty map that keeps about `limit` values, or more if more are in use.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.div_ceil(SHARDS);
        let shard = || Shard { values: HashMap::new(), sweep_at: limit };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
            limit,
        }
    }

    /// Returns the value of `key`. Inserts the result of `new` if there is none.
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
        let slot = Slot { value: Arc::clone(&value), recent: false };
        shard.values.insert(key, slot);
        value
    }

    /// Returns all values, in use or idle.
    #[must_use]
    pub fn values(&self) -> Vec<Arc<T>> {
        let values = |shard| {
            let slots = lock(shard);
            let values = slots.values.values();
            values.map(|slot| Arc::clone(&slot.value)).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(values).collect()
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).values.len()).sum()
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
    // A panic leaves no partial change: each change is a single call of the map.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Shard<T> {
    /// Evicts idle values until three quarters of the limit are left, those first that were not
    /// requested since the last sweep.
    fn sweep(&mut self, limit: usize) {
        let target = limit - limit / 4;
        let mut excess = self.values.len().saturating_sub(target);
        for _ in 0..2 {
            self.values.retain(|_, slot| {
                // No other thread can clone it now, because this shard is locked.
                let is_idle = Arc::strong_count(&slot.value) == 1;
                let keep = excess == 0 || !is_idle || mem::take(&mut slot.recent);
                excess -= usize::from(!keep);
                keep
            });
        }
        // If many values are in use, the next sweep waits until the shard has doubled. Otherwise
        // each new value would start a sweep that evicts nothing.
        let len = self.values.len();
        self.sweep_at = if len > target { 2 * len } else { limit };
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_same_value_while_it_is_in_use() {
        let live = Live::new(0);
        let first = live.get("a", |key| key.to_string());
        for other in 0..1000 {
            live.get(&other.to_string(), |key| key.to_string());
        }
        assert!(Arc::ptr_eq(&first, &live.get("a", |_| panic!("the value was evicted"))));
    }

    #[test]
    fn evicts_idle_values_above_the_limit_and_keeps_recent_ones() {
        const LIMIT: usize = 640;
        let live = Live::new(LIMIT);
        for round in 0..10_000 {
            live.get(&round.to_string(), |key| key.to_string());
            live.get("recent", |key| {
                assert_eq!(round, 0, "the value was evicted");
                key.to_string()
            });
        }
        assert!((LIMIT / 2..=LIMIT).contains(&live.len()), "{}", live.len());
    }

    #[test]
    fn never_evicts_values_in_use() {
        let live = Live::new(64);
        let held: Vec<_> =
            (0..5000).map(|number| live.get(&number.to_string(), |key| key.to_string())).collect();
        assert_eq!(live.len(), 5000);
        drop(held);
        for number in 0..20_000 {
            live.get(&format!("other{number}"), |key| key.to_string());
        }
        assert!(live.len() <= 1000, "{}", live.len());
    }
}
