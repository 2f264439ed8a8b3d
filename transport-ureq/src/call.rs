//! What is known about the call in progress on this thread.
//!
//! ureq runs a call on the caller's thread from start to end, and a pooled connection does not
//! know which call uses it, so these facts are thread-local.

use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};

use ureq::{
    Timeout,
    unversioned::transport::{NextTimeout, time},
};

thread_local! {
    static CALL: Cell<CallState> = const { Cell::new(CallState::IDLE) };
}

#[derive(Clone, Copy)]
pub(crate) struct CallState {
    connect_by: Option<Instant>,
    /// How many more bytes may be read.
    pub(crate) readable: usize,
    pub(crate) progress: Progress,
    /// Whether a connection was opened since the start or restart.
    pub(crate) connected: bool,
    /// How the connection failed while the response was read.
    pub(crate) read_error: Option<io::ErrorKind>,
    /// Whether the rest of the response is passed to ureq one byte at a time.
    pub(crate) bytewise: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    /// Nothing of the request was passed to a connection.
    NotSent,
    /// Some of the request was passed to a connection.
    Sent,
    /// Some of the response was read.
    Responded,
}

impl CallState {
    const IDLE: Self = Self {
        connect_by: None,
        readable: 0,
        progress: Progress::NotSent,
        connected: false,
        read_error: None,
        bytewise: false,
    };

    /// Whether some of the request may have reached the server.
    pub(crate) fn was_sent(self) -> bool {
        self.progress >= Progress::Sent
    }

    /// Whether a pooled connection was used and nothing of the response was read from it.
    pub(crate) fn may_be_stale(self) -> bool {
        !self.connected && self.progress == Progress::Sent
    }
}

/// Starts a call that must connect within `connect_timeout` and may read `readable` bytes: ureq
/// limits neither interim responses nor trailers.
pub(crate) fn start(connect_timeout: Duration, readable: usize) {
    CALL.set(CallState {
        connect_by: Instant::now().checked_add(connect_timeout),
        readable,
        ..CallState::IDLE
    });
}

/// Prepares the call for sending its request once more. What was sent stays sent.
pub(crate) fn restart(connect_timeout: Duration) {
    update(|call| {
        call.connect_by = Instant::now().checked_add(connect_timeout);
        call.read_error = None;
    });
}

pub(crate) fn get() -> CallState {
    CALL.get()
}

pub(crate) fn update(change: impl FnOnce(&mut CallState)) {
    let mut call = CALL.get();
    change(&mut call);
    CALL.set(call);
}

/// Records that the call has come so far.
pub(crate) fn advance(progress: Progress) {
    update(|call| call.progress = call.progress.max(progress));
}

/// Shortens `timeout` to what is left of the time for connecting.
pub(crate) fn connect_budget(mut timeout: NextTimeout) -> NextTimeout {
    if let Some(connect_by) = CALL.get().connect_by {
        let left = connect_by.saturating_duration_since(Instant::now());
        let left = time::Duration::Exact(left);
        if left < timeout.after {
            timeout.after = left;
            timeout.reason = Timeout::Connect;
        }
    }
    timeout
}
