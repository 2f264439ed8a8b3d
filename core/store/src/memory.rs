//! A store that lives as long as the process.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use dropbox_sign_oauth::session::{Record, Swapped};

use crate::Store;

/// A store that lives as long as the process: for sessions whose loss means no more than another
/// authorization.
#[derive(Default, Debug)]
pub struct MemoryStore(Mutex<Option<Record>>);

impl Store for MemoryStore {
    type Error = Infallible;

    fn load(&self) -> Result<Option<Record>, Infallible> {
        // A record is replaced whole, so that a thread that panicked leaves no half of one.
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stored.clone())
    }

    fn compare_and_swap(&self, expected: Option<u64>, new: &Record) -> Result<Swapped, Infallible> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.as_ref().map(Record::version) != expected {
            return Ok(Swapped::No);
        }
        *stored = Some(new.clone());
        Ok(Swapped::Yes)
    }
}
