//! The simulated service: its responses, its limits and its failures.

use std::{ops::Range, time::Duration};

use dropbox_sign_oauth::{CallError, Failure};
use fastrand::Rng;
use http::{Response, header};

use crate::Options;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The lifetime of an access token, as in the vendor's examples.
pub(crate) const LIFETIME: u64 = DAY;

/// The outage, on the third day.
const OUTAGE: Range<u64> = 2 * DAY + 12 * HOUR..2 * DAY + 13 * HOUR;

/// The bursts of failures: how often they come, how long they last, and the share of calls that
/// fail.
const BURST_INTERVAL: u64 = 5 * HOUR;
const BURST: u64 = 5 * MINUTE;
const BURST_FAILURES: f64 = 0.3;

/// The rate limit, as a multiple of the mean rate of one refresh per session and day.
const RATE_LIMIT: u64 = 4;

/// The share of users who revoke their grant during the week.
const REVOKED: f64 = 0.001;

/// The share of uses whose access token is rejected before it expires.
const REJECTED_EARLY: f64 = 0.0001;

pub(crate) struct Service {
    calls_per_minute: u64,
    minute: u64,
    calls_this_minute: u64,
    grants: Vec<Grant>,
}

/// The grant of one user.
struct Grant {
    /// The number of the tokens that are valid.
    tokens: u32,
    revoked_at: Option<u64>,
}

/// The outcome of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Refreshed,
    InvalidGrant,
    Throttled,
    ServerFault,
    NotSent,
}

impl Service {
    pub(crate) fn new(options: Options, random: &mut Rng) -> Self {
        let days = u64::from(options.days);
        let grants = (0..options.sessions)
            .map(|_| Grant {
                tokens: 0,
                revoked_at: (random.f64() < REVOKED).then(|| random.u64(HOUR..days * DAY)),
            })
            .collect();
        Self {
            calls_per_minute: (u64::from(options.sessions) * RATE_LIMIT).div_ceil(24 * 60),
            minute: 0,
            calls_this_minute: 0,
            grants,
        }
    }

    /// Returns whether the refresh token with this number is valid.
    pub(crate) fn is_valid(&self, user: u32, now: u64, tokens: u32) -> bool {
        let grant = &self.grants[user as usize];
        tokens == grant.tokens && grant.revoked_at.is_none_or(|at| now < at)
    }

    /// Returns whether a use of an access token is rejected: expired, revoked or by chance.
    pub(crate) fn rejects(&self, user: u32, now: u64, expires_at: u64, random: &mut Rng) -> bool {
        let revoked_at = self.grants[user as usize].revoked_at;
        revoked_at.is_some_and(|at| at <= now) || expires_at <= now || random.f64() < REJECTED_EARLY
    }

    /// Authorizes a user, and returns the number of the new tokens.
    pub(crate) fn authorize(&mut self, user: u32, now: u64) -> u32 {
        let grant = &mut self.grants[user as usize];
        grant.revoked_at = grant.revoked_at.filter(|at| now < *at);
        grant.tokens += 1;
        grant.tokens
    }

    /// Handles a refresh with the tokens of this number.
    pub(crate) fn refresh(
        &mut self,
        user: u32,
        now: u64,
        tokens: u32,
        random: &mut Rng,
    ) -> (Fate, Result<Response<String>, CallError>) {
        let fate = self.fate(user, now, tokens, random);
        let outcome = match fate {
            Fate::Refreshed => {
                let grant = &mut self.grants[user as usize];
                grant.tokens += 1;
                let new = grant.tokens;
                response(
                    200,
                    format!(
                        r#"{{"access_token":"a{new}","refresh_token":"r{new}","expires_in":{LIFETIME}}}"#
                    ),
                )
            }
            Fate::InvalidGrant => response(400, r#"{"error":"invalid_grant"}"#.into()),
            Fate::Throttled => {
                let mut response = response(429, String::new());
                let seconds = MINUTE - now % MINUTE;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
            Fate::ServerFault => response(503, String::new()),
            Fate::NotSent => {
                let failure = Failure::connect("connection refused");
                return (fate, Err(CallError::NotSent(failure)));
            }
        };
        (fate, Ok(outcome))
    }

    fn fate(&mut self, user: u32, now: u64, tokens: u32, random: &mut Rng) -> Fate {
        if OUTAGE.contains(&now) {
            return *random.choice(&[Fate::NotSent, Fate::ServerFault]).expect("two");
        }
        if now / MINUTE != self.minute {
            self.minute = now / MINUTE;
            self.calls_this_minute = 0;
        }
        self.calls_this_minute += 1;
        let in_burst = now % BURST_INTERVAL < BURST;
        if self.calls_this_minute > self.calls_per_minute {
            Fate::Throttled
        } else if in_burst && random.f64() < BURST_FAILURES {
            Fate::ServerFault
        } else if self.is_valid(user, now, tokens) {
            Fate::Refreshed
        } else {
            Fate::InvalidGrant
        }
    }

    /// Returns how long a response takes.
    pub(crate) fn latency(random: &mut Rng) -> Duration {
        Duration::from_millis(random.u64(200..2_000))
    }
}

fn response(status: u16, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("a status");
    response
}
