//! Threads for work that no caller waits for, or that a caller stops waiting for.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

pub(super) type Work = Box<dyn FnOnce() + Send>;

/// Threads that are started when there is work, up to a number, and that end without work.
pub(super) struct Workers {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
    added: Condvar,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

impl Workers {
    pub(super) fn new(name: &'static str, most: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            most,
            queue: Mutex::default(),
            added: Condvar::new(),
        })
    }

    /// Has a thread do `work`, in the order in which it came.
    pub(super) fn run(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue();
        queue.work.push_back(Box::new(work));
        if queue.idle >= queue.work.len() || queue.threads >= self.most {
            self.added.notify_one();
            return;
        }
        queue.threads += 1;
        drop(queue);
        let workers = Arc::clone(self);
        let thread = thread::Builder::new().name(self.name.into());
        if thread.spawn(move || workers.work()).is_err() {
            // Without a thread of its own, the work is done by the caller's.
            self.queue().threads -= 1;
            let next = self.queue().work.pop_back();
            next.into_iter().for_each(do_work);
        }
    }

    fn work(&self) {
        let mut queue = self.queue();
        loop {
            if let Some(work) = queue.work.pop_front() {
                drop(queue);
                do_work(work);
                queue = self.queue();
                continue;
            }
            queue.idle += 1;
            let (woken, waited) = self
                .added
                .wait_timeout(queue, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if waited.timed_out() && queue.work.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn do_work(work: Work) {
    // What holds the work tells the session; the thread goes on.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};

    use super::*;

    #[test]
    fn runs_as_much_at_a_time_as_there_may_be_threads() {
        let workers = Workers::new("test", 3);
        let barrier = Arc::new(Barrier::new(3));
        let (done, dones) = mpsc::channel();
        for _ in 0..30 {
            let (barrier, done) = (Arc::clone(&barrier), done.clone());
            workers.run(move || {
                barrier.wait();
                done.send(()).unwrap();
            });
        }
        drop(done);
        assert_eq!(dones.iter().count(), 30);
        assert!(workers.queue().threads <= 3);
    }

    #[test]
    fn goes_on_after_a_panic() {
        let workers = Workers::new("test", 1);
        let (done, dones) = mpsc::channel();
        workers.run(|| panic!("on purpose"));
        workers.run(move || done.send(()).unwrap());
        assert_eq!(dones.recv(), Ok(()));
        assert_eq!(workers.queue().threads, 1);
    }
}
