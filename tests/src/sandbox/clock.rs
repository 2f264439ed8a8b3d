//! The system clock, which tests can advance.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use dropbox_sign_oauth::UnixTime;

#[derive(Default)]
pub(super) struct Clock {
    ahead: Mutex<Duration>,
}

impl Clock {
    pub(super) fn now(&self) -> UnixTime {
        let elapsed = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        UnixTime::since_epoch(elapsed).saturating_add(*self.ahead())
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut ahead = self.ahead();
        *ahead = ahead.saturating_add(by);
    }

    fn ahead(&self) -> MutexGuard<'_, Duration> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
