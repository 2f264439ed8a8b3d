//! What every store promises.

use std::{
    collections::HashSet,
    error::Error,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_store::Store;

use super::{large_record, record};

type BoxError = Box<dyn Error + Send + Sync>;

/// Threads that race for one version.
const THREADS: usize = 8;

/// Races, and the versions that each thread has to win in one.
const ROUNDS: usize = 5;
const WINS: usize = 4;

/// Checks that a store keeps every promise of the trait, and panics with the one that is broken.
///
/// The store may contain other records. The keys of the run begin with a random text, and are
/// removed at its end. It makes about 1,000 calls.
pub fn check<S: Store>(store: &S) {
    let promises: [(&str, Check<S>); 6] = [
        ("stores if the version is the expected one", swaps),
        ("keeps keys apart, whatever their text", keeps_keys_apart),
        ("lets one of several swaps win", has_one_winner),
        ("loads what was stored last", does_not_lag),
        ("removes a record of any version", removes),
        ("stores large records whole or refuses them", stores_large_records),
    ];
    for (promise, check) in promises {
        let prefix = format!("check-{:016x}", getrandom::u64().expect("entropy"));
        let keys = Keys { store, promise, prefix, used: Mutex::default() };
        check(&keys);
        for key in keys.used.into_inner().expect("no panic") {
            let _ = store.remove(&key);
        }
    }
}

type Check<S> = fn(&Keys<'_, S>);

/// A store, and the keys that the check of a promise uses.
struct Keys<'a, S> {
    store: &'a S,
    promise: &'static str,
    prefix: String,
    used: Mutex<HashSet<String>>,
}

impl<S: Store> Keys<'_, S> {
    fn key(&self, suffix: &str) -> String {
        let key = format!("{}{suffix}", self.prefix);
        self.used.lock().expect("no panic").insert(key.clone());
        key
    }

    #[track_caller]
    fn done<T>(&self, outcome: Result<T, S::Error>) -> T {
        outcome.unwrap_or_else(|error| {
            let error: BoxError = error.into();
            panic!("{}: a call failed: {error:?}", self.promise)
        })
    }

    #[track_caller]
    fn load(&self, key: &str) -> Option<Record> {
        self.done(self.store.load(key))
    }

    /// Returns whether the record was stored.
    #[track_caller]
    fn swap(&self, key: &str, expected: Option<u64>, new: &Record) -> bool {
        self.done(self.store.compare_and_swap(key, expected, new)) == Outcome::Stored
    }

    #[track_caller]
    fn remove(&self, key: &str) {
        self.done(self.store.remove(key));
    }

    #[track_caller]
    fn assert(&self, holds: bool, what: &str) {
        assert!(holds, "{}: {what}", self.promise);
    }
}

fn swaps<S: Store>(keys: &Keys<'_, S>) {
    const LARGEST: u64 = i64::MAX as u64;
    let versions = [None, Some(0), Some(1), Some(2), Some(LARGEST)];
    for stored in versions {
        for expected in versions.into_iter().chain([Some(LARGEST + 1), Some(u64::MAX)]) {
            for new in [0, 1, 2, 3, LARGEST] {
                let key = keys.key(&format!("-{stored:?}-{expected:?}-{new}"));
                if let Some(version) = stored {
                    let done = keys.swap(&key, None, &record(version));
                    keys.assert(done, "the first record was not stored");
                }
                // A record like the stored one would not show which of them is there.
                let new = large_record(new, 7);
                let swapped = keys.swap(&key, expected, &new);
                let case = format!("{stored:?} stored, {expected:?} expected, {new:?}");
                keys.assert(swapped == (stored == expected), &case);
                let there = if swapped { Some(new) } else { stored.map(record) };
                keys.assert(keys.load(&key) == there, &case);
            }
        }
    }
}

/// Texts of keys that a store may take for one another, or for something else than a key.
const TEXTS: &str = "|a|A|a | a|a\n|a\t|a\\|a/b|a\\b|..|/../a|/a/../b|a.json|a.tmp|a.lock|%|%41|*|?|[a]|\
    {a}|{a}b|:|::|'|\"|';--|$1|NULL|con|a\0|a\0b|\u{e4}|a\u{308}|\u{df}|ss|\u{130}|i|\u{1f600}|\
    \u{10ffff}|\u{feff}";

fn keeps_keys_apart<S: Store>(keys: &Keys<'_, S>) {
    let long = [180, 1000, 10 * 1024].map(|len| "k".repeat(len));
    let texts = TEXTS.split('|').chain(long.iter().map(String::as_str));
    let mut stored = Vec::new();
    for (version, text) in (1..).zip(texts) {
        for text in [text.to_owned(), format!("{text}x")] {
            let key = keys.key(&text);
            let new = large_record(version, 10 + stored.len());
            match keys.store.compare_and_swap(&key, None, &new) {
                Ok(swapped) => {
                    keys.assert(
                        swapped == Outcome::Stored,
                        &format!("{key:?} is taken for another key"),
                    );
                    stored.push((key, new));
                }
                // A key may be refused, but not by half.
                Err(_) => keys.assert(keys.store.load(&key).is_err(), "a refused key is loaded"),
            }
        }
    }
    keys.assert(stored.len() > 50, "too many keys are refused");
    for (key, record) in &stored {
        keys.assert(keys.load(key).as_ref() == Some(record), &format!("{key:?}"));
    }
    let (removed, others) = stored.split_first().expect("keys");
    keys.remove(&removed.0);
    for (key, record) in others {
        keys.assert(keys.load(key).as_ref() == Some(record), &format!("{key:?}"));
    }
}

fn has_one_winner<S: Store>(keys: &Keys<'_, S>) {
    for round in 0..ROUNDS {
        let key = keys.key(&format!("-{round}"));
        let won = Mutex::new(HashSet::new());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    // All threads begin with a race for the first record.
                    let mut there = None;
                    let mut wins = 0;
                    while wins < WINS {
                        let next = there.unwrap_or(0) + 1;
                        if keys.swap(&key, there, &record(next)) {
                            won.lock().expect("no panic").insert(next);
                            wins += 1;
                        }
                        there = keys.load(&key).map(|record| record.version());
                    }
                });
            }
        });
        let won = won.into_inner().expect("no panic");
        keys.assert(won.len() == THREADS * WINS, "two have won the same version");
        let last = record((THREADS * WINS) as u64);
        keys.assert(keys.load(&key) == Some(last), "swaps were lost");
    }
}

fn does_not_lag<S: Store>(keys: &Keys<'_, S>) {
    let key = keys.key("");
    let ended = AtomicBool::new(false);
    keys.assert(keys.swap(&key, None, &record(1)), "was not stored");
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !ended.load(Ordering::Relaxed) {
                let version = keys.load(&key).map_or(0, |record| record.version());
                keys.assert(version >= last, "an older record was loaded after a newer one");
                last = version;
            }
        });
        for version in 2..50 {
            let swapped = keys.swap(&key, Some(version - 1), &record(version));
            let loaded = keys.load(&key);
            if !swapped || loaded != Some(record(version)) {
                ended.store(true, Ordering::Relaxed);
                keys.assert(swapped, "was not stored");
                keys.assert(false, "an older record was loaded");
            }
        }
        ended.store(true, Ordering::Relaxed);
        reader.join().expect("an older record was loaded");
    });
}

fn removes<S: Store>(keys: &Keys<'_, S>) {
    let (key, other) = (keys.key("-a"), keys.key("-b"));
    keys.remove(&key);
    keys.swap(&other, None, &record(1));
    for version in [i64::MAX as u64, 1, 2] {
        keys.assert(keys.swap(&key, None, &record(version)), "was not stored again");
        keys.remove(&key);
        keys.assert(keys.load(&key).is_none(), "the record is still there");
        keys.remove(&key);
    }
    keys.assert(keys.load(&other).is_some(), "another record was removed");
    keys.assert(!keys.swap(&key, Some(2), &record(3)), "a removed record was swapped");
    keys.assert(keys.load(&key).is_none(), "a removed record is back");
}

fn stores_large_records<S: Store>(keys: &Keys<'_, S>) {
    let key = keys.key("");
    keys.swap(&key, None, &record(1));
    let mut stored = record(1);
    for (version, len) in (2..).zip([64 * 1024, 256 * 1024, 1024 * 1024, 3 * 1024 * 1024]) {
        let new = large_record(version, len);
        match keys.store.compare_and_swap(&key, Some(stored.version()), &new) {
            Ok(swapped) => {
                keys.assert(swapped == Outcome::Stored, "was not stored");
                stored = new;
            }
            Err(_) => keys.assert(len > 256 * 1024, "a record of 256 KiB was refused"),
        }
        keys.assert(keys.load(&key) == Some(stored.clone()), "was not loaded whole");
    }
}
