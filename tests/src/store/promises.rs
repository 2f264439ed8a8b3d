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

/// Versions that each thread of a race has to win.
const WINS: usize = 20;

/// Checks that a store keeps every promise of the trait.
///
/// The store may contain other records. The keys of the run begin with a random text, and are
/// removed at its end. It makes about 1,000 calls.
///
/// # Panics
/// With the promise, if it is broken, or a call fails that should not.
pub fn check<S: Store>(store: &S) {
    let store: &dyn Subject = store;
    for (promise, check) in PROMISES {
        let id = getrandom::u64().expect("entropy");
        let keys =
            Keys { store, promise, prefix: format!("check-{id:016x}"), used: Mutex::default() };
        check(&keys);
        for key in keys.used.into_inner().expect("no panic") {
            let _ = store.remove(&key);
        }
    }
}

/// Checks one promise with some keys.
type Check = fn(&Keys<'_>);

/// The promises, and what each is checked by.
const PROMISES: [(&str, Check); 9] = [
    ("stores if the version is the expected one", swaps),
    ("keeps records byte for byte", keeps_records),
    ("keeps keys apart, whatever their text", keeps_keys_apart),
    ("lets one of several first records win", has_one_first),
    ("lets one of several swaps win", has_one_winner),
    ("loads what was stored last", does_not_lag),
    ("removes a record of any version", removes),
    ("stores after a removal as after nothing", starts_again),
    ("stores large records whole or refuses them", stores_large_records),
];

/// A store with any error.
trait Subject: Sync {
    fn load(&self, key: &str) -> Result<Option<Record>, BoxError>;
    fn swap(&self, key: &str, expected: Option<u64>, new: &Record) -> Result<bool, BoxError>;
    fn remove(&self, key: &str) -> Result<(), BoxError>;
}

impl<S: Store> Subject for S {
    fn load(&self, key: &str) -> Result<Option<Record>, BoxError> {
        Store::load(self, key).map_err(Into::into)
    }

    fn swap(&self, key: &str, expected: Option<u64>, new: &Record) -> Result<bool, BoxError> {
        match self.compare_and_swap(key, expected, new) {
            Ok(swapped) => Ok(swapped == Outcome::Stored),
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, key: &str) -> Result<(), BoxError> {
        Store::remove(self, key).map_err(Into::into)
    }
}

/// A store, and the keys that the check of a promise uses.
struct Keys<'a> {
    store: &'a dyn Subject,
    promise: &'static str,
    prefix: String,
    used: Mutex<HashSet<String>>,
}

impl Keys<'_> {
    fn key(&self, suffix: &str) -> String {
        let key = format!("{}{suffix}", self.prefix);
        self.used.lock().expect("no panic").insert(key.clone());
        key
    }

    #[track_caller]
    fn done<T>(&self, outcome: Result<T, BoxError>) -> T {
        outcome.unwrap_or_else(|error| panic!("{}: a call failed: {error:?}", self.promise))
    }

    #[track_caller]
    fn load(&self, key: &str) -> Option<Record> {
        self.done(self.store.load(key))
    }

    #[track_caller]
    fn swap(&self, key: &str, expected: Option<u64>, new: &Record) -> bool {
        self.done(self.store.swap(key, expected, new))
    }

    #[track_caller]
    fn assert(&self, holds: bool, what: &str) {
        assert!(holds, "{}: {what}", self.promise);
    }
}

fn swaps(keys: &Keys<'_>) {
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

fn keeps_records(keys: &Keys<'_>) {
    let key = keys.key("");
    keys.assert(keys.load(&key).is_none(), "there was a record before");
    for version in 1..=20 {
        let new = record(version);
        let expected = Some(version - 1).filter(|version| *version > 0);
        keys.assert(keys.swap(&key, expected, &new), "was not stored");
        let stored = keys.load(&key).map(|record| record.to_exposed_json());
        keys.assert(stored == Some(new.to_exposed_json()), "has changed");
    }
}

fn keeps_keys_apart(keys: &Keys<'_>) {
    let long = "k".repeat(180);
    let longer = "k".repeat(1000);
    let longest = "k".repeat(10 * 1024);
    let texts = [
        "",
        "a",
        "A",
        "a ",
        " a",
        "a\n",
        "a\t",
        "a\\",
        "a/b",
        "a\\b",
        "..",
        "/../a",
        "/a/../b",
        "a.json",
        "a.tmp",
        "a.lock",
        "%",
        "%41",
        "*",
        "?",
        "[a]",
        "{a}",
        "{a}b",
        ":",
        "::",
        "'",
        "\"",
        "';--",
        "$1",
        "NULL",
        "con",
        "a\0",
        "a\0b",
        "\u{e4}",
        "a\u{308}",
        "\u{df}",
        "ss",
        "\u{130}",
        "i",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{feff}",
        &long,
        &longer,
        &longest,
    ];
    let mut stored = Vec::new();
    for (version, text) in (1..).zip(texts) {
        for text in [text.to_owned(), format!("{text}x")] {
            let key = keys.key(&text);
            let new = large_record(version, 10 + stored.len());
            match keys.store.swap(&key, None, &new) {
                Ok(swapped) => {
                    keys.assert(swapped, &format!("{key:?} is taken for another key"));
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
    keys.done(keys.store.remove(&removed.0));
    for (key, record) in others {
        keys.assert(keys.load(key).as_ref() == Some(record), &format!("{key:?}"));
    }
}

fn has_one_first(keys: &Keys<'_>) {
    for round in 0..5 {
        let key = keys.key(&format!("-{round}"));
        let winners: Vec<_> = thread::scope(|scope| {
            let racers: Vec<_> = (1..=THREADS as u64)
                .map(|version| {
                    let key = &key;
                    scope.spawn(move || keys.swap(key, None, &record(version)).then_some(version))
                })
                .collect();
            let join = |racer: thread::ScopedJoinHandle<'_, _>| racer.join().expect("no panic");
            racers.into_iter().filter_map(join).collect()
        });
        keys.assert(winners.len() == 1, &format!("{} have won", winners.len()));
        keys.assert(keys.load(&key) == Some(record(winners[0])), "another is stored");
    }
}

fn has_one_winner(keys: &Keys<'_>) {
    let key = keys.key("");
    let won = Mutex::new(HashSet::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut wins = 0;
                while wins < WINS {
                    let there = keys.load(&key).map(|record| record.version());
                    let next = there.unwrap_or(0) + 1;
                    if keys.swap(&key, there, &record(next)) {
                        let first = won.lock().expect("no panic").insert(next);
                        keys.assert(first, "two have won the same version");
                        wins += 1;
                    }
                }
            });
        }
    });
    let last = record((THREADS * WINS) as u64);
    keys.assert(keys.load(&key) == Some(last), "swaps were lost");
}

fn does_not_lag(keys: &Keys<'_>) {
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

fn removes(keys: &Keys<'_>) {
    let (key, other) = (keys.key("-a"), keys.key("-b"));
    keys.done(keys.store.remove(&key));
    keys.swap(&other, None, &record(1));
    for version in [1, 2, i64::MAX as u64] {
        keys.swap(&key, None, &record(version));
        keys.done(keys.store.remove(&key));
        keys.assert(keys.load(&key).is_none(), "the record is still there");
        keys.done(keys.store.remove(&key));
    }
    keys.assert(keys.load(&other).is_some(), "another record was removed");
}

fn starts_again(keys: &Keys<'_>) {
    let key = keys.key("");
    keys.swap(&key, None, &record(5));
    keys.done(keys.store.remove(&key));
    keys.assert(!keys.swap(&key, Some(5), &record(6)), "swapped a removed record");
    keys.assert(keys.load(&key).is_none(), "a removed record is back");
    keys.assert(keys.swap(&key, None, &record(9)), "was not stored");
    keys.assert(keys.load(&key) == Some(record(9)), "another is stored");
}

fn stores_large_records(keys: &Keys<'_>) {
    let key = keys.key("");
    keys.swap(&key, None, &record(1));
    let mut stored = record(1);
    for (version, len) in (2..).zip([64 * 1024, 256 * 1024, 1024 * 1024, 3 * 1024 * 1024]) {
        let new = large_record(version, len);
        match keys.store.swap(&key, Some(stored.version()), &new) {
            Ok(swapped) => {
                keys.assert(swapped, "was not stored");
                stored = new;
            }
            Err(_) => keys.assert(len > 256 * 1024, "a record of 256 KiB was refused"),
        }
        keys.assert(keys.load(&key) == Some(stored.clone()), "was not loaded whole");
    }
}
