//! Calls of clients that have no time limit of their own.

use std::{
    panic,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use crate::database::DatabaseProblem;

/// Runs `work` on a thread of its own, and gives up waiting for it after `limit`.
///
/// The thread ends when the client gives up. Threads do not pile up: each has a connection of the
/// pool, or waits for one no longer than `limit`.
pub(crate) fn run<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, DatabaseProblem> + Send + 'static,
) -> Result<T, DatabaseProblem> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let worker = thread::Builder::new()
        .name("session store".into())
        .spawn(move || {
            // The receiver is gone if the caller gave up.
            let _ = sender.send(work());
        })
        .map_err(|error| DatabaseProblem::Connect(error.into()))?;
    match receiver.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(DatabaseProblem::Timeout(limit)),
        Err(RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(()) => Err(DatabaseProblem::Timeout(limit)),
        },
    }
}

/// How long a pool has for a connection: a little less than the call, so that its reason is known.
pub(crate) fn to_connect(limit: Duration) -> Duration {
    limit.mul_f32(0.9)
}
