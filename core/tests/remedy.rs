//! The table of remedies in the documentation matches the code.

use std::{collections::BTreeSet, error::Error as _, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    App, AuthorizationCode, CallError, CallbackError, Error, Failure, Operation, PlainHttp, Remedy,
    Replay, State, Token, UnixTime, json_body,
    session::{SendError, SessionError},
};
use http::{Response, Uri};

fn app() -> App {
    App::new("client-id", "client-secret").unwrap()
}

fn callback(query: &str) -> Remedy {
    let state = State::from_stored("900e06e2").unwrap();
    app().callback(query, &state).unwrap_err().remedy()
}

fn denial(code: &str) -> Remedy {
    callback(&format!("error={code}&state=900e06e2"))
}

fn generate(status: u16, body: &str) -> Error {
    let state = State::from_stored("900e06e2").unwrap();
    let code = AuthorizationCode::new("1b0d28d90c86c141", state).unwrap();
    let response = Response::builder().status(status).body(body.to_owned()).unwrap();
    app().generate(code).parse(response).unwrap_err()
}

fn rejection(status: u16, code: &str) -> Error {
    generate(status, &format!(r#"{{"error":"{code}"}}"#))
}

fn account(status: u16) -> Error {
    let token = Token::new("NWNiOTMx").unwrap();
    let response = Response::builder().status(status).body("").unwrap();
    app().account(&token).parse(response).unwrap_err()
}

fn unknown(replay: Replay) -> Remedy {
    CallError::Unknown { failure: Failure::exchange("reset"), replay }.remedy()
}

fn refresh_failed(cause: Option<Error>, rejections: u32) -> Remedy {
    let cause = cause.map(|error| Arc::new(CallError::Answered(error)));
    let until = UnixTime::from_secs(1_700_000_000);
    SessionError::RefreshFailed { until, cause, rejections }.remedy()
}

fn name(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::StartOver => "StartOver",
        Remedy::Retry { after } => {
            assert_eq!(after, Duration::from_secs(30));
            "Retry"
        }
        Remedy::FixConfiguration => "FixConfiguration",
        Remedy::Unexpected => "Unexpected",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_remedies_are_those_of_the_code() {
    let plain = Uri::from_static("http://example.com");
    let insecure = PlainHttp::default().check(&plain).unwrap_err();
    assert_eq!(callback(""), CallbackError::MissingParameters.remedy());
    let rows = [
        ("`CallbackError::Duplicate`", callback("code=a&code=a")),
        ("`CallbackError::MissingParameters`", callback("")),
        ("`CallbackError::MissingState`", callback("code=a")),
        ("`CallbackError::StateMismatch`", callback("code=a&state=b")),
        ("`CallbackError::InvalidCode`", callback("code=a+b&state=900e06e2")),
        ("`CallbackError::Denied`, `access_denied`", denial("access_denied")),
        ("`CallbackError::Denied`, `invalid_scope`", denial("invalid_scope")),
        ("`CallbackError::Denied`, `temporarily_unavailable`", denial("temporarily_unavailable")),
        ("`Error::Rejected`, `invalid_grant`", rejection(400, "invalid_grant").remedy()),
        ("`Error::Rejected`, `invalid_client`", rejection(401, "invalid_client").remedy()),
        ("`Error::Rejected`, 401 of the token endpoint", generate(401, "").remedy()),
        ("`Error::Rejected`, 401 of the API", account(401).remedy()),
        ("`Error::Rejected`, 404", generate(404, "").remedy()),
        ("`Error::Rejected`, another code", rejection(400, "something_new").remedy()),
        ("`Error::Throttled`", generate(429, "").remedy()),
        ("`Error::ServerFault`", generate(503, "").remedy()),
        ("`Error::RedirectRefused`", generate(307, "").remedy()),
        ("`Error::StateMismatch`", generate(200, r#"{"access_token":"a","state":"b"}"#).remedy()),
        ("`Error::Malformed`", generate(200, "<html>").remedy()),
        ("`Error::TooLarge`", Error::TooLarge { limit: 1 }.remedy()),
        ("`CallError::NotSent`", CallError::NotSent(Failure::connect("refused")).remedy()),
        (
            "`CallError::NotSent`, insecure URI",
            CallError::NotSent(Failure::insecure(insecure)).remedy(),
        ),
        ("`CallError::Unknown`, code exchange", unknown(Replay::Never)),
        ("`CallError::Unknown`, another request", unknown(Replay::Safe)),
        ("`SessionError::NoTokens`", SessionError::NoTokens.remedy()),
        ("`SessionError::Revoked`", SessionError::Revoked { cause: None }.remedy()),
        ("`SessionError::RefreshFailed`", refresh_failed(None, 0)),
        (
            "`SessionError::RefreshFailed`, `invalid_client`",
            refresh_failed(Some(rejection(401, "invalid_client")), 0),
        ),
        ("`SessionError::RefreshFailed`, three rejections", refresh_failed(None, 3)),
        ("`SessionError::Store`", SessionError::Store(Arc::from(Box::from("down"))).remedy()),
        ("`SessionError::ShutDown`", SessionError::ShutDown.remedy()),
    ];
    let expected: BTreeSet<String> =
        rows.iter().map(|(error, remedy)| format!("| {error} | `{}` |", name(*remedy))).collect();
    let documented: BTreeSet<String> = include_str!("../src/remedy.md")
        .lines()
        .filter(|line| line.starts_with("| `") && !line.starts_with("| `CallError::Answered`"))
        .map(String::from)
        .collect();
    assert_eq!(documented, expected);
}

#[test]
fn session_errors_keep_the_remedy_and_the_source_of_their_cause() {
    let response = Response::builder().status(429).header("retry-after", "7").body("").unwrap();
    let answered = || CallError::Answered(json_body(&response, &[]).unwrap_err());
    let failure = || CallError::NotSent(Failure::connect("refused"));
    let refresh = |cause| {
        let until = UnixTime::from_secs(1_700_000_000);
        SessionError::RefreshFailed { until, cause: Some(Arc::new(cause)), rejections: 0 }
    };
    for (error, shown, source, after) in [
        (
            SendError::from(refresh(answered())),
            "refreshing the access token failed; the next attempt starts at 1700000000 (Unix time)",
            "the request was rate-limited: 429 Too Many Requests",
            7,
        ),
        (
            SendError::from(SessionError::Store(Arc::from(Box::from("down")))),
            "the store of the session failed",
            "down",
            30,
        ),
        (
            SendError::Send(failure()),
            "the request was not sent: connecting to the server failed",
            "refused",
            30,
        ),
    ] {
        assert_eq!(error.to_string(), shown);
        assert_eq!(error.source().unwrap().to_string(), source);
        assert_eq!(error.remedy(), Remedy::Retry { after: Duration::from_secs(after) });
    }
}
