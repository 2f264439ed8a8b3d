//! The state of one session in memory.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dropbox_sign_oauth::{
    App, UnixTime,
    session::{Background, Job, Session as Machine, SessionPolicy, Step},
};

use crate::{Clock, Entropy, exchanges::Exchanges};

/// The state of one session in memory. `C` notifies of changes. For the adapters; not covered by
/// semantic versioning.
pub struct Entry<C> {
    /// The key under which the session is stored.
    pub key: Arc<str>,
    /// Notified after each change of the state.
    pub changed: C,
    notify: fn(&C),
    clock: Clock,
    state: Mutex<State>,
}

/// The part of an [`Entry`] that changes.
pub struct State {
    /// The state machine.
    pub machine: Machine,
    pub(crate) exchanges: Exchanges,
    entropy: Entropy,
    /// When the next background job starts, if a task or a timer waits for it.
    pub wakes_at: Option<UnixTime>,
}

impl<C: Default> Entry<C> {
    /// Returns the state of a session that is not loaded yet.
    pub fn new(
        key: Arc<str>,
        app: App,
        policy: &Arc<SessionPolicy>,
        clock: Clock,
        notify: fn(&C),
    ) -> Self {
        let machine = Machine::new(app, Arc::clone(policy)).traced_as(&key);
        let (exchanges, entropy) = (Exchanges::default(), Entropy::new());
        let state = Mutex::new(State { machine, exchanges, entropy, wakes_at: None });
        Self { key, changed: C::default(), notify, clock, state }
    }
}

impl<C> Entry<C> {
    /// Returns the time.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Locks the state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // The machine is consistent after each of its methods, so a poisoned lock is safe to use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, with the time and 64 random bits.
    pub fn change(&self, change: impl FnOnce(&mut Machine, UnixTime, u64)) {
        let mut state = self.state();
        let entropy = state.entropy.next_u64();
        change(&mut state.machine, self.now(), entropy);
        drop(state);
        (self.notify)(&self.changed);
    }
}

impl State {
    /// As [`Machine::next_job`].
    pub fn next_job(&mut self, now: UnixTime) -> Option<Job> {
        self.machine.next_job(now, self.entropy.next_u64())
    }

    /// As [`Machine::background`].
    pub fn background(&mut self, now: UnixTime) -> Background {
        self.machine.background(now, self.entropy.next_u64())
    }

    /// As [`Machine::poll_flushed`], also for the tokens of code exchanges in progress.
    #[must_use]
    pub fn poll_flushed(&self, now: UnixTime, deadline: UnixTime) -> Step<()> {
        match self.exchanges.poll_ended(now, deadline) {
            Step::Ready(()) => self.machine.poll_flushed(now, deadline),
            step => step,
        }
    }
}

impl<C> fmt::Debug for Entry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .field("record", &self.state().machine.record())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)
    }
}
