//! A transport that conforms, and then with one rule broken at a time: each must be seen by the run.

use std::{future, thread, time::Duration};

use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Report, Setup, TokenOperation},
    fault::Outcome,
};
use dropbox_sign_oauth_ureq::{
    CallError, Error, Failure, Operation, PlainHttp, Replay, TokenResponse, Transport,
};
use http::{Request, Response, header::LOCATION};

/// What is wrong with a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    SendsPlainHttp,
    FollowsRedirects,
    HasNoDeadline,
    HasALateDeadline,
    ConnectsTooLong,
    HasNoBodyLimit,
    Resends,
    ReusesForCodes,
    FailsByStatus,
    TakesAllForNotSent,
    SaysWrongReplay,
    InventsTokens,
    LosesTheRefreshToken,
    LosesHeaders,
    Panics,
    Hangs,
    ShowsTheRequest,
    LogsTheResponse,
}

/// What is wrong, a case that sees it, how that ends, and the violations.
const BROKEN: &[(Broken, &str, Outcome, &str)] = &[
    (Broken::SendsPlainHttp, "http-to-another-host", Outcome::Unknown, "wrong outcome"),
    (Broken::FollowsRedirects, "307", Outcome::Ok, "wrong outcome; called the wrong server"),
    (Broken::HasNoDeadline, "silence", Outcome::Hung, "wrong outcome; took longer than 1.6s"),
    (Broken::HasALateDeadline, "silence", Outcome::Unknown, "took longer than 1.6s"),
    (Broken::ConnectsTooLong, "syn-black-hole", Outcome::NotSent, "took longer than 1.6s"),
    (Broken::ConnectsTooLong, "tls-silence", Outcome::NotSent, "took longer than 1.6s"),
    (Broken::HasNoBodyLimit, "endless-body", Outcome::Unknown, "wrong outcome; read too much"),
    (Broken::Resends, "fin-before-the-head", Outcome::Unknown, "2 requests"),
    (Broken::Resends, "reset-in-the-request-head", Outcome::Unknown, "2 requests"),
    (Broken::ReusesForCodes, "pooled-connection-fin-after-code", Outcome::Ok, "3 requests"),
    (Broken::FailsByStatus, "401-html", Outcome::Unknown, "wrong outcome; does not say `401`"),
    (
        Broken::TakesAllForNotSent,
        "fin-before-the-head",
        Outcome::NotSent,
        "wrong outcome; not sent, but received",
    ),
    (Broken::SaysWrongReplay, "fin-before-the-head", Outcome::Unknown, "says Some(Safe)"),
    (Broken::InventsTokens, "ordinary", Outcome::Ok, "wrong tokens"),
    (Broken::LosesTheRefreshToken, "ordinary", Outcome::Ok, "wrong tokens"),
    (Broken::LosesHeaders, "429-seconds", Outcome::Throttled, "requests the wait None"),
    (Broken::Panics, "503-empty", Outcome::Panicked, "wrong outcome; does not say `503`"),
    (Broken::Hangs, "head-stalls", Outcome::Hung, "wrong outcome; took longer than 1.6s"),
    (
        Broken::ShowsTheRequest,
        "fin-before-the-head",
        Outcome::Unknown,
        "client_secret in Debug; code in Debug; state in Debug; client_secret in source; \
         code in source; state in source",
    ),
    (Broken::LogsTheResponse, "trailing-comma", Outcome::Malformed, "access_token in log"),
];

/// The ureq adapter, with one of its rules broken.
struct Client {
    transport: Transport,
    broken: Broken,
}

/// Sends a request and returns the response unjudged.
struct Raw(Request<Vec<u8>>, Replay);

impl Operation for Raw {
    type Output = Response<Vec<u8>>;

    fn replay(&self) -> Replay {
        self.1
    }

    fn request(&self) -> Request<Vec<u8>> {
        self.0.clone()
    }

    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<Self::Output, Error> {
        Ok(response.map(|body| body.as_ref().to_vec()))
    }
}

impl Client {
    fn new(setup: &Setup, broken: Broken) -> Self {
        let limit = setup.deadline;
        let builder = Transport::builder()
            .deadline(limit)
            .connect_timeout(setup.connect_timeout)
            .body_limit(setup.body_limit)
            .extra_root(setup.root_certificate.clone());
        let builder = match broken {
            Broken::SendsPlainHttp => builder.plain_http(PlainHttp::Anywhere),
            Broken::HasNoDeadline => builder.deadline(Duration::MAX).connect_timeout(Duration::MAX),
            Broken::HasALateDeadline => builder.deadline(2 * limit),
            Broken::ConnectsTooLong => builder.connect_timeout(limit),
            // The deadline ends the endless body.
            Broken::HasNoBodyLimit => {
                builder.body_limit(usize::MAX).deadline(limit.min(Duration::from_secs(1)))
            }
            _ => builder,
        };
        let transport = builder.build().expect("a valid root certificate");
        Self { transport, broken }
    }

    fn send(&self, operation: TokenOperation) -> Result<TokenResponse, CallError> {
        let request = operation.request();
        let replay = match self.broken {
            Broken::ReusesForCodes => Replay::Safe,
            _ => operation.replay(),
        };
        let send = |request: Request<Vec<u8>>| self.transport.send(Raw(request, replay));
        let failed = |text: String| CallError::Unknown { failure: Failure::exchange(text), replay };
        let mut response = match (send(request.clone()), self.broken) {
            (Err(CallError::Unknown { .. }), Broken::Resends) => send(request.clone())?,
            (Err(CallError::Unknown { failure, .. }), Broken::TakesAllForNotSent) => {
                return Err(CallError::NotSent(failure));
            }
            (Err(CallError::Unknown { failure, .. }), Broken::SaysWrongReplay) => {
                let replay = Replay::Safe;
                return Err(CallError::Unknown { failure, replay });
            }
            (Err(error), Broken::Hangs) if error.is_timeout() => loop {
                thread::park();
            },
            (Err(_), Broken::ShowsTheRequest) => return Err(failed(format!("{request:?}"))),
            (result, _) => result?,
        };
        let status = response.status();
        match self.broken {
            Broken::FollowsRedirects if status.is_redirection() => {
                let location = response.headers()[LOCATION].to_str().expect("a URI");
                let mut request = request;
                *request.uri_mut() = location.parse().expect("a URI");
                response = send(request)?;
            }
            Broken::FailsByStatus if !status.is_success() => {
                return Err(failed("http status".into()));
            }
            Broken::Panics if status.is_server_error() => panic!("a server error"),
            Broken::InventsTokens => response = Response::new(r#"{"access_token":"x"}"#.into()),
            Broken::LosesHeaders => response.headers_mut().clear(),
            Broken::LogsTheResponse => {
                log::debug!("{}", String::from_utf8_lossy(response.body()));
            }
            _ => {}
        }
        let mut tokens = operation.parse(response)?;
        if self.broken == Broken::LosesTheRefreshToken {
            tokens.refresh_token = None;
        }
        Ok(tokens)
    }
}

fn run(conformance: Conformance, broken: Broken) -> Report {
    conformance.run_blocking(move |setup| {
        let client = Client::new(setup, broken);
        move |operation| client.send(operation)
    })
}

fn only(cases: &[&str]) -> Conformance {
    Conformance::new("broken").only(cases)
}

#[test]
fn sees_each_broken_rule() {
    // Most of the runs wait.
    thread::scope(|scope| {
        for &(broken, case, outcome, violations) in BROKEN {
            scope.spawn(move || {
                let report = run(only(&[case]), broken);
                let row = &report.rows[0];
                assert_eq!(row.outcome, Some(outcome), "{broken:?}: {report}");
                assert_eq!(row.violations.join("; "), violations, "{broken:?}");
            });
        }
    });
}

#[test]
fn sees_failure_of_earlier_call() {
    let report = only(&["pooled-connection-closed-code"])
        .run_blocking(|_| |_| Err(CallError::NotSent(Failure::connect("never"))));
    assert_eq!(report.rows[0].violations, ["wrong outcome", "an earlier call ended in NotSent"]);
}

#[test]
fn sees_panic_and_hang_of_async_client() {
    let cases = only(&["ordinary", "silence", "caller-gives-up"]);
    let report = cases.run_async(|setup| {
        let deadline = setup.deadline;
        async move |operation: TokenOperation| {
            assert!(deadline < Duration::from_secs(2), "{operation:?}");
            future::pending().await
        }
    });
    let outcomes: Vec<_> = report.rows.iter().filter_map(|row| row.outcome).collect();
    // The caller gave up, and the client with it.
    assert_eq!(outcomes, [Outcome::Panicked, Outcome::Hung, Outcome::Unknown]);
    assert!(report.rows[2].violations.is_empty());
}

#[test]
fn allows_only_the_named_outcome() {
    let run = |case, outcome| {
        let report = run(only(&[case]).allow(case, outcome), Broken::FailsByStatus);
        report.to_string()
    };
    let shown = run("401-html", Outcome::Unknown);
    assert!(shown.contains("FAILED: does not say `401`\n"), "{shown}");
    let shown = run("body-of-500-declared-10^12", Outcome::Unknown);
    assert!(shown.contains("  allowed to end in Unknown\n"), "{shown}");
    let shown = run("201", Outcome::Malformed);
    assert!(shown.contains("FAILED: is allowed to end in Malformed, and did not\n"), "{shown}");
}

#[test]
#[should_panic(expected = "FAILED: wrong tokens")]
fn assert_conforms_panics_with_failures() {
    run(only(&["ordinary"]), Broken::InventsTokens).assert_conforms();
}

#[test]
#[should_panic(expected = "there is no case `403-or-so`")]
fn rejects_allowance_for_unknown_case() {
    let _ = run(only(&[]).allow("403-or-so", Outcome::Rejected), Broken::Panics);
}
