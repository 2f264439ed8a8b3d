//! Unix time. Without the feature `std` this crate has no clock; the caller passes the time.

use core::time::Duration;

/// A point in time, as the duration since 1970-01-01T00:00:00Z (Unix time).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnixTime(Duration);

/// The last second of the year 9999. Later times from a server are invalid, because many date
/// libraries do not support them.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

impl UnixTime {
    /// Returns the current time of the system clock. A clock before 1970 counts as 1970.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn now() -> Self {
        std::time::SystemTime::now().into()
    }

    /// Returns the time that is `elapsed` after the epoch.
    #[must_use]
    pub const fn since_epoch(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the time that is `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns the number of whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// Rounds up to whole seconds, the precision of stored records.
    pub(crate) const fn ceil(self) -> Self {
        let fraction = self.0.subsec_nanos() as u64;
        Self::from_secs(self.0.as_secs().saturating_add(fraction.div_ceil(1_000_000_000)))
    }

    /// Returns the duration since the epoch.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// Returns the duration from `earlier` to this time, or zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns this time plus `duration`, or the last representable time.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// Returns this time minus `duration`, or the epoch.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

/// A time before the epoch becomes the epoch.
#[cfg(feature = "std")]
impl From<std::time::SystemTime> for UnixTime {
    fn from(time: std::time::SystemTime) -> Self {
        let elapsed = time.duration_since(std::time::SystemTime::UNIX_EPOCH);
        Self::since_epoch(elapsed.unwrap_or_default())
    }
}
