//! What happens to a store with a server behind it.

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
///
/// The store must reach the server through the proxy, and give up a call after `timeout`.
///
/// # Panics
/// With the fault and what was wrong.
pub fn check<S: Store>(store: &S, proxy: &Proxy, server: &mut Server, timeout: Duration) {
    let mut run = Run { store, proxy, timeout, version: 0, fault: "no fault" };
    let _ = store.remove(KEY);
    run.swaps();
    run.reports_lost("responses lost", Fault::LoseResponse, false);
    run.reports_lost("one response lost", Fault::LoseResponse, true);
    run.reports_lost("requests lost", Fault::LoseRequest, false);
    run.reports_lost("one request lost", Fault::LoseRequest, true);
    run.survives_cuts();
    run.reports_refused();

    run.fault = "server paused";
    server.pause(true);
    let before = run.version;
    run.gives_up();
    server.pause(false);
    run.recovers();
    run.settles(before);

    run.fault = "network holds everything";
    proxy.set(Fault::Hold);
    let before = run.version;
    run.gives_up();
    proxy.set(Fault::None);
    run.recovers();
    run.settles(before);

    run.fault = "server killed";
    server.kill();
    let before = run.version;
    run.gives_up();
    server.launch().expect("the server starts again");
    run.recovers();
    run.assert(run.version == before, "what was acknowledged is gone, or more is there");
    run.swaps();
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

    fn reports_refused(&mut self) {
        self.fault = "connections refused";
        self.proxy.set(Fault::Refuse);
        self.proxy.cut();
        let version = self.version;
        self.gives_up();
        self.proxy.set(Fault::None);
        self.recovers();
        self.assert(self.version == version, "another record is stored");
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

    /// After a swap whose outcome is unknown, the old record or the new one is stored. The server
    /// may have received the request, and execute it late.
    fn settles(&mut self, before: u64) {
        let after = [before, before + 1];
        self.assert(after.contains(&self.version), "another record is stored");
        thread::sleep(Duration::from_millis(300));
        self.recovers();
        self.assert(after.contains(&self.version), "another record is stored");
        self.swaps();
    }
}
