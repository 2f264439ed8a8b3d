//! The calls of the system whose failures tests bring about.

use std::io;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Write,
    Rename,
    #[cfg(unix)]
    SyncFolder,
}

/// Called before a step; fails where a test wants it to.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "it fails in tests")]
pub(super) fn before(_: Step) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use test::{before, failing};

#[cfg(test)]
mod test {
    use std::cell::Cell;

    use super::{Step, io};

    thread_local! {
        static FAULT: Cell<Option<(Step, i32)>> = const { Cell::new(None) };
    }

    pub(in super::super) fn before(step: Step) -> io::Result<()> {
        match FAULT.get() {
            Some((fails, error)) if fails == step => Err(io::Error::from_raw_os_error(error)),
            _ => Ok(()),
        }
    }

    /// Runs `work` on a system where this step fails with this error.
    pub(in super::super) fn failing<T>(step: Step, error: i32, work: impl FnOnce() -> T) -> T {
        FAULT.set(Some((step, error)));
        let done = work();
        FAULT.set(None);
        done
    }
}
