//! Threads for tasks that outlive the call that started them.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

type Task = Box<dyn FnOnce() + Send>;

/// When a task is due, and a number that makes the key unique.
pub(crate) type TaskKey = (Instant, u64);

/// A thread pool that starts threads when needed, up to a limit, and ends idle ones.
pub(crate) struct Workers {
    name: &'static str,
    max_threads: usize,
    /// How long a thread waits for a task before it ends.
    idle_time: Duration,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: BTreeMap<TaskKey, Task>,
    last: u64,
    threads: usize,
    idle: usize,
}

impl Workers {
    pub(crate) fn new(name: &'static str, max_threads: usize, idle_time: Duration) -> Arc<Self> {
        let (queue, changed) = Default::default();
        Arc::new(Self { name, max_threads, idle_time, queue, changed })
    }

    /// Runs `task` once a thread is free. Tasks start in the order in which they were added.
    pub(crate) fn run(self: &Arc<Self>, task: impl FnOnce() + Send + 'static) -> TaskKey {
        self.run_at(Instant::now(), task)
    }

    /// Runs `task` when it is due.
    pub(crate) fn run_at(
        self: &Arc<Self>,
        due: Instant,
        task: impl FnOnce() + Send + 'static,
    ) -> TaskKey {
        let mut queue = self.queue();
        queue.last += 1;
        let key = (due, queue.last);
        queue.tasks.insert(key, Box::new(task));
        if queue.idle >= queue.tasks.len() || queue.threads >= self.max_threads {
            self.changed.notify_one();
            return key;
        }
        queue.threads += 1;
        drop(queue);
        let workers = Arc::clone(self);
        let thread = thread::Builder::new().name(self.name.into());
        if thread.spawn(move || workers.run_tasks()).is_err() {
            // If no thread can be started, the task runs on the caller's thread. One that is not
            // due yet waits for the next call, which tries again.
            self.queue().threads -= 1;
            if due <= Instant::now() {
                self.cancel(key).into_iter().for_each(run_task);
            }
        }
        key
    }

    /// Removes a task that was not started. It may own what holds a lock of the caller's.
    pub(crate) fn cancel(&self, key: TaskKey) -> Option<Task> {
        self.queue().tasks.remove(&key)
    }

    fn run_tasks(&self) {
        let mut queue = self.queue();
        loop {
            let now = Instant::now();
            let next = queue.tasks.first_key_value().map(|(key, _)| *key);
            let due = next.filter(|(due, _)| *due <= now);
            if let Some(task) = due.and_then(|key| queue.tasks.remove(&key)) {
                drop(queue);
                run_task(task);
                queue = self.queue();
                continue;
            }
            queue.idle += 1;
            let wait = next.map_or(self.idle_time, |(due, _)| due.saturating_duration_since(now));
            let waited = self.changed.wait_timeout(queue, wait);
            let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
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

fn run_task(task: Task) {
    // The thread continues with the next task. Sessions catch the panics of their jobs themselves.
    let _ = catch_unwind(AssertUnwindSafe(task));
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};

    use super::*;

    fn workers(max_threads: usize) -> Arc<Workers> {
        Workers::new("test", max_threads, Duration::from_secs(10))
    }

    #[test]
    fn runs_up_to_max_threads_tasks_at_a_time() {
        let workers = workers(3);
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
        let workers = workers(1);
        let (done, dones) = mpsc::channel();
        workers.run(|| panic!("on purpose"));
        workers.run(move || done.send(()).unwrap());
        assert_eq!(dones.recv(), Ok(()));
        assert_eq!(workers.queue().threads, 1);
    }

    #[test]
    fn runs_tasks_in_the_order_of_their_times() {
        let workers = workers(1);
        let (done, dones) = mpsc::channel();
        let now = Instant::now();
        // "late" is added last, so that a slow machine does not change the order.
        for (delay, name) in [(0, "at once"), (50, "soon"), (100, "late")] {
            let done = done.clone();
            let due = now + Duration::from_millis(delay);
            workers.run_at(due, move || done.send(name).unwrap());
        }
        let canceled = workers.run_at(now + Duration::from_secs(60), || panic!("canceled"));
        assert!(workers.cancel(canceled).is_some());
        drop(done);
        assert_eq!(dones.iter().collect::<Vec<_>>(), ["at once", "soon", "late"]);
    }
}
