//! What may be sent again, and when: for any sequence of outcomes, and any clock.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    CallError, Cause, CauseKind, Error, MAX_WAIT, Operation, PlainHttp, Replay, Retry, RetryPolicy,
    Token, UnixTime,
    strategies::{self, Exchange},
};
use http::{Response, Uri};
use proptest::prelude::*;

/// What comes of a request.
#[derive(Clone, Debug)]
enum Outcome {
    NotSent,
    Insecure,
    Unknown,
    Status(u16, Option<&'static str>),
    /// The error of a transport that reads responses by itself.
    Answered(Arc<Response<Vec<u8>>>),
}

impl Outcome {
    /// Whether this outcome allows an operation to be sent again.
    fn allows_again(&self, replay: Replay) -> bool {
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

    fn give(&self, exchange: &Exchange) -> Result<Response<Vec<u8>>, CallError> {
        match self {
            Self::NotSent => Err(CallError::NotSent(Cause::new(CauseKind::Connect))),
            Self::Insecure => {
                let uri = Uri::from_static("http://sign.example.com");
                let insecure = PlainHttp::LoopbackOnly.check(&uri).unwrap_err();
                Err(CallError::NotSent(Cause::new(CauseKind::Insecure(
                    insecure,
                ))))
            }
            Self::Unknown => Err(CallError::Unknown(Cause::new(CauseKind::Exchange))),
            Self::Status(status, retry_after) => {
                let mut response = Response::builder().status(*status);
                if let Some(retry_after) = retry_after {
                    response = response.header("retry-after", *retry_after);
                }
                Ok(response.body(Vec::new()).unwrap())
            }
            Self::Answered(response) => match exchange.operation().parse((**response).clone()) {
                Ok(_) => Ok((**response).clone()),
                Err(error) => Err(CallError::Answered(error)),
            },
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
    (1..6_u32, 0..2_000_u64, 0..20_000_u64, 0..200_u64).prop_map(|(attempts, base, cap, total)| {
        RetryPolicy {
            attempts,
            base: Duration::from_millis(base),
            cap: Duration::from_millis(cap),
            total: Duration::from_secs(total),
        }
    })
}

/// Drives an operation through `outcomes`, with a clock that jumps as `clock` says, and checks
/// every step. Gives the number of times that it was sent.
fn drive<O: Operation>(
    exchange: &Exchange,
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
        match retry.handle(now, u64::MAX / 2, outcome.give(exchange)) {
            ControlFlow::Break(result) => {
                if let Outcome::Status(429, _) = outcome {
                    let throttled = matches!(result, Err(CallError::Answered(Error::Throttled(_))));
                    assert!(throttled);
                }
                break;
            }
            ControlFlow::Continue(wait) => {
                assert!(outcome.allows_again(replay), "sent again after {outcome:?}");
                assert!(sent < policy.attempts);
                assert!(wait.delay() <= (MAX_WAIT + policy.cap).min(policy.total));
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
    fn a_code_is_sent_again_only_when_it_was_not_delivered_or_turned_away(
        exchange in strategies::exchange(),
        policy in policy(),
        outcomes in prop::collection::vec(outcome(), 1..12),
        clock in prop::collection::vec(-100..100_i32, 1..8),
    ) {
        let sent = drive(&exchange, exchange.operation(), policy, &outcomes, &clock);
        prop_assert!(sent <= policy.attempts);
    }

    #[test]
    fn a_refresh_is_sent_again_also_when_nothing_is_known(
        exchange in strategies::exchange(),
        policy in policy(),
        outcomes in prop::collection::vec(outcome(), 1..12),
        clock in prop::collection::vec(-100..100_i32, 1..8),
    ) {
        let operation = exchange.app.refresh(&Token::new(&exchange.code).unwrap());
        let sent = drive(&exchange, operation, policy, &outcomes, &clock);
        prop_assert!(sent <= policy.attempts);
    }
}

/// How long the machine waits after each of `outcomes`, in milliseconds, with a clock that stands
/// still while nothing waits; the last entry is missing if it gives up instead.
fn waits(policy: RetryPolicy, entropy: u64, outcomes: &[Outcome]) -> Vec<u128> {
    let app = dropbox_sign_oauth::App::new("client-id", "client-secret").unwrap();
    let operation = app.refresh(&Token::new("hNTI2MTFm").unwrap());
    let exchange = {
        use proptest::{strategy::ValueTree, test_runner::TestRunner};
        let mut runner = TestRunner::deterministic();
        strategies::exchange()
            .new_tree(&mut runner)
            .unwrap()
            .current()
    };
    let mut now = UnixTime::from_secs(1_700_000_000);
    let mut retry = Retry::new(operation, policy, now);
    let mut waits = Vec::new();
    for outcome in outcomes {
        match retry.handle(now, entropy, outcome.give(&exchange)) {
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
fn the_wait_doubles_up_to_its_cap_and_the_servers_wish_comes_on_top() {
    use Outcome::{NotSent, Status, Unknown};
    let policy = RetryPolicy {
        attempts: 6,
        base: Duration::from_millis(500),
        cap: Duration::from_secs(3),
        total: Duration::from_secs(60),
    };
    // Half of the entropy's range, and so half of the longest wait.
    let half = 1 << 63;
    for (outcomes, expected) in [
        (vec![Unknown; 6], vec![250, 500, 1000, 1500, 1500]),
        (vec![NotSent, Status(200, None)], vec![250]),
        (vec![Status(429, Some("7")); 2], vec![7_250, 7_500]),
        (vec![Status(503, Some("1")), Unknown], vec![1_250, 500]),
        // More than the total time is not waited for.
        (vec![Status(429, Some("99999"))], vec![]),
        (vec![Status(429, Some("30")); 3], vec![30_250]),
        (vec![Status(400, Some("1"))], vec![]),
    ] {
        assert_eq!(waits(policy, half, &outcomes), expected, "{outcomes:?}");
    }
}
