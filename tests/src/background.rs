//! Servers on threads of their own.

use std::{
    io,
    thread::{self, JoinHandle},
};

use tokio::{runtime, select, sync::oneshot};

/// A thread that runs a future until this is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    // Dropping the sender stops the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Runs what `start` returns, which is called in the runtime of the thread.
    pub(crate) fn start<F: Future>(
        name: &str,
        start: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        // What is in progress is dropped with the runtime.
        let run = move || {
            runtime.block_on(async {
                select! {
                    _ = stopped => {}
                    _ = start() => {}
                }
            });
        };
        let thread = thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, it has printed the message. A panic here could abort.
            let _ = thread.join();
        }
    }
}
