//! The service: what it answers, and when it cannot.

use std::{ops::Range, time::Duration};

use dropbox_sign_oauth::{CallError, Cause, CauseKind};
use fastrand::Rng;
use http::{Response, header};

use crate::options::Options;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long an access token is good: what the vendor's examples say.
pub(crate) const LIFETIME: u64 = DAY;

/// When the outage begins, which takes an hour: on the third day.
const OUTAGE: u64 = 2 * DAY + 12 * HOUR;

/// Bursts of failures in a day, how long each is, and how many calls fail in it.
const BURSTS_A_DAY: u32 = 4;
const BURST: u64 = 5 * MINUTE;
const BURST_FAILURES: f64 = 0.3;

/// How many times the calls of a steady day, spread evenly, are answered in a minute.
const RATE_LIMIT: u64 = 4;

/// How many users take their grant back in the course of a week.
const REVOKED: f64 = 0.001;

/// How many uses are refused before the token's time.
const REFUSED_EARLY: f64 = 0.0001;

pub(crate) struct Service {
    bursts: Vec<Range<u64>>,
    calls_a_minute: u64,
    minute: u64,
    calls_this_minute: u64,
    grants: Vec<Grant>,
}

/// What the service knows of one user.
struct Grant {
    /// The number of the tokens that are good.
    tokens: u32,
    /// When the user takes it back, if at all.
    revoked_at: Option<u64>,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Refreshed,
    InvalidGrant,
    Throttled,
    ServerFault,
    NotSent,
}

impl Service {
    pub(crate) fn new(options: &Options, random: &mut Rng) -> Self {
        let days = u64::from(options.days);
        let bursts = (0..days)
            .flat_map(|day| (0..BURSTS_A_DAY).map(move |_| day))
            .map(|day| {
                let begin = day * DAY + random.u64(0..DAY - BURST);
                begin..begin + BURST
            })
            .collect();
        let grants = (0..options.sessions)
            .map(|_| Grant {
                tokens: 0,
                revoked_at: (random.f64() < REVOKED).then(|| random.u64(HOUR..days * DAY)),
            })
            .collect();
        Self {
            bursts,
            calls_a_minute: (u64::from(options.sessions) * RATE_LIMIT).div_ceil(24 * 60),
            minute: 0,
            calls_this_minute: 0,
            grants,
        }
    }

    pub(crate) fn outage() -> Range<u64> {
        OUTAGE..OUTAGE + HOUR
    }

    /// Whether a refresh with the tokens of this number would give new ones.
    pub(crate) fn is_good(&self, user: u32, now: u64, tokens: u32) -> bool {
        let grant = &self.grants[user as usize];
        tokens == grant.tokens && grant.revoked_at.is_none_or(|at| now < at)
    }

    /// Whether a use of an access token is refused: it is too old, taken back, or the service is
    /// in the mood.
    pub(crate) fn refuses(&self, user: u32, now: u64, expires_at: u64, random: &mut Rng) -> bool {
        let revoked = self.grants[user as usize]
            .revoked_at
            .is_some_and(|at| at <= now);
        revoked || expires_at <= now || random.f64() < REFUSED_EARLY
    }

    /// The user authorizes: gives the number of the new tokens.
    pub(crate) fn authorize(&mut self, user: u32, now: u64) -> u32 {
        let grant = &mut self.grants[user as usize];
        grant.revoked_at = grant.revoked_at.filter(|at| now < *at);
        grant.tokens += 1;
        grant.tokens
    }

    /// Answers a refresh with the tokens of this number.
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
                // The old refresh token is spent.
                grant.tokens += 1;
                let new = grant.tokens;
                Ok(answer(
                    200,
                    &format!(
                        r#"{{"access_token":"a{new}","refresh_token":"r{new}","expires_in":{LIFETIME}}}"#
                    ),
                ))
            }
            Fate::InvalidGrant => Ok(answer(400, r#"{"error":"invalid_grant"}"#)),
            Fate::Throttled => {
                let mut response = answer(429, "");
                let seconds = MINUTE - now % MINUTE;
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            Fate::ServerFault => Ok(answer(503, "")),
            Fate::NotSent => Err(CallError::NotSent(Cause::new(CauseKind::Connect))),
        };
        (fate, outcome)
    }

    fn fate(&mut self, user: u32, now: u64, tokens: u32, random: &mut Rng) -> Fate {
        if Self::outage().contains(&now) {
            return if random.bool() {
                Fate::NotSent
            } else {
                Fate::ServerFault
            };
        }
        if now / MINUTE != self.minute {
            self.minute = now / MINUTE;
            self.calls_this_minute = 0;
        }
        self.calls_this_minute += 1;
        if self.calls_this_minute > self.calls_a_minute {
            return Fate::Throttled;
        }
        let in_burst = self.bursts.iter().any(|burst| burst.contains(&now));
        if in_burst && random.f64() < BURST_FAILURES {
            return Fate::ServerFault;
        }
        if self.is_good(user, now, tokens) {
            Fate::Refreshed
        } else {
            Fate::InvalidGrant
        }
    }

    /// How long an answer takes.
    pub(crate) fn latency(random: &mut Rng) -> Duration {
        Duration::from_millis(random.u64(200..2_000))
    }
}

fn answer(status: u16, body: &str) -> Response<String> {
    let mut response = Response::new(body.to_owned());
    *response.status_mut() = status.try_into().expect("a status");
    response
}
