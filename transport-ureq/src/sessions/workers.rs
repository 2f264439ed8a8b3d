//! Threads for tasks that outlive the call that started them.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long a thread waits for a task before it ends.
const IDLE: Duration = Duration::from_secs(10);

pub(super) type Task = Box<dyn FnOnce() + Send>;

/// A thread pool that starts threads when needed, up to a limit, and ends idle ones.
pub(super) struct Workers {
    name: &'static str,
    max_threads: usize,
    queue: Mutex<Queue>,
    added: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    threads: usize,
    idle: usize,
}

impl Workers {
    pub(super) fn new(name: &'static str, max_threads: usize) -> Arc<Self> {
        Arc::new(Self { name, max_threads, queue: Mutex::default(), added: Condvar::new() })
    }

    /// Adds `task` to the queue. Threads take tasks in the order in which they were added.
    pub(super) fn run(self: &Arc<Self>, task: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue();
        queue.tasks.push_back(Box::new(task));
        if queue.idle >= queue.tasks.len() || queue.threads >= self.max_threads {
            self.added.notify_one();
            return;
        }
        queue.threads += 1;
        drop(queue);
        let workers = Arc::clone(self);
        let thread = thread::Builder::new().name(self.name.into());
        if thread.spawn(move || workers.run_tasks()).is_err() {
            // If no thread can be started, the task runs on the caller's thread.
            self.queue().threads -= 1;
            let next = self.queue().tasks.pop_back();
            next.into_iter().for_each(run_task);
        }
    }

    fn run_tasks(&self) {
        let mut queue = self.queue();
        loop {
            if let Some(task) = queue.tasks.pop_front() {
                drop(queue);
                run_task(task);
                queue = self.queue();
                continue;
            }
            queue.idle += 1;
            let (woken, waited) =
                self.added.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if waited.timed_out() && queue.tasks.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn run_task(task: Task) {
    // The thread continues with the next task. Sessions catch the panics of their jobs themselves.
    let _ = catch_unwind(AssertUnwindSafe(task));
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};

    use super::*;

    #[test]
    fn runs_up_to_max_threads_tasks_at_a_time() {
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
    fn continues_after_a_panic() {
        let workers = Workers::new("test", 1);
        let (done, dones) = mpsc::channel();
        workers.run(|| panic!("on purpose"));
        workers.run(move || done.send(()).unwrap());
        assert_eq!(dones.recv(), Ok(()));
        assert_eq!(workers.queue().threads, 1);
    }
}
