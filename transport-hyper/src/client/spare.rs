//! Connections that are opened ahead of the code that each of them is for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dropbox_sign_oauth::{CODES_IN_A_ROW, MAX_SPARE_AGE, MAX_SPARES};
use http::Uri;
use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{Open, connection::Connection};

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(1);

/// The spare connections of a client.
#[derive(Default)]
pub(super) struct Spares(Mutex<State>);

#[derive(Default)]
struct State {
    /// The oldest first.
    spares: Vec<Spare>,
    /// When a server last responded to a code, and which.
    last: Option<(Instant, Uri)>,
}

/// A connection that is open or being opened. Dropping it closes the connection.
struct Spare {
    origin: Uri,
    /// A runtime that is not polled would not open the connection.
    runtime: Id,
    /// Locked while the connection is being opened.
    slot: Slot,
    task: AbortHandle,
}

/// An open connection, since when.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Connection)>>>;

impl Spares {
    /// Returns the connection for a code, if one was opened ahead. In a row of codes, also starts to
    /// open those for the next codes.
    pub(super) async fn take(&self, open: &Arc<Open>, origin: &Uri) -> Option<Connection> {
        let taken = {
            let mut state = self.state();
            let runtime = Handle::current().id();
            let own = state.spares.iter().enumerate();
            let own = own.filter(|(_, it)| it.origin == *origin && it.runtime == runtime);
            // One that is open, if there is one.
            let position = own.min_by_key(|(_, it)| it.slot.try_lock().is_err());
            let position = position.map(|(position, _)| position);
            let taken = position.map(|position| state.spares.remove(position));
            if state
                .last
                .as_ref()
                .is_some_and(|(at, it)| it == origin && at.elapsed() < CODES_IN_A_ROW)
            {
                while state.open(open, origin) {}
            }
            taken?
        };
        let (since, connection) = taken.slot.lock().await.take()?;
        // A runtime polls its sockets before its timers, so the connection's task learns by then if
        // the server has closed, also in a runtime that was not polled meanwhile.
        sleep(TICK).await;
        (since.elapsed() < MAX_SPARE_AGE).then_some(connection)
    }

    /// Starts to open a connection unless there are enough.
    pub(super) fn open(&self, open: &Arc<Open>, origin: &Uri) {
        self.state().open(open, origin);
    }

    /// Notes that a server has responded to a code.
    pub(super) fn responded(&self, origin: Uri) {
        self.state().last = Some((Instant::now(), origin));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Connecting failed, or nothing used the connection.
        state.spares.retain(|spare| !spare.task.is_finished());
        state
    }
}

impl State {
    /// Starts to open a connection; false if there are enough.
    fn open(&mut self, open: &Arc<Open>, origin: &Uri) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        if self.spares.iter().filter(|spare| spare.origin == *origin).count() >= MAX_SPARES {
            return false;
        }
        let slot = Slot::default();
        let Ok(mut locked) = Arc::clone(&slot).try_lock_owned() else {
            return false;
        };
        let (open, to, opened) = (Arc::clone(open), origin.clone(), Arc::clone(&slot));
        let task = runtime.spawn(async move {
            let end = Instant::now() + CODES_IN_A_ROW;
            while let Ok(connection) = open(to.clone()).await {
                *locked = Some((Instant::now(), connection));
                drop(locked);
                sleep_until(end.min(Instant::now() + MAX_SPARE_AGE)).await;
                locked = Arc::clone(&opened).lock_owned().await;
                *locked = None;
                if Instant::now() >= end {
                    break;
                }
            }
        });
        let (origin, task) = (origin.clone(), task.abort_handle());
        self.spares.push(Spare { origin, runtime: runtime.id(), slot, task });
        true
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {

    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt, DuplexStream},
        runtime::Builder,
        sync::mpsc::{UnboundedReceiver, unbounded_channel},
        time::{advance, timeout},
    };

    use super::*;

    fn origin() -> Uri {
        Uri::from_static("https://host.invalid/")
    }

    /// Opens connections, and gives their other ends to the test.
    fn opener() -> (Arc<Open>, UnboundedReceiver<DuplexStream>) {
        let (sender, servers) = unbounded_channel();
        let open = move |_| {
            let (client, server) = tokio::io::duplex(1);
            sender.send(server).unwrap();
            let client = Box::new(TokioIo::new(client));
            let opening = async { Ok(Connection::open(client, false).await?) };
            Box::pin(opening) as super::super::BoxFuture<_>
        };
        (Arc::new(open), servers)
    }

    #[tokio::test(start_paused = true)]
    async fn spares_are_bounded_and_expire() {
        let (open, mut servers) = opener();
        let spares = Spares::default();
        for _ in 0..3 {
            spares.open(&open, &origin());
        }
        sleep(TICK).await;
        assert_eq!(servers.len(), MAX_SPARES);
        sleep(MAX_SPARE_AGE).await;
        assert_eq!(servers.len(), 2 * MAX_SPARES);
        let mut first = servers.recv().await.unwrap();
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        sleep(CODES_IN_A_ROW).await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        assert!(spares.take(&open, &origin()).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_spare_of_the_greatest_age_is_not_taken() {
        let (open, _servers) = opener();
        let spares = Spares::default();
        for (age, is_taken) in [(MAX_SPARE_AGE / 2, true), (MAX_SPARE_AGE, false)] {
            spares.open(&open, &origin());
            sleep(TICK).await;
            // As if the runtime was not polled meanwhile.
            let stuck = tokio::spawn(std::future::pending::<()>()).abort_handle();
            std::mem::replace(&mut spares.state().spares[0].task, stuck).abort();
            advance(age).await;
            assert_eq!(spares.take(&open, &origin()).await.is_some(), is_taken);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_of_codes_opens_spares() {
        let (open, servers) = opener();
        let spares = Spares::default();
        let other = Uri::from_static("https://other.invalid/");
        assert!(spares.take(&open, &origin()).await.is_none());
        spares.responded(origin());
        assert!(spares.take(&open, &other).await.is_none());
        assert!(servers.is_empty());
        for (opened, is_taken) in [(2, false), (3, true), (4, true), (5, true)] {
            assert!(spares.take(&open, &other).await.is_none());
            assert_eq!(spares.take(&open, &origin()).await.is_some(), is_taken);
            sleep(TICK).await;
            assert_eq!(servers.len(), opened);
        }
        sleep(2 * CODES_IN_A_ROW).await;
        let opened = servers.len();
        assert!(spares.take(&open, &origin()).await.is_none());
        sleep(TICK).await;
        assert_eq!(servers.len(), opened);
    }

    #[test]
    fn a_spare_of_another_runtime_is_not_taken() {
        let [first, second] = [(); 2].map(|()| {
            let mut builder = Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().unwrap()
        });
        let (open, _servers) = opener();
        let spares = Spares::default();
        first.block_on(async { spares.open(&open, &origin()) });
        let taken =
            second.block_on(async { timeout(CODES_IN_A_ROW, spares.take(&open, &origin())).await });
        assert!(taken.unwrap().is_none());
        assert!(first.block_on(spares.take(&open, &origin())).is_some());
    }
}
