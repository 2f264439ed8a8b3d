//! The counts of a simulated week, and their table.

use std::{collections::BTreeMap, time::Duration};

use dropbox_sign_oauth::CallError;
use dropbox_sign_oauth_benches::table::number;
use http::Response;

/// The counts of a week.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tally {
    /// Calls of the token endpoint, by the status of the response.
    calls: BTreeMap<Option<u16>, u32>,
    per_minute: Vec<u32>,
    /// Uses of a session, and how they got a token.
    pub(crate) uses: u32,
    pub(crate) cached: u32,
    pub(crate) waited: u32,
    pub(crate) failed: u32,
    total_wait: Duration,
    longest_wait: Duration,
    /// Access tokens that the service rejected.
    pub(crate) rejected: u32,
    /// New authorizations after a revocation.
    pub(crate) revoked: u32,
    /// New authorizations although the refresh token was valid.
    pub(crate) lost_grants: u32,
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: &Result<Response<String>, CallError>, second: u64) {
        let status = outcome.as_ref().ok().map(|response| response.status().as_u16());
        *self.calls.entry(status).or_default() += 1;
        let minute = usize::try_from(second / 60).expect("a minute of a week");
        if self.per_minute.len() <= minute {
            self.per_minute.resize(minute + 1, 0);
        }
        self.per_minute[minute] += 1;
    }

    pub(crate) fn count_wait(&mut self, time: Duration) {
        self.waited += 1;
        self.total_wait += time;
        self.longest_wait = self.longest_wait.max(time);
    }

    /// The calls per minute.
    fn mean(&self) -> f64 {
        let minutes = u32::try_from(self.per_minute.len()).unwrap_or(u32::MAX);
        f64::from(self.per_minute.iter().sum::<u32>()) / f64::from(minutes)
    }

    /// The maximum number of calls in a minute.
    pub(crate) fn peak(&self) -> u32 {
        self.per_minute.iter().copied().max().unwrap_or_default()
    }

    fn of(&self, status: Option<u16>) -> f64 {
        self.calls.get(&status).copied().unwrap_or_default().into()
    }
}

/// A name, the digits after the point, and the value.
type Row = (&'static str, usize, fn(&Tally) -> f64);

const ROWS: [Row; 18] = [
    ("calls of the token endpoint", 0, |it| it.calls.values().sum::<u32>().into()),
    ("- refreshed", 0, |it| it.of(Some(200))),
    ("- rate-limited (429)", 0, |it| it.of(Some(429))),
    ("- failed (503)", 0, |it| it.of(Some(503))),
    ("- not sent (no connection)", 0, |it| it.of(None)),
    ("- `invalid_grant`", 0, |it| it.of(Some(400))),
    ("calls per minute, mean", 0, Tally::mean),
    ("calls per minute, peak", 0, |it| it.peak().into()),
    ("peak / mean", 2, |it| f64::from(it.peak()) / it.mean()),
    ("uses of a session", 0, |it| it.uses.into()),
    ("- had a valid token", 0, |it| it.cached.into()),
    ("- waited for a refresh", 0, |it| it.waited.into()),
    ("- failed, to be retried", 0, |it| it.failed.into()),
    ("wait, mean, s", 2, |it| it.total_wait.as_secs_f64() / f64::from(it.waited)),
    ("wait, longest, s", 2, |it| it.longest_wait.as_secs_f64()),
    ("access tokens rejected (401)", 0, |it| it.rejected.into()),
    ("authorized again, revoked", 0, |it| it.revoked.into()),
    ("authorized again, not revoked", 0, |it| it.lost_grants.into()),
];

/// Returns the rows of the table.
pub(crate) fn rows([a, b]: &[Tally; 2]) -> [[String; 3]; 18] {
    ROWS.map(|(name, digits, of)| [name.into(), number(of(a), digits), number(of(b), digits)])
}
