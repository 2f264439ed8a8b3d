//! Stores that break a promise: the run must find each of them.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use dropbox_sign_oauth_store::{MemoryStore, Outcome, Record, Store};
use dropbox_sign_oauth_testkit::store;

/// A store over another, in which one thing goes wrong.
#[derive(Default)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
    previous: Mutex<HashMap<String, Record>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Fault {
    #[default]
    None,
    LoadsLag,
    AlwaysSaysYes,
    AlwaysSaysNo,
    IgnoresCase,
    TruncatesKeys,
    StoresAnyway,
    ComparesLate,
    KeepsRemoved,
    RemovesAll,
    RefusesLargeRecords,
}

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
    type Error = Box<dyn std::error::Error + Send + Sync>;

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
        let there = self.inner.load(&key)?;
        let swapped = match self.fault {
            Fault::StoresAnyway => {
                let swapped = there.as_ref().map(Record::version) == expected;
                let there = there.as_ref().map(Record::version);
                self.inner.compare_and_swap(&key, there, new)?;
                if swapped { Outcome::Stored } else { Outcome::Conflict }
            }
            Fault::ComparesLate => {
                let there = there.as_ref().map(Record::version);
                if there != expected {
                    return Ok(Outcome::Conflict);
                }
                std::thread::yield_now();
                let now = self.inner.load(&key)?.map(|record| record.version());
                self.inner.compare_and_swap(&key, now, new)?;
                Outcome::Stored
            }
            _ => self.inner.compare_and_swap(&key, expected, new)?,
        };
        if let (Outcome::Stored, Some(there)) = (swapped, there) {
            self.previous.lock().unwrap().insert(key, there);
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

fn broken_promise(fault: Fault) -> Option<String> {
    let store = Broken { fault, ..Broken::default() };
    let run = catch_unwind(AssertUnwindSafe(|| store::check(&store)));
    let panic = run.err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn finds_stores_that_break_a_promise() {
    assert_eq!(broken_promise(Fault::None), None);
    for (fault, promise) in [
        (Fault::LoadsLag, "stores if the version is the expected one: "),
        (Fault::AlwaysSaysYes, "stores if the version is the expected one: "),
        (Fault::AlwaysSaysNo, "stores if the version is the expected one: "),
        (Fault::IgnoresCase, "keeps keys apart, whatever their text: "),
        (Fault::TruncatesKeys, "keeps keys apart, whatever their text: "),
        (Fault::StoresAnyway, "stores if the version is the expected one: "),
        (Fault::ComparesLate, ""),
        (Fault::KeepsRemoved, "removes a record of any version: "),
        (Fault::RemovesAll, ""),
        (Fault::RefusesLargeRecords, "stores large records whole or refuses them: "),
    ] {
        let found = broken_promise(fault);
        assert!(found.is_some(), "{fault:?} was not found");
        let found = found.unwrap();
        assert!(found.starts_with(promise), "{fault:?}: {found}");
    }
}
