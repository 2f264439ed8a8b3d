//! The code exchanges of a session.

use std::sync::{Arc, Mutex, PoisonError};

use dropbox_sign_oauth::State;

/// How many exchanges a session remembers: more than the tabs in which a user logs in at a time.
const REMEMBERED: usize = 4;

/// The outcomes of a session's last code exchanges, by the state of their logins. For the adapters;
/// not covered by semantic versioning.
#[derive(Debug)]
pub struct Exchanges<C>(Mutex<Vec<(State, Arc<C>)>>);

impl<C: Default> Exchanges<C> {
    /// Returns the cell for the outcome of a login's exchange. It is empty for a new login.
    pub fn get(&self, state: &State) -> Arc<C> {
        let mut exchanges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, outcome)) = exchanges.iter().find(|(known, _)| known == state) {
            return Arc::clone(outcome);
        }
        let outcome = Arc::<C>::default();
        exchanges.insert(0, (state.clone(), Arc::clone(&outcome)));
        exchanges.truncate(REMEMBERED);
        outcome
    }
}

impl<C> Default for Exchanges<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
