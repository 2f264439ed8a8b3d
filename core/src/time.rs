//! Points in time, given by the caller: this crate has no clock.

use core::time::Duration;

/// A point in time, as the time since 1970-01-01T00:00:00Z (Unix time).
///
/// Programs with the standard library have it from the system's clock:
///
/// ```
/// use std::time::SystemTime;
/// use dropbox_sign_oauth::UnixTime;
///
/// let now = UnixTime::since_epoch(SystemTime::UNIX_EPOCH.elapsed()?);
/// # Ok::<(), std::time::SystemTimeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnixTime(Duration);

/// The last second of the year 9999. A server's number beyond it means no time: every calendar ends
/// there, and arithmetic on it overflows in many.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

impl UnixTime {
    /// The point in time that lies `elapsed` after the epoch.
    #[must_use]
    pub const fn since_epoch(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The point in time `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// This time, or the next whole second: what is stored has no fractions.
    pub(crate) const fn ceil(self) -> Self {
        let fraction = self.0.subsec_nanos() as u64;
        Self::from_secs(
            self.0
                .as_secs()
                .saturating_add(fraction.div_ceil(1_000_000_000)),
        )
    }

    /// The time since the epoch.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// How long it is from `earlier` until this time: zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This time plus `duration`, or the last representable time.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// This time minus `duration`, or the epoch.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}
