//! A thread that does short work at a later time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::workers::{Work, do_work};

/// How long the thread stays without work.
const IDLE: Duration = Duration::from_secs(10);

/// When a work is due, with a number that tells works of the same time apart.
pub(super) type Appointment = (Instant, u64);

/// Work by the time at which it is due, done by one thread that ends without work.
#[derive(Default)]
pub(super) struct Timer {
    schedule: Mutex<Schedule>,
    changed: Condvar,
}

#[derive(Default)]
struct Schedule {
    work: BTreeMap<Appointment, Work>,
    last: u64,
    has_thread: bool,
}

impl Timer {
    /// Has the thread do `work`, which must not block, after `delay`. Never does it if that is later
    /// than the clock can represent.
    pub(super) fn after(
        self: &Arc<Self>,
        delay: Duration,
        work: impl FnOnce() + Send + 'static,
    ) -> Option<Appointment> {
        let due = Instant::now().checked_add(delay)?;
        let mut schedule = self.schedule();
        schedule.last += 1;
        let appointment = (due, schedule.last);
        let is_first = schedule.work.keys().next().is_none_or(|next| due < next.0);
        schedule.work.insert(appointment, Box::new(work));
        if !schedule.has_thread {
            let timer = Arc::clone(self);
            let thread = thread::Builder::new().name("dropbox-sign-timer".into());
            // Without a thread, the next call tries again.
            schedule.has_thread = thread.spawn(move || timer.run()).is_ok();
        } else if is_first {
            self.changed.notify_one();
        }
        Some(appointment)
    }

    /// Cancels work that was not started.
    pub(super) fn cancel(&self, appointment: Appointment) {
        let canceled = self.schedule().work.remove(&appointment);
        drop(canceled); // Not while the schedule is locked.
    }

    fn run(&self) {
        let mut schedule = self.schedule();
        loop {
            let now = Instant::now();
            let next = schedule.work.keys().next().copied();
            let due = next.filter(|(due, _)| *due <= now);
            if let Some(work) = due.and_then(|key| schedule.work.remove(&key)) {
                drop(schedule);
                do_work(work);
                schedule = self.schedule();
                continue;
            }
            let wait = next.map_or(IDLE, |(due, _)| due.saturating_duration_since(now));
            let (woken, waited) = self
                .changed
                .wait_timeout(schedule, wait)
                .unwrap_or_else(PoisonError::into_inner);
            schedule = woken;
            if waited.timed_out() && schedule.work.is_empty() {
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
    fn does_what_is_due_first_first() {
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
        assert_eq!(
            dones.iter().collect::<Vec<_>>(),
            ["at once", "soon", "late"]
        );
    }
}
