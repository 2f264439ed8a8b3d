//! Connections that are opened ahead of the code that each of them is for.

use std::{
    cell::RefCell,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{CODES_IN_A_ROW, MAX_SPARE_AGE, MAX_SPARES};
use http::Uri;
use ureq::{
    Error,
    unversioned::transport::{ConnectionDetails, Connector, NextTimeout, Transport as Io},
};

use crate::Transport;

/// How long a connection that was opened ahead is read from before it is used: session tickets of
/// the server have arrived, and so has the end of a connection that the server has closed.
const PROBE: Duration = Duration::from_millis(1);

thread_local! {
    /// What the connector does on this thread instead of opening a connection for a call.
    static HANDOVER: RefCell<Handover> = const { RefCell::new(Handover::None) };
}

enum Handover {
    None,
    /// Opens a connection, leaves it here, and fails.
    Leave,
    /// Takes this connection.
    Take(Box<dyn Io>),
}

/// A connection that is offered to the next request on this thread. Dropping this takes it back if
/// it was not used.
pub(crate) struct Offer(());

impl Drop for Offer {
    fn drop(&mut self) {
        HANDOVER.set(Handover::None);
    }
}

/// Whether the next connection on this thread is already open.
pub(crate) fn is_offered() -> bool {
    HANDOVER.with_borrow(|handover| matches!(handover, Handover::Take(_)))
}

/// Uses the connections that were opened ahead.
#[derive(Debug)]
pub(crate) struct Ahead<C>(pub(crate) C);

impl<C: Connector> Connector for Ahead<C> {
    type Out = Box<dyn Io>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let handover = HANDOVER.replace(Handover::None);
        if let Handover::Take(connection) = handover {
            return Ok(Some(connection));
        }
        let connection = self.0.connect(details, chained)?.ok_or(Error::ConnectionFailed)?;
        if matches!(handover, Handover::Leave) {
            HANDOVER.set(Handover::Take(Box::new(connection)));
            return Err(Error::ConnectionFailed);
        }
        Ok(Some(Box::new(connection)))
    }
}

/// The spare connections of a transport.
#[derive(Default)]
pub(crate) struct Spares(Mutex<State>);

#[derive(Default)]
struct State {
    /// The oldest first.
    spares: Vec<Spare>,
    /// When a server last responded to a code, and which.
    last: Option<(Instant, Uri)>,
}

/// A connection that is open or being opened, by a thread of its own. It is closed when the thread
/// or the transport drops this.
#[derive(Clone)]
struct Spare {
    origin: Uri,
    slot: Arc<Slot>,
}

#[derive(Default)]
struct Slot {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
enum Content {
    #[default]
    Opening,
    Open(Instant, Box<dyn Io>),
    /// It was used or is not needed, or it could not be opened.
    Ended,
}

impl Spares {
    /// Offers a connection to the next request on this thread, if one was opened ahead and the
    /// server has not closed it. In a row of codes, also starts to open those for the next codes.
    pub(crate) fn offer(
        &self,
        transport: &Transport,
        origin: &Uri,
        limit: Duration,
    ) -> Option<Offer> {
        let taken = {
            let mut state = lock(&self.0);
            let is_open = |spare: &Spare| matches!(*lock(&spare.slot.content), Content::Open(..));
            let is_own = |spare: &Spare| is_same(&spare.origin, origin);
            let spares = &state.spares;
            let position = spares.iter().position(|spare| is_own(spare) && is_open(spare));
            let position = position.or_else(|| spares.iter().position(is_own));
            let taken = position.map(|position| state.spares.remove(position));
            let in_a_row =
                |(at, it): &(Instant, Uri)| is_same(it, origin) && at.elapsed() < CODES_IN_A_ROW;
            if state.last.as_ref().is_some_and(in_a_row) {
                while state.open(transport, origin) {}
            }
            taken
        };
        let connection = taken?.slot.take(limit)?;
        HANDOVER.set(Handover::Take(connection));
        Some(Offer(()))
    }

    /// Starts to open a connection unless there are enough.
    pub(crate) fn open(&self, transport: &Transport, origin: &Uri) {
        lock(&self.0).open(transport, origin);
    }

    /// Notes that a server has responded to a code.
    pub(crate) fn responded(&self, origin: &Uri) {
        lock(&self.0).last = Some((Instant::now(), origin.clone()));
    }
}

impl State {
    /// Starts to open a connection; false if there are enough.
    fn open(&mut self, transport: &Transport, origin: &Uri) -> bool {
        self.spares.retain(|spare| !matches!(*lock(&spare.slot.content), Content::Ended));
        let same = self.spares.iter().filter(|spare| is_same(&spare.origin, origin));
        if same.count() >= MAX_SPARES {
            return false;
        }
        let spare = Spare { origin: origin.clone(), slot: Arc::default() };
        let opening = spare.clone();
        // With no spares of its own: the thread does not keep those of `transport` alive.
        let transport = Transport { spares: Arc::default(), ..transport.clone() };
        let thread = thread::Builder::new().name("dropbox-sign-connect".into());
        let is_started =
            thread.spawn(move || opening.slot.keep_open(&transport, &opening.origin)).is_ok();
        self.spares.extend(is_started.then_some(spare));
        is_started
    }
}

impl Slot {
    /// Opens a connection, and another one when it is too old, until one is taken or the row of
    /// codes has probably ended.
    fn keep_open(&self, transport: &Transport, origin: &Uri) {
        let end = Instant::now() + CODES_IN_A_ROW;
        while let Some(connection) = open(transport, origin) {
            let mut content = lock(&self.content);
            if matches!(*content, Content::Ended) {
                return;
            }
            *content = Content::Open(Instant::now(), connection);
            self.changed.notify_all();
            let age = MAX_SPARE_AGE.min(end.saturating_duration_since(Instant::now()));
            let is_open = |content: &mut Content| matches!(content, Content::Open(..));
            let waited = self.changed.wait_timeout_while(content, age, is_open);
            let (mut content, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            if !waited.timed_out() || Instant::now() >= end {
                break;
            }
            *content = Content::Opening;
        }
    }

    /// Takes the connection. Waits for it until `limit` if it is being opened.
    fn take(&self, limit: Duration) -> Option<Box<dyn Io>> {
        let is_opening = |content: &mut Content| matches!(content, Content::Opening);
        let waited = self.changed.wait_timeout_while(lock(&self.content), limit, is_opening);
        drop(waited.unwrap_or_else(PoisonError::into_inner).0);
        match self.end() {
            Content::Open(since, mut connection) if since.elapsed() < MAX_SPARE_AGE => {
                let probe = NextTimeout { after: PROBE.into(), ..NextTimeout::default() };
                let is_quiet = match connection.await_input(probe) {
                    Err(Error::Timeout(_)) => true,
                    Err(Error::Io(error)) => error.kind() == std::io::ErrorKind::TimedOut,
                    _ => false,
                };
                is_quiet.then_some(connection)
            }
            _ => None,
        }
    }

    fn end(&self) -> Content {
        let content = mem::replace(&mut *lock(&self.content), Content::Ended);
        self.changed.notify_all();
        content
    }
}

/// Opens a connection by the rules of a call, of which nothing is sent.
fn open(transport: &Transport, origin: &Uri) -> Option<Box<dyn Io>> {
    HANDOVER.set(Handover::Leave);
    transport.connect(origin);
    match HANDOVER.replace(Handover::None) {
        Handover::Take(connection) => Some(connection),
        _ => None,
    }
}

fn is_same(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && a.authority() == b.authority()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single assignment, so a poisoned lock is safe to use.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.slot.end();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dropbox_sign_oauth::App;

    use super::*;

    #[derive(Debug)]
    struct Panics;

    impl Connector for Panics {
        type Out = Box<dyn Io>;

        fn connect(
            &self,
            _: &ConnectionDetails<'_>,
            _: Option<()>,
        ) -> Result<Option<Self::Out>, Error> {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_code_does_not_wait_for_a_connector_that_has_panicked() {
        let builder = Transport::builder().resolver(|_| Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        let transport = builder.build_with_connector(Panics).unwrap();
        transport.connect_ahead(&App::new("client-id", "client-secret").unwrap());
        let slot = Arc::clone(&lock(&transport.spares.0).spares[0].slot);
        let (started, limit) = (Instant::now(), Duration::from_secs(60));
        assert!(slot.take(limit).is_none());
        assert!(started.elapsed() < limit);
    }
}
