//! Keeps the log of the process, to be searched for secrets.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

/// Returns all records so far, at DEBUG and above. From the first call on, they are kept.
pub(super) fn lines() -> MutexGuard<'static, Vec<String>> {
    static INSTALL: Once = Once::new();

    INSTALL.call_once(|| {
        log::set_logger(&LINES).expect("the process should have no other logger");
        log::set_max_level(LevelFilter::Debug);
    });
    LINES.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Before the lock: formatting may log.
            let line = record.args().to_string();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn flush(&self) {}
}
