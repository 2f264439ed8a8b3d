//! Tests a store with a server behind it, while its connections or the server fail.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::session::{Outcome, Record};
use dropbox_sign_oauth_store::Store;

use super::{Fault, Proxy, record, server::Server};

/// How long a store may take to work again once the server does.
const RECOVERY: Duration = Duration::from_secs(10);

/// Checks what a store reports while its connections or its server fail, and that it recovers.
/// Panics with the fault and what was wrong.
///
/// The store must reach the server through the proxy, and give up a call after `timeout`.
pub fn check<S: Store>(store: &S, proxy: &Proxy, server: &mut Server, timeout: Duration) {
    let mut run = Run { store, proxy, timeout, version: 0, fault: "no fault" };
    let _ = store.remove(KEY);
    run.swaps();
    run.reports_lost("responses lost", Fault::LoseResponse, false);
    run.reports_lost("one response lost", Fault::LoseResponse, true);
    run.reports_lost("requests lost", Fault::LoseRequest, false);
    run.reports_lost("one request lost", Fault::LoseRequest, true);
    run.survives_cuts();

    let set = |fault, down| proxy.set(if down { fault } else { Fault::None });
    run.outage("connections refused", false, |down| {
        set(Fault::Refuse, down);
        proxy.cut();
    });
    run.outage("server paused", true, |down| server.pause(down));
    run.outage("network holds everything", true, |down| set(Fault::Hold, down));
    run.outage("server killed", false, |down| {
        if down {
            server.kill();
        } else {
            server.launch().expect("the server starts again");
        }
    });
}

const KEY: &str = "faults";

struct Run<'a, S> {
    store: &'a S,
    proxy: &'a Proxy,
    timeout: Duration,
    version: u64,
    fault: &'static str,
}

type Called<T> = Result<T, Box<dyn Error + Send + Sync>>;

impl<S: Store> Run<'_, S> {
    #[track_caller]
    fn assert(&self, holds: bool, what: &str) {
        assert!(holds, "{}: {what}", self.fault);
    }

    fn load(&self) -> Called<Option<Record>> {
        self.store.load(KEY).map_err(Into::into)
    }

    /// Swaps in the next version, without taking note of it.
    fn swap(&self) -> Called<Outcome> {
        let expected = Some(self.version).filter(|version| *version > 0);
        let new = record(self.version + 1);
        self.store.compare_and_swap(KEY, expected, &new).map_err(Into::into)
    }

    /// Swaps without a fault.
    #[track_caller]
    fn swaps(&mut self) {
        let swapped = self.swap();
        self.assert(matches!(swapped, Ok(Outcome::Stored)), &format!("{swapped:?}"));
        self.version += 1;
        let stored = self.load().expect("loads");
        self.assert(stored == Some(record(self.version)), "another record is stored");
    }

    /// Waits until the store works, and takes note of what is stored.
    #[track_caller]
    fn recovers(&mut self) {
        let begun = Instant::now();
        loop {
            match self.load() {
                Ok(stored) => {
                    self.version = stored.map_or(0, |record| record.version());
                    return;
                }
                Err(error) => {
                    let waited = begun.elapsed();
                    self.assert(waited < RECOVERY, &format!("no recovery: {error:?}"));
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    fn reports_lost(&mut self, name: &'static str, fault: Fault, once: bool) {
        self.fault = name;
        for _ in 0..3 {
            self.swaps();
            let before = self.version;
            if once {
                self.proxy.set_once(fault);
            } else {
                self.proxy.set(fault);
            }
            let swapped = self.swap();
            self.proxy.set(Fault::None);
            self.recovers();
            let is_stored = self.version == before + 1;
            self.assert(is_stored || self.version == before, "another record is stored");
            match swapped {
                // A store may find out by itself.
                Ok(Outcome::Stored) => self.assert(is_stored, "reported a record as stored"),
                Ok(Outcome::Conflict) => self.assert(false, "reported a conflict"),
                Err(_) if once => {}
                Err(_) => {
                    let is_executed = fault == Fault::LoseResponse;
                    self.assert(is_stored == is_executed, "the wrong record is stored");
                }
            }
            self.version = before;
            let again = self.swap();
            let expected = !is_stored == matches!(again, Ok(Outcome::Stored));
            self.assert(expected, &format!("again: {again:?}"));
            self.version = before + 1;
        }
    }

    /// A cut of an idle connection costs a call or none, and no record.
    fn survives_cuts(&mut self) {
        self.fault = "idle connection cut";
        for pause in [0, 1, 50] {
            self.proxy.cut();
            thread::sleep(Duration::from_millis(pause));
            let before = self.version;
            if let Ok(swapped) = self.swap() {
                self.assert(swapped == Outcome::Stored, "reported a conflict");
                self.version += 1;
            } else {
                self.recovers();
                let unknown = self.version == before || self.version == before + 1;
                self.assert(unknown, "another record is stored");
            }
            self.swaps();
        }
    }

    /// Calls fail in time while something is down. What is sent meanwhile may be executed late, or
    /// it is not executed.
    fn outage(&mut self, name: &'static str, may_execute: bool, mut set: impl FnMut(bool)) {
        self.fault = name;
        let after = self.version..=self.version + u64::from(may_execute);
        set(true);
        self.gives_up();
        set(false);
        self.recovers();
        self.assert(after.contains(&self.version), "another record is stored");
        if may_execute {
            thread::sleep(Duration::from_millis(300));
            self.recovers();
            self.assert(after.contains(&self.version), "another record is stored");
        }
        self.swaps();
    }

    /// Calls fail in time.
    fn gives_up(&self) {
        let limit = self.timeout + self.timeout / 5 + Duration::from_millis(200);
        for call in 0..3 {
            let begun = Instant::now();
            let failed = if call == 1 { self.swap().err() } else { self.load().err() };
            let took = begun.elapsed();
            self.assert(took < limit, &format!("a call took {took:?}"));
            let failed = failed.map(|error| error.to_string());
            self.assert(failed.is_some(), "a call did not fail");
        }
    }
}
