//! Stores that break a promise: the run must find each of them.

use std::{
    collections::HashMap,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
};

use dropbox_sign_oauth_store::{MemoryStore, Outcome, Record, Store};
use dropbox_sign_oauth_testkit::store;

/// A store over another, in which one thing goes wrong.
struct Broken {
    inner: MemoryStore,
    fault: Fault,
    previous: Mutex<HashMap<String, Record>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    LoadsLag,
    AlwaysSaysYes,
    AlwaysSaysNo,
    IgnoresCase,
    TruncatesKeys,
    IgnoresExpected,
    StoresAnyway,
    ComparesLate,
    KeepsRemoved,
    RemovesAll,
    RefusesLargeRecords,
}

/// What is wrong, and the promise that is broken. Empty: it depends on the scheduling which one.
const BROKEN: &[(Fault, &str)] = &[
    (Fault::LoadsLag, "stores if the version is the expected one: "),
    (Fault::AlwaysSaysYes, "stores if the version is the expected one: "),
    (Fault::AlwaysSaysNo, "stores if the version is the expected one: "),
    (Fault::IgnoresCase, "keeps keys apart, whatever their text: "),
    (Fault::TruncatesKeys, "keeps keys apart, whatever their text: "),
    (Fault::IgnoresExpected, "stores if the version is the expected one: "),
    (Fault::StoresAnyway, "stores if the version is the expected one: "),
    (Fault::ComparesLate, ""),
    (Fault::KeepsRemoved, "removes a record of any version: "),
    (Fault::RemovesAll, ""),
    (Fault::RefusesLargeRecords, "stores large records whole or refuses them: "),
];

impl Broken {
    fn key(&self, key: &str) -> String {
        match self.fault {
            Fault::IgnoresCase => key.to_lowercase(),
            Fault::TruncatesKeys => key.split('\0').next().unwrap_or_default().to_owned(),
            _ => key.to_owned(),
        }
    }
}

impl Store for Broken {
    type Error = Box<dyn Error + Send + Sync>;

    fn load(&self, key: &str) -> Result<Option<Record>, Self::Error> {
        let key = self.key(key);
        if self.fault == Fault::LoadsLag
            && let Some(previous) = self.previous.lock().unwrap().remove(&key)
        {
            return Ok(Some(previous));
        }
        Ok(self.inner.load(&key)?)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Self::Error> {
        let key = self.key(key);
        if self.fault == Fault::RefusesLargeRecords && new.to_exposed_json().len() > 100_000 {
            return Err("too large".into());
        }
        let previous = self.inner.load(&key)?;
        let there = previous.as_ref().map(Record::version);
        let swap = |expected| self.inner.compare_and_swap(&key, expected, new);
        let Ok(swapped) = match self.fault {
            Fault::IgnoresExpected => swap(there),
            Fault::StoresAnyway => swap(there).map(|_| conflict_unless(there == expected)),
            Fault::ComparesLate if there == expected => {
                thread::yield_now();
                let Ok(now) = self.inner.load(&key);
                swap(now.map(|record| record.version())).map(|_| Outcome::Stored)
            }
            Fault::ComparesLate => Ok(Outcome::Conflict),
            _ => swap(expected),
        };
        if let (Outcome::Stored, Some(previous)) = (swapped, previous) {
            self.previous.lock().unwrap().insert(key, previous);
        }
        Ok(match self.fault {
            Fault::AlwaysSaysYes => Outcome::Stored,
            Fault::AlwaysSaysNo => Outcome::Conflict,
            _ => swapped,
        })
    }

    fn remove(&self, key: &str) -> Result<(), Self::Error> {
        match self.fault {
            Fault::KeepsRemoved => {}
            Fault::RemovesAll => {
                for (key, _) in self.previous.lock().unwrap().drain() {
                    self.inner.remove(&key)?;
                }
            }
            _ => self.inner.remove(&self.key(key))?,
        }
        Ok(())
    }
}

fn conflict_unless(holds: bool) -> Outcome {
    if holds { Outcome::Stored } else { Outcome::Conflict }
}

#[test]
fn finds_stores_that_break_a_promise() {
    let check = |fault| {
        let store = Broken { inner: MemoryStore::default(), fault, previous: Mutex::default() };
        store::check(&store);
    };
    check(Fault::None);
    for &(fault, promise) in BROKEN {
        let panic = catch_unwind(AssertUnwindSafe(|| check(fault)));
        let panic = panic.expect_err(&format!("{fault:?} was not found"));
        let found = panic.downcast_ref::<String>().unwrap();
        assert!(found.starts_with(promise), "{fault:?}: {found}");
    }
}
