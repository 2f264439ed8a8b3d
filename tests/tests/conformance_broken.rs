//! A transport that conforms, and then with one rule broken at a time: each must be seen by the run.

use std::{future, thread, time::Duration};

use dropbox_sign_oauth_testkit::{
    conformance::{Conformance, Ending, Place, Report, Setup, TokenOperation, Verdict, Violation},
    fault::{Group, Outcome},
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
    ConnectsUntilTheDeadline,
    HasNoBodyLimit,
    Resends,
    ReusesConnectionsForCodes,
    TakesStatusForFailure,
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
        let limit = setup.deadline();
        let builder = Transport::builder()
            .deadline(limit)
            .connect_timeout(setup.connect_timeout())
            .body_limit(setup.body_limit())
            .extra_root(setup.root_certificate().clone());
        let builder = match broken {
            Broken::SendsPlainHttp => builder.plain_http(PlainHttp::Anywhere),
            Broken::HasNoDeadline => builder.deadline(Duration::MAX).connect_timeout(Duration::MAX),
            Broken::HasALateDeadline => builder.deadline(2 * limit),
            Broken::ConnectsUntilTheDeadline => builder.connect_timeout(limit),
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
            Broken::ReusesConnectionsForCodes => Replay::Safe,
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
                let location = response.headers().get(LOCATION);
                let location = location.and_then(|value| value.to_str().ok()?.parse().ok());
                if let Some(location) = location {
                    let mut request = request;
                    *request.uri_mut() = location;
                    response = send(request)?;
                }
            }
            Broken::TakesStatusForFailure if !status.is_success() => {
                return Err(failed("http status".into()));
            }
            Broken::Panics if status.is_server_error() => panic!("a server error"),
            Broken::InventsTokens if status.is_success() => {
                response = Response::new(r#"{"access_token":"x"}"#.into());
            }
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

fn only(broken: Broken, group: Group) -> Conformance {
    Conformance::new(format!("{broken:?}")).only(&[group])
}

fn ended(outcome: Outcome) -> Ending {
    Ending::Outcome(outcome)
}

/// Runs a broken client through a group. Returns how a case ended, and what the run says of it.
#[track_caller]
fn violations(broken: Broken, group: Group, case: &str) -> (Ending, Vec<Violation>) {
    let report = run(only(broken, group), broken);
    let row = report.row(case).expect("a case of the group");
    let Verdict::Failed(violations) = &row.verdict else {
        panic!("`{case}` does not see it:\n{report}");
    };
    // Other cases pass.
    let passed = report.rows.iter().any(|row| row.verdict == Verdict::Passed);
    assert!(passed, "{report}");
    (row.ending.clone(), violations.clone())
}

/// Defines a test for each broken rule that one case sees in one way.
macro_rules! sees {
    ($($test:ident: $broken:ident in $group:ident $case:literal => $ending:expr, $pattern:pat,)*) => {$(
        #[test]
        fn $test() {
            let (ending, violations) = violations(Broken::$broken, Group::$group, $case);
            assert_eq!(ending, $ending);
            assert!(matches!(violations[..], $pattern), "{violations:?}");
        }
    )*};
}

sees! {
    sees_plain_http: SendsPlainHttp in Connect "http-to-another-host"
        => ended(Outcome::Unknown), [Violation::Outcome],
    sees_followed_redirect: FollowsRedirects in Status "307"
        => ended(Outcome::Ok), [Violation::Outcome, Violation::WrongServer],
    sees_missing_deadline: HasNoDeadline in Exchange "silence"
        => Ending::Hung, [Violation::Outcome, Violation::Late(_)],
    sees_late_deadline: HasALateDeadline in Exchange "silence"
        => ended(Outcome::Unknown), [Violation::Late(_)],
    sees_late_connect_timeout: ConnectsUntilTheDeadline in Connect "syn-black-hole"
        => ended(Outcome::NotSent), [Violation::Late(_)],
    sees_late_connect_timeout_of_tls: ConnectsUntilTheDeadline in Connect "tls-silence"
        => ended(Outcome::NotSent), [Violation::Late(_)],
    sees_missing_body_limit: HasNoBodyLimit in Body "endless-body"
        => ended(Outcome::Unknown), [Violation::Outcome, Violation::BytesRead(_)],
    sees_resent_request: Resends in Exchange "fin-before-the-head"
        => ended(Outcome::Unknown), [Violation::Requests(2)],
    sees_code_on_pooled_connection: ReusesConnectionsForCodes in Exchange "pooled-connection-fin-after-code"
        => ended(Outcome::Ok), [Violation::Requests(3)],
    sees_status_taken_for_failure: TakesStatusForFailure in Status "401-html"
        => ended(Outcome::Unknown), [Violation::Outcome, Violation::Unsaid("401")],
    sees_false_not_sent: TakesAllForNotSent in Exchange "fin-before-the-head"
        => ended(Outcome::NotSent), [Violation::Outcome, Violation::NotSentButReceived],
    sees_wrong_replay: SaysWrongReplay in Exchange "fin-before-the-head"
        => ended(Outcome::Unknown), [Violation::Replay(Replay::Safe)],
    sees_invented_tokens: InventsTokens in Exchange "ordinary"
        => ended(Outcome::Ok), [Violation::WrongTokens],
    sees_lost_refresh_token: LosesTheRefreshToken in Exchange "ordinary"
        => ended(Outcome::Ok), [Violation::WrongTokens],
    sees_lost_headers: LosesHeaders in Status "429-seconds"
        => ended(Outcome::Throttled), [Violation::Wait(None)],
    sees_panic: Panics in Status "503-empty"
        => Ending::Panicked("a server error".into()), [Violation::Outcome, Violation::Unsaid("503")],
    sees_hang: Hangs in Head "head-stalls"
        => Ending::Hung, [Violation::Outcome, Violation::Late(_)],
    sees_logged_response: LogsTheResponse in Json "trailing-comma"
        => ended(Outcome::Malformed), [Violation::Leak("access_token", Place::Log)],
}

#[test]
fn sees_shown_request() {
    let (_, violations) =
        violations(Broken::ShowsTheRequest, Group::Exchange, "fin-before-the-head");
    for (secret, place) in
        [("client_secret", Place::Debug), ("code", Place::Source), ("state", Place::Source)]
    {
        let leak = Violation::Leak(secret, place);
        assert!(violations.contains(&leak), "{violations:?}");
    }
}

#[test]
fn sees_failure_of_earlier_call() {
    let report = Conformance::new("never")
        .only(&[Group::Exchange])
        .run_blocking(|_| |_| Err(CallError::NotSent(Failure::connect("never"))));
    let row = report.row("pooled-connection-closed-code").expect("a case");
    let earlier = Violation::EarlierCall(ended(Outcome::NotSent));
    assert_eq!(row.verdict, Verdict::Failed(vec![Violation::Outcome, earlier]));
}

#[test]
fn sees_panic_and_hang_of_async_client() {
    let report = Conformance::new("never").only(&[Group::Exchange]).run_async(|setup| {
        let deadline = setup.deadline();
        async move |operation: TokenOperation| {
            assert!(deadline < Duration::from_secs(2), "{operation:?}");
            future::pending().await
        }
    });
    let ending = |case| &report.row(case).expect("a case").ending;
    assert_eq!(*ending("silence"), Ending::Hung);
    assert!(matches!(ending("ordinary"), Ending::Panicked(_)));
    // The caller gave up, and the client with it.
    let row = report.row("caller-gives-up").expect("a case");
    assert_eq!(row.verdict, Verdict::Passed);
}

#[test]
fn shows_allowances_and_those_not_needed() {
    let broken = Broken::TakesStatusForFailure;
    let allowing = only(broken, Group::Status)
        .allow("503-tokens", Outcome::Unknown)
        .allow("401-html", Outcome::Unknown)
        .allow("201", Outcome::Malformed);
    let report = run(allowing, broken);
    let verdict = |case| &report.row(case).expect("a case of the group").verdict;
    assert_eq!(*verdict("503-tokens"), Verdict::Allowed);
    // Only the outcome is allowed.
    assert_eq!(*verdict("401-html"), Verdict::Failed(vec![Violation::Unsaid("401")]));
    let not_needed = ("201".into(), Outcome::Malformed);
    assert_eq!(report.unused_allowances, [not_needed]);
    let shown = report.to_string();
    assert!(shown.contains("allowed to end in `Unknown`"), "{shown}");
    let last = shown.lines().last();
    assert_eq!(last, Some("not needed: `201` is allowed to end in `Malformed`"));
}

#[test]
fn displays_a_table() {
    let broken = Broken::Panics;
    let shown = run(only(broken, Group::Http2), broken).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "group  case                        expected            got  POSTs  bytes     time  \
             verdict",
            "http2  h2-ordinary                 Ok                  -        0      0  0.000 s  \
             not applicable: the transport does not speak HTTP/2",
            "http2  h2-refused-stream           Unknown or NotSent  -        0      0  0.000 s  \
             not applicable: the transport does not speak HTTP/2",
        ]
    );
    let summary = lines.last().expect("a summary");
    assert!(summary.starts_with("Panics: 13 cases in "), "{summary}");
    let counts = ": 0 passed, 0 allowed, 0 failed, 13 not applicable; ";
    assert!(summary.contains(counts), "{summary}");
}

#[test]
#[should_panic(expected = "FAILED: WrongTokens")]
fn assert_conforms_panics_with_failures() {
    let broken = Broken::InventsTokens;
    run(only(broken, Group::Exchange), broken).assert_conforms();
}

#[test]
#[should_panic(expected = "there is no case `403-or-so` to allow")]
fn rejects_allowance_for_unknown_case() {
    let broken = Broken::Panics;
    let allowing = only(broken, Group::Status).allow("403-or-so", Outcome::Rejected);
    let _ = run(allowing, broken);
}
