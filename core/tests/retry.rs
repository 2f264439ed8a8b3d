//! Checks which requests are retried, and when, for any sequence of outcomes and any clock.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    CallError, Error, Failure, MAX_WAIT, Operation, PlainHttp, Replay, Retry, RetryPolicy, Token,
    UnixTime, parse_json, strategies,
};
use http::{Response, Uri};
use proptest::prelude::*;

/// The outcome of a request.
#[derive(Clone, Debug)]
enum Outcome {
    NotSent,
    Insecure,
    Unknown,
    Status(u16, Option<&'static str>),
    /// The error of a transport that parses responses itself.
    Answered(Arc<Response<Vec<u8>>>),
}

impl Outcome {
    /// Whether a retry is safe after this outcome.
    fn allows_retry(&self, replay: Replay) -> bool {
        let safe = replay == Replay::Safe;
        match self {
            Self::NotSent => true,
            Self::Insecure => false,
            Self::Unknown => safe,
            Self::Status(status, _) => *status == 429 || safe && (500..600).contains(status),
            Self::Answered(response) => {
                let status = response.status();
                status.as_u16() == 429 || safe && status.is_server_error()
            }
        }
    }

    fn result(&self) -> Result<Response<Vec<u8>>, CallError> {
        match self {
            Self::NotSent => Err(CallError::NotSent(Failure::connect("refused"))),
            Self::Insecure => {
                let uri = Uri::from_static("http://sign.example.com");
                let insecure = PlainHttp::LoopbackOnly.check(&uri).unwrap_err();
                Err(CallError::NotSent(Failure::insecure(insecure)))
            }
            Self::Unknown => Err(CallError::Unknown {
                failure: Failure::exchange("reset"),
                replay: Replay::Safe,
            }),
            Self::Status(status, retry_after) => {
                let mut response = Response::builder().status(*status);
                if let Some(retry_after) = retry_after {
                    response = response.header("retry-after", *retry_after);
                }
                Ok(response.body(Vec::new()).unwrap())
            }
            Self::Answered(response) => {
                parse_json::<serde_json::Value>(response, &[])?;
                Ok((**response).clone())
            }
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let retry_after = prop::sample::select(vec![None, Some("1"), Some("7"), Some("99999")]);
    let status = prop::sample::select(vec![200_u16, 204, 307, 400, 429, 429, 500, 503]);
    prop_oneof![
        3 => Just(Outcome::NotSent),
        1 => Just(Outcome::Insecure),
        2 => Just(Outcome::Unknown),
        4 => (status, retry_after).prop_map(|(status, after)| Outcome::Status(status, after)),
        1 => strategies::hostile_response().prop_map(|response| Outcome::Answered(response.into())),
    ]
}

fn policy() -> impl Strategy<Value = RetryPolicy> {
    (1..6_u32, 0..2_000_u64, 0..20_000_u64, 0..200_u64).prop_map(|(attempts, base, max, total)| {
        RetryPolicy::default()
            .attempts(attempts)
            .base_delay(Duration::from_millis(base))
            .max_delay(Duration::from_millis(max))
            .total(Duration::from_secs(total))
    })
}

/// Drives an operation through `outcomes` with a clock that makes these jumps, and checks every
/// step. Returns the number of attempts.
fn drive<O: Operation>(
    operation: O,
    policy: RetryPolicy,
    outcomes: &[Outcome],
    clock: &[i32],
) -> u32 {
    const START: u64 = 1_700_000_000;
    let replay = operation.replay();
    let expected = operation.request();
    let mut clock = clock.iter().cycle();
    let mut now = UnixTime::from_secs(START);
    let mut jump = |from: UnixTime| {
        let by = i64::from(*clock.next().unwrap());
        UnixTime::from_secs(from.as_secs().saturating_add_signed(by))
    };
    let mut retry = Retry::new(operation, policy, now);
    let mut sent = 0;
    for outcome in outcomes {
        assert_eq!(retry.request().body(), expected.body());
        sent += 1;
        now = jump(now);
        match retry.handle(now, u64::MAX / 2, outcome.result()) {
            ControlFlow::Break(result) => {
                if let Outcome::Status(429, _) = outcome {
                    let throttled = matches!(result, Err(CallError::Answered(Error::Throttled(_))));
                    assert!(throttled);
                }
                break;
            }
            ControlFlow::Continue(wait) => {
                assert!(outcome.allows_retry(replay), "retried after {outcome:?}");
                assert!(sent < policy.attempts);
                assert!(wait.delay() <= (MAX_WAIT + policy.max_delay).min(policy.total));
                assert_eq!(wait.until(), now.saturating_add(wait.delay()));
                now = jump(wait.until());
                retry = wait.resume();
            }
        }
    }
    sent
}

proptest! {
    #[test]
    fn retries_a_code_only_if_not_sent_or_rate_limited(
        exchange in strategies::exchange(),
        policy in policy(),
        outcomes in prop::collection::vec(outcome(), 1..12),
        clock in prop::collection::vec(-100..100_i32, 1..8),
    ) {
        let sent = drive(exchange.operation(), policy, &outcomes, &clock);
        prop_assert!(sent <= policy.attempts);
    }

    #[test]
    fn retries_a_refresh_also_if_its_delivery_is_unknown(
        exchange in strategies::exchange(),
        policy in policy(),
        outcomes in prop::collection::vec(outcome(), 1..12),
        clock in prop::collection::vec(-100..100_i32, 1..8),
    ) {
        let operation = exchange.app.refresh(&Token::new(&exchange.code).unwrap());
        let sent = drive(operation, policy, &outcomes, &clock);
        prop_assert!(sent <= policy.attempts);
    }
}

/// The waits after these outcomes in milliseconds, until the machine gives up. The clock advances
/// only during waits.
fn waits(policy: RetryPolicy, entropy: u64, outcomes: &[Outcome]) -> Vec<u128> {
    let app = dropbox_sign_oauth::App::new("client-id", "client-secret").unwrap();
    let operation = app.refresh(&Token::new("hNTI2MTFm").unwrap());
    let mut now = UnixTime::from_secs(1_700_000_000);
    let mut retry = Retry::new(operation, policy, now);
    let mut waits = Vec::new();
    for outcome in outcomes {
        match retry.handle(now, entropy, outcome.result()) {
            ControlFlow::Break(_) => break,
            ControlFlow::Continue(wait) => {
                waits.push(wait.delay().as_millis());
                now = wait.until();
                retry = wait.resume();
            }
        }
    }
    waits
}

#[test]
fn doubles_the_backoff_and_adds_it_to_the_requested_wait() {
    use Outcome::{NotSent, Status, Unknown};
    let policy = RetryPolicy::default()
        .attempts(6)
        .base_delay(Duration::from_millis(400))
        .max_delay(Duration::from_secs(3))
        .total(Duration::from_secs(65));
    // Half of the range of the entropy: half of the maximum backoff.
    let half = 1 << 63;
    for (outcomes, expected) in [
        (vec![Unknown; 6], vec![200, 400, 800, 1500, 1500]),
        (vec![NotSent, Status(200, None)], vec![200]),
        (vec![Status(429, Some("7")); 2], vec![7_200, 7_400]),
        (vec![Status(503, Some("1")), Unknown], vec![1_200, 400]),
        // No wait exceeds the total time.
        (vec![Status(429, Some("99999"))], vec![]),
        (vec![Status(429, Some("30")); 3], vec![30_200, 30_400]),
        (vec![Status(400, Some("1"))], vec![]),
    ] {
        assert_eq!(waits(policy, half, &outcomes), expected, "{outcomes:?}");
    }
}
