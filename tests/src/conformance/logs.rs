//! Searches the log for secrets.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use log::{LevelFilter, Log, Metadata, Record};

use super::canary::Needle;

/// Installs the logger for the rest of the process. Returns `false` if there is another one.
pub(super) fn listen() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();

    *INSTALLED.get_or_init(|| {
        let installed = log::set_logger(&LISTENER).is_ok();
        if installed {
            log::set_max_level(LevelFilter::Debug);
        }
        installed
    })
}

/// Returns the number of log records so far.
pub(super) fn records() -> usize {
    LISTENER.records.load(Relaxed)
}

static LISTENER: Listener =
    Listener { watches: Mutex::new(Vec::new()), records: AtomicUsize::new(0) };

struct Listener {
    watches: Mutex<Vec<(u64, Watched)>>,
    records: AtomicUsize,
}

struct Watched {
    needles: Vec<Needle>,
    found: Vec<&'static str>,
}

impl Listener {
    fn watches(&self) -> MutexGuard<'_, Vec<(u64, Watched)>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        self.records.fetch_add(1, Relaxed);
        // Before the lock: formatting may log.
        let line = record.args().to_string();
        for (_, Watched { needles, found }) in self.watches().iter_mut() {
            let secrets = needles.iter().filter(|needle| needle.is_in(&line));
            found.extend(secrets.map(|needle| needle.secret));
        }
    }

    fn flush(&self) {}
}

/// Searches the log for some secrets until it is dropped.
pub(super) struct Watch(u64);

impl Watch {
    pub(super) fn begin(needles: Vec<Needle>) -> Self {
        static ID: AtomicU64 = AtomicU64::new(0);

        let id = ID.fetch_add(1, Relaxed);
        let found = Vec::new();
        LISTENER.watches().push((id, Watched { needles, found }));
        Self(id)
    }

    /// Returns the names of the secrets that were logged so far.
    pub(super) fn found(&self) -> Vec<&'static str> {
        let watches = LISTENER.watches();
        let mut own = watches.iter().filter(|(id, _)| *id == self.0);
        own.next().map(|(_, watched)| watched.found.clone()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        LISTENER.watches().retain(|(id, _)| *id != self.0);
    }
}
