//! A thread that runs short tasks at a later time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::workers::{Task, run_task};

/// How long the thread waits for a task before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// When a task is due, and a number that makes the key unique.
pub(super) type TimerKey = (Instant, u64);

/// Runs tasks when they are due, on one thread that ends when idle.
#[derive(Default)]
pub(super) struct Timer {
    schedule: Mutex<Schedule>,
    changed: Condvar,
}

#[derive(Default)]
struct Schedule {
    tasks: BTreeMap<TimerKey, Task>,
    last: u64,
    has_thread: bool,
}

impl Timer {
    /// Runs `task`, which must not block, after `delay`. Drops it and returns `None` if `Instant`
    /// cannot represent that time.
    pub(super) fn after(
        self: &Arc<Self>,
        delay: Duration,
        task: impl FnOnce() + Send + 'static,
    ) -> Option<TimerKey> {
        let due = Instant::now().checked_add(delay)?;
        let mut schedule = self.schedule();
        schedule.last += 1;
        let key = (due, schedule.last);
        let is_first = schedule.tasks.keys().next().is_none_or(|next| due < next.0);
        schedule.tasks.insert(key, Box::new(task));
        if !schedule.has_thread {
            let timer = Arc::clone(self);
            let thread = thread::Builder::new().name("dropbox-sign-timer".into());
            // If the thread does not start, the next call tries again.
            schedule.has_thread = thread.spawn(move || timer.run()).is_ok();
        } else if is_first {
            self.changed.notify_one();
        }
        Some(key)
    }

    /// Cancels a task that was not started.
    pub(super) fn cancel(&self, key: TimerKey) {
        let canceled = self.schedule().tasks.remove(&key);
        // The task may own a session, so it is dropped only after the lock is released.
        drop(canceled);
    }

    fn run(&self) {
        let mut schedule = self.schedule();
        loop {
            let now = Instant::now();
            let next = schedule.tasks.keys().next().copied();
            let due = next.filter(|(due, _)| *due <= now);
            if let Some(task) = due.and_then(|key| schedule.tasks.remove(&key)) {
                drop(schedule);
                run_task(task);
                schedule = self.schedule();
                continue;
            }
            let wait = next.map_or(IDLE, |(due, _)| due.saturating_duration_since(now));
            let (woken, waited) =
                self.changed.wait_timeout(schedule, wait).unwrap_or_else(PoisonError::into_inner);
            schedule = woken;
            if waited.timed_out() && schedule.tasks.is_empty() {
                schedule.has_thread = false;
                return;
            }
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn runs_tasks_in_the_order_of_their_times() {
        let timer = Arc::new(Timer::default());
        let (done, dones) = mpsc::channel();
        // "late" is added last, so that a slow machine does not change the order.
        for (delay, name) in [(0, "at once"), (50, "soon"), (100, "late")] {
            let done = done.clone();
            let delay = Duration::from_millis(delay);
            timer.after(delay, move || done.send(name).unwrap());
        }
        timer.after(Duration::MAX, || panic!("never"));
        let canceled = timer.after(Duration::from_millis(20), || panic!("canceled"));
        timer.cancel(canceled.unwrap());
        drop(done);
        assert_eq!(dones.iter().collect::<Vec<_>>(), ["at once", "soon", "late"]);
    }
}
