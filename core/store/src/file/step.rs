//! Fault injection for the system calls of a file store.

use std::io;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Write,
    Rename,
    #[cfg(unix)]
    SyncFolder,
}

/// Called before a system call. Fails in tests that inject a fault into this step.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail in tests")]
pub(super) fn inject_fault(_: Step) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use test::{inject_fault, with_fault};

#[cfg(test)]
mod test {
    use std::cell::Cell;

    use super::{Step, io};

    thread_local! {
        static FAULT: Cell<Option<(Step, i32)>> = const { Cell::new(None) };
    }

    pub(in super::super) fn inject_fault(step: Step) -> io::Result<()> {
        match FAULT.get() {
            Some((fails, error)) if fails == step => Err(io::Error::from_raw_os_error(error)),
            _ => Ok(()),
        }
    }

    /// Runs `work` while `step` fails with the OS error `error`.
    pub(in super::super) fn with_fault<T>(step: Step, error: i32, work: impl FnOnce() -> T) -> T {
        FAULT.set(Some((step, error)));
        let done = work();
        FAULT.set(None);
        done
    }
}
