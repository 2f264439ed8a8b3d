//! An in-memory store with faults.

use std::{
    error::Error,
    fmt,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_ureq::{MemoryStore, Store};
use tokio::runtime::Runtime;

use crate::{KEY, record};

#[derive(Default)]
pub(crate) struct TestStore {
    records: MemoryStore,
    fault: Mutex<Fault>,
    fault_changed: Condvar,
    pub(crate) loads: AtomicUsize,
    pub(crate) swaps: AtomicUsize,
    /// Some blocking database clients own a runtime, and block on it.
    pub(crate) runtime: Option<Runtime>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Swaps fail.
    FailsToSwap,
    /// The next swap is stored but fails.
    LosesAcknowledgement,
    /// Calls hang until the fault changes.
    Hangs,
    /// Calls panic.
    Panics,
    /// Swaps store nothing and return a conflict.
    Conflicts,
}

#[derive(Debug)]
pub(crate) struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no space is left")
    }
}

impl Error for Full {}

impl TestStore {
    pub(crate) fn put(&self, key: &str, times: (u64, u64)) {
        let record = Record::from_json(&record(times)).unwrap();
        let Ok(swapped) = self.records.compare_and_swap(key, None, &record);
        assert_eq!(swapped, Outcome::Stored);
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.fault_changed.notify_all();
    }

    pub(crate) fn stored(&self) -> Option<Record> {
        let Ok(record) = self.records.load(KEY);
        record
    }

    /// Returns the access token in the store.
    pub(crate) fn token(&self) -> Option<String> {
        self.stored().map(|record| record.tokens().access_token.expose().to_owned())
    }

    /// Begins a call. Returns the fault, which lets the call go on.
    fn begin(&self) -> Fault {
        let fault = self.fault.lock().unwrap();
        let is_hanging = |fault: &mut Fault| *fault == Fault::Hangs;
        let fault = *self.fault_changed.wait_while(fault, is_hanging).unwrap();
        assert!(fault != Fault::Panics, "on purpose");
        fault
    }
}

impl Store for TestStore {
    type Error = Full;

    fn load(&self, key: &str) -> Result<Option<Record>, Full> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.begin();
        if let Some(runtime) = &self.runtime {
            runtime.block_on(async {});
        }
        let Ok(record) = self.records.load(key);
        Ok(record)
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Full> {
        self.swaps.fetch_add(1, Ordering::SeqCst);
        let fault = self.begin();
        match fault {
            Fault::FailsToSwap => return Err(Full),
            Fault::Conflicts => return Ok(Outcome::Conflict),
            _ => {}
        }
        let Ok(swapped) = self.records.compare_and_swap(key, expected, new);
        if fault == Fault::LosesAcknowledgement {
            self.set(Fault::None);
            return Err(Full);
        }
        Ok(swapped)
    }

    fn remove(&self, key: &str) -> Result<(), Full> {
        self.begin();
        self.records.remove(key).map_err(|error| match error {})
    }
}
