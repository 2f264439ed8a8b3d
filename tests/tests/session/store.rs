//! An in-memory store with faults.

use std::{
    error::Error,
    fmt::{self, Debug},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_ureq::{MemoryStore, Store};

use crate::KEY;

#[derive(Default)]
pub(crate) struct TestStore {
    records: MemoryStore,
    fault: Mutex<Fault>,
    fault_changed: Condvar,
    pub(crate) loads: AtomicUsize,
    pub(crate) swaps: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every call fails.
    Fails,
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
    /// Returns a store with this record under [`KEY`].
    pub(crate) fn with(record: &str) -> Arc<Self> {
        let store = Self::default();
        store.put(KEY, record);
        Arc::new(store)
    }

    pub(crate) fn put(&self, key: &str, record: &str) {
        let record = Record::from_json(record).unwrap();
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

    fn fault(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        while *fault == Fault::Hangs {
            fault = self.fault_changed.wait(fault).unwrap();
        }
        *fault
    }
}

impl Store for TestStore {
    type Error = Full;

    fn load(&self, key: &str) -> Result<Option<Record>, Full> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        match self.fault() {
            Fault::Fails => Err(Full),
            Fault::Panics => panic!("on purpose"),
            _ => self.records.load(key).map_err(|error| match error {}),
        }
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Full> {
        self.swaps.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault();
        match fault {
            Fault::Fails | Fault::FailsToSwap => return Err(Full),
            Fault::Panics => panic!("on purpose"),
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
        match self.fault() {
            Fault::Fails => Err(Full),
            Fault::Panics => panic!("on purpose"),
            _ => self.records.remove(key).map_err(|error| match error {}),
        }
    }
}

/// Returns the access token in the store.
pub(crate) fn access_token(store: &impl Store<Error: Debug>) -> String {
    let stored = store.load(KEY).unwrap().unwrap();
    stored.tokens().access_token.expose().to_owned()
}
