//! The code exchanges of a session.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use dropbox_sign_oauth::{
    CallError, Failure, Replay, State as Login, TokenResponse, TokenSet, UnixTime,
    session::{SendError, SessionError, Step},
};

use crate::entry::{Entry, State};

/// How many exchanges a session remembers: more than the tabs in which a user logs in at a time.
const REMEMBERED: usize = 4;

/// The outcome of a code exchange, which several callers may wait for.
type Exchanged = Result<(), Arc<SendError<CallError>>>;

/// The last exchanges of a session, by the state of their logins, the newest first.
#[derive(Default)]
pub(crate) struct Exchanges(Vec<(Login, Arc<OnceLock<Exchanged>>)>);

impl Exchanges {
    /// Returns the exchange of a login, and whether it is new.
    fn join(&mut self, login: &Login) -> (Arc<OnceLock<Exchanged>>, bool) {
        if let Some(index) = self.0.iter().position(|(known, _)| known == login) {
            let (_, outcome) = self.0.remove(index);
            if !is_code_unused(&outcome) {
                self.0.insert(index, (login.clone(), Arc::clone(&outcome)));
                return (outcome, false);
            }
        }
        if self.0.len() >= REMEMBERED {
            // One in progress is kept: the same code could be sent a second time.
            let ended = self.0.iter().rposition(|(_, outcome)| outcome.get().is_some());
            ended.map(|index| self.0.remove(index));
        }
        let outcome = Arc::default();
        self.0.insert(0, (login.clone(), Arc::clone(&outcome)));
        (outcome, true)
    }

    /// Returns an error at the `deadline`, if an exchange is in progress.
    pub(crate) fn poll_ended(&self, now: UnixTime, deadline: UnixTime) -> Step<()> {
        if self.0.iter().all(|(_, outcome)| outcome.get().is_some()) {
            Step::Ready(())
        } else if now < deadline {
            Step::Wait(deadline)
        } else {
            let late: Box<dyn std::error::Error + Send + Sync> =
                "a code exchange did not end before the timeout".into();
            Step::Fail(SessionError::Store(late.into()))
        }
    }
}

/// Whether the code was provably not used, and can be sent again.
fn is_code_unused(outcome: &OnceLock<Exchanged>) -> bool {
    match outcome.get() {
        Some(Err(error)) => matches!(&**error, SendError::Send(error) if error.had_no_effect()),
        _ => false,
    }
}

/// A code exchange. For the adapters; not covered by semantic versioning.
///
/// If the caller that sends the code drops it, the outcome is unknown.
#[derive(Debug)]
pub struct Exchange<C> {
    entry: Arc<Entry<C>>,
    outcome: Arc<OnceLock<Exchanged>>,
    is_new: bool,
}

impl<C> Exchange<C> {
    /// Starts the exchange of a login, or joins it.
    pub fn join(entry: &Arc<Entry<C>>, login: &Login) -> Self {
        let (outcome, is_new) = entry.state().exchanges.join(login);
        Self { entry: Arc::clone(entry), outcome, is_new }
    }

    /// Returns whether this caller sends the code.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Ends the exchange, and begins the session.
    pub fn end(&mut self, response: Result<TokenResponse, CallError>) {
        self.is_new = false;
        self.entry.change(|machine, now, entropy| {
            let begin =
                |response| machine.replace_tokens(now, entropy, TokenSet::new(response, now));
            let outcome = response.map(begin).map_err(|error| Arc::new(SendError::Send(error)));
            self.outcome.get_or_init(|| outcome);
        });
    }

    /// Returns the outcome once the exchange has ended and the tokens are stored.
    #[must_use]
    pub fn poll(&self, state: &State, now: UnixTime) -> Step<Exchanged> {
        match self.outcome.get() {
            None => Step::Wait(now.saturating_add(Duration::MAX)),
            Some(Err(error)) => Step::Ready(Err(Arc::clone(error))),
            Some(Ok(())) => match state.machine.poll_stored(now) {
                Step::Ready(()) => Step::Ready(Ok(())),
                Step::Wait(until) => Step::Wait(until),
                Step::Fail(error) => Step::Fail(error),
            },
        }
    }
}

impl<C> Drop for Exchange<C> {
    fn drop(&mut self) {
        if self.is_new {
            let failure = Failure::exchange("the exchange panicked or was canceled");
            self.end(Err(CallError::Unknown { failure, replay: Replay::Never }));
        }
    }
}

#[cfg(test)]
mod tests {
    use dropbox_sign_oauth::{App, session::SessionPolicy};

    use super::*;
    use crate::Clock;

    fn entry() -> Arc<Entry<()>> {
        let app = App::new("client-id", "client-secret").unwrap();
        let policy = Arc::new(SessionPolicy::default());
        Arc::new(Entry::new("key".into(), app, &policy, Clock::default(), |()| {}))
    }

    #[test]
    fn the_outcome_of_a_dropped_exchange_is_unknown() {
        let (entry, login) = (entry(), Login::from_entropy([0; 16]));
        drop(Exchange::join(&entry, &login));
        let exchange = Exchange::join(&entry, &login);
        assert!(!exchange.is_new());
        let Step::Ready(Err(error)) = exchange.poll(&entry.state(), entry.now()) else {
            panic!("the exchange has failed");
        };
        assert!(matches!(*error, SendError::Send(CallError::Unknown { .. })), "{error}");
    }

    #[test]
    fn exchanges_in_progress_are_not_forgotten() {
        let (entry, login) = (entry(), Login::from_entropy([0; 16]));
        let _exchange = Exchange::join(&entry, &login);
        for other in 1..10 {
            drop(Exchange::join(&entry, &Login::from_entropy([other; 16])));
        }
        assert!(!Exchange::join(&entry, &login).is_new());
        assert_eq!(entry.state().exchanges.0.len(), REMEMBERED);
    }
}
