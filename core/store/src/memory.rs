//! A store in memory.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dropbox_sign_oauth::session::{Outcome, Record};

use crate::Store;

/// Stores session records in memory. They are lost when the process ends, so this is for tests and
/// for programs whose users can authorize again after each restart.
#[derive(Default, Debug)]
pub struct MemoryStore(Mutex<HashMap<String, Record>>);

impl MemoryStore {
    fn records(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        // A panic leaves no partial record: each change is a single call of the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn load(&self, key: &str) -> Result<Option<Record>, Infallible> {
        Ok(self.records().get(key).cloned())
    }

    fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Outcome, Infallible> {
        let mut records = self.records();
        if records.get(key).map(Record::version) != expected {
            return Ok(Outcome::Conflict);
        }
        records.insert(key.to_owned(), new.clone());
        Ok(Outcome::Stored)
    }

    fn remove(&self, key: &str) -> Result<(), Infallible> {
        self.records().remove(key);
        Ok(())
    }
}
