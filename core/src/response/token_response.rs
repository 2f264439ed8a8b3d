//! Parses the response of the token endpoint.
//!
//! Source: `OAuthTokenResponse` on the vendor's page "OAuth Token Generate", and RFC 6749 §5.1.

use core::time::Duration;

use http::Response;

use super::{
    body,
    error::Error,
    malformed, missing_result, not_json,
    number::{digits, integral_float},
    problem::Problem,
    rate_limit::RateLimit,
    rejection::Endpoint,
};
use crate::{
    json::{self, Value},
    state::State,
    time::{LAST_SECOND, UnixTime},
    token::Token,
};

/// The tokens that the service issued.
#[derive(Clone, PartialEq, Eq, Debug)]
#[doc(alias = "OAuthTokenResponse")]
#[non_exhaustive]
pub struct TokenResponse {
    /// The token for the API's `Authorization: Bearer` header.
    pub access_token: Token,
    /// The token for the next [`App::refresh`](crate::App::refresh), if the service issued one.
    pub refresh_token: Option<Token>,
    /// When the access token expires; `None` if the service did not say or sent an invalid value.
    pub expiry: Option<Expiry>,
    /// The rate limit at the time of the response.
    pub rate_limit: RateLimit,
}

/// When an access token expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// This long after the response was received.
    In(Duration),
    /// At this time, by the server's clock.
    At(UnixTime),
}

impl Expiry {
    /// Returns the time of expiry for a response that was received at `received_at`.
    #[must_use]
    pub fn at(self, received_at: UnixTime) -> UnixTime {
        match self {
            Self::In(lifetime) => received_at.saturating_add(lifetime),
            Self::At(time) => time,
        }
    }
}

/// The longest lifetime in seconds that `expires_in` can mean: ten years. The vendor's text says
/// "Uses epoch time", its samples say 86400; a larger number is taken as the epoch time.
const MAX_LIFETIME_SECS: u64 = 10 * 365 * 24 * 60 * 60;

/// The members that are read. A duplicate of any but the last is an error.
const MEMBERS: [&str; 7] = [
    "access_token",
    "token_type",
    "refresh_token",
    "expires_in",
    "state",
    "error",
    "error_description",
];

/// Parses the token endpoint's response to a request with `state`, if it had one.
pub(crate) fn parse(
    response: &Response<impl AsRef<[u8]>>,
    state: Option<&State>,
    secrets: &[&str],
) -> Result<TokenResponse, Error> {
    let text = body(response, Endpoint::Token, secrets)?;
    let invalid = |problem| malformed(response, problem);
    let members =
        json::object(text, &MEMBERS).map_err(|error| not_json(response, error, secrets))?;
    let duplicate = members.duplicate().and_then(|at| MEMBERS.get(at));
    if let Some(name) = duplicate.filter(|name| **name != "error_description") {
        return Err(invalid(Problem::DuplicateMember(name)));
    }
    let [access_token, token_type, refresh_token, expires_in, received_state, error, description] =
        members.values();
    let Some(access_token) = access_token else {
        return Err(missing_result(response, Endpoint::Token, [error, description], secrets)
            .unwrap_or_else(|| invalid(Problem::MissingMember("access_token"))));
    };
    // Many servers send an empty string for an absent member.
    let [token_type, refresh_token, received_state] = [token_type, refresh_token, received_state]
        .map(|value| value.filter(|value| !value.is_empty_string()));
    if let (Some(sent), Some(received)) = (state, received_state) {
        if !received.string().is_some_and(|received| sent.matches(&received)) {
            return Err(Error::StateMismatch);
        }
    }
    if !token_type.is_none_or(is_bearer) {
        return Err(invalid(Problem::InvalidMember("token_type")));
    }
    let token = |name, value| token(value).ok_or_else(|| invalid(Problem::InvalidMember(name)));
    Ok(TokenResponse {
        access_token: token("access_token", access_token)?,
        refresh_token: refresh_token.map(|value| token("refresh_token", value)).transpose()?,
        expiry: expires_in.and_then(expiry),
        rate_limit: RateLimit::from_headers(response.headers()),
    })
}

fn is_bearer(value: Value<'_>) -> bool {
    value.string().is_some_and(|text| text.eq_ignore_ascii_case("bearer"))
}

fn token(value: Value<'_>) -> Option<Token> {
    Token::new(&value.string()?).ok()
}

/// The expiry that `expires_in` means; `None` if the lifetime is unknown.
fn expiry(value: Value<'_>) -> Option<Expiry> {
    let seconds = match value.number() {
        Some(number) => whole_seconds(number).or_else(|| integral_float(number, LAST_SECOND))?,
        None => whole_seconds(&value.string()?)?,
    };
    Some(if seconds > MAX_LIFETIME_SECS {
        Expiry::At(UnixTime::from_secs(seconds))
    } else {
        Expiry::In(Duration::from_secs(seconds))
    })
}

fn whole_seconds(text: &str) -> Option<u64> {
    digits(text.as_bytes()).filter(|seconds| *seconds <= LAST_SECOND)
}

#[cfg(test)]
mod tests {
    use alloc::{
        format,
        string::{String, ToString},
        vec::Vec,
    };

    use super::*;

    fn parse(body: &str) -> Result<TokenResponse, Error> {
        let state = State::from_stored("900e06e2").unwrap();
        super::parse(&Response::new(body), Some(&state), &["900e06e2"])
    }

    /// The problem of an invalid response, or the whole error.
    fn problem(body: &str) -> String {
        match parse(body) {
            Err(Error::Malformed { problem, .. }) => problem.to_string(),
            Err(error) => error.to_string(),
            Ok(_) => "nothing".into(),
        }
    }

    #[test]
    fn parses_the_vendors_example() {
        let body = r#"{"access_token":"NWNiOTMx","token_type":"Bearer","refresh_token":"hNTI2MTFm","expires_in":86400,"state":"900e06e2"}"#;
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("x-ratelimit-limit", "100")
            .header("x-ratelimit-limit-remaining", "99")
            .header("x-ratelimit-reset", "1430170900")
            .body(body)
            .unwrap();
        let state = State::from_stored("900e06e2").unwrap();
        let tokens = super::parse(&response, Some(&state), &[]).unwrap();
        assert_eq!(tokens.access_token.expose(), "NWNiOTMx");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "hNTI2MTFm");
        assert_eq!(tokens.expiry, Some(Expiry::In(Duration::from_secs(86400))));
        assert_eq!(tokens.rate_limit.remaining, Some(99));
    }

    #[test]
    fn accepts_incomplete_responses_and_unusual_spellings() {
        for body in [
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a","token_type":null,"refresh_token":null,"expires_in":null,"state":null}"#,
            r#"{"access_token":"a","token_type":"","refresh_token":"","state":""}"#,
            r#"{"access_token":"a","error":"x","error_description":1,"error_description":2}"#,
            r#"{"access_token":"a","token_type":"bearer"}"#,
            r#"{"access_token":"a","token_type":"BEARER"}"#,
            r#"{"token_type":"Bear\u0065r","access_token":"\u0061"}"#,
            r#"{"access_token":"a","state":"900e\u00306e2"}"#,
            r#"{"access_token":"a","unknown":{"access_token":[1e999]},"unknown":"\ud800"}"#,
            r#"{"access_token":"a","\ud800":2}"#,
            " \t\r\n{ \"access_token\" : \"a\" } \n",
        ] {
            let tokens = parse(body).unwrap();
            assert_eq!(tokens.access_token.expose(), "a", "{body}");
            assert_eq!((tokens.refresh_token, tokens.expiry), (None, None), "{body}");
        }
    }

    #[test]
    fn rejects_invalid_responses() {
        const TOKEN: &str = "invalid value of member `access_token`";
        const REFRESH: &str = "invalid value of member `refresh_token`";
        const TYPE: &str = "invalid value of member `token_type`";
        const MISSING: &str = "missing member `access_token`";
        const DUPLICATE: &str = "duplicate member `access_token`";
        const STATE: &str = "the state of the response does not match";
        const OBJECT: &str = "the body is not a JSON object";
        for (body, expected) in [
            ("{}", MISSING),
            (r#"{"access_token":null}"#, MISSING),
            (r#"{"access_token":""}"#, TOKEN),
            (r#"{"access_token":7}"#, TOKEN),
            (r#"{"access_token":["a"]}"#, TOKEN),
            (r#"{"access_token":"a b"}"#, TOKEN),
            (r#"{"access_token":"a\n"}"#, TOKEN),
            (r#"{"access_token":"a\u0000"}"#, TOKEN),
            (r#"{"access_token":"\u00e9"}"#, TOKEN),
            (r#"{"access_token":"é"}"#, TOKEN),
            (r#"{"access_token":"\ud800"}"#, TOKEN),
            (r#"{"access_token":"a","refresh_token":false}"#, REFRESH),
            (r#"{"access_token":"a","refresh_token":"a b"}"#, REFRESH),
            (r#"{"access_token":"a","token_type":"mac"}"#, TYPE),
            (r#"{"access_token":"a","token_type":0}"#, TYPE),
            (r#"{"access_token":"a","state":"900e06e3"}"#, STATE),
            (r#"{"access_token":"a","state":9}"#, STATE),
            (r#"{"access_token":"a","access_token":"a"}"#, DUPLICATE),
            (r#"{"access_token":"a","access\u005ftoken":"b"}"#, DUPLICATE),
            (
                r#"{"access_token":"a","expires_in":1,"expires_in":null}"#,
                "duplicate member `expires_in`",
            ),
            (r#"{"access_token":"a","error":"x","\u0065rror":"y"}"#, "duplicate member `error`"),
            (r#"[{"access_token":"a"}]"#, OBJECT),
            (r#"["a","Bearer","r",1,null]"#, OBJECT),
            ("\u{feff}{\"access_token\":\"a\"}", "the body is not JSON (line 1, column 1)"),
            (r#"{"access_token":"a"}{}"#, "the body is not JSON (line 1, column 21)"),
            (r#"{"access_token":"a",}"#, "the body is not JSON (line 1, column 21)"),
            ("", "the body is empty"),
            (
                r#"{"error":"invalid_grant","error_description":"of 900e06e2"}"#,
                "the server rejected the request: 200 invalid_grant (of [redacted])",
            ),
            (
                r#"{"access_token":null,"error":{"error_name":"unknown"}}"#,
                "the server rejected the request: 200 unknown",
            ),
        ] {
            assert_eq!(problem(body), expected, "{body}");
        }
    }

    #[test]
    fn reads_every_form_of_lifetime_and_never_rejects_one() {
        let seconds = |seconds| Some(Expiry::In(Duration::from_secs(seconds)));
        let at = |seconds| Some(Expiry::At(UnixTime::from_secs(seconds)));
        for (value, expiry) in [
            ("86400", seconds(86400)),
            ("\"86400\"", seconds(86400)),
            ("\"\\u0038\"", seconds(8)),
            ("86400.0", seconds(86400)),
            ("8.64e4", seconds(86400)),
            ("0", seconds(0)),
            ("-0", seconds(0)),
            ("315360000", seconds(315_360_000)),
            ("315360001", at(315_360_001)),
            ("1700086400", at(1_700_086_400)),
            ("1.7e9", at(1_700_000_000)),
            ("-1", None),
            ("-0.5", None),
            ("0.5", None),
            ("1e300", None),
            ("1e999", None),
            ("18446744073709551615", None),
            ("253402300799", at(253_402_300_799)),
            ("253402300800", None),
            ("1700086400000", None),
            ("2.534023008e11", None),
            ("99999999999999999999", None),
            ("true", None),
            ("\"\"", None),
            ("\"+5\"", None),
            ("\"5 \"", None),
            ("\"5.0\"", None),
            ("\"soon\"", None),
            ("[86400]", None),
            ("{\"s\":1}", None),
            ("null", None),
        ] {
            let tokens = parse(&format!(r#"{{"access_token":"a","expires_in":{value}}}"#));
            assert_eq!(tokens.unwrap().expiry, expiry, "{value}");
        }
    }

    #[test]
    fn computes_the_time_of_expiry() {
        let received_at = UnixTime::from_secs(1_700_000_000);
        for (expiry, time) in [
            (Expiry::In(Duration::from_secs(86400)), 1_700_086_400),
            (Expiry::At(UnixTime::from_secs(5)), 5),
        ] {
            assert_eq!(expiry.at(received_at), UnixTime::from_secs(time));
        }
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let depth = 20_000;
            let nested: String = [open.repeat(depth), "1".into(), close.repeat(depth)].concat();
            let bodies: Vec<String> = ["unknown", "expires_in"]
                .map(|name| format!(r#"{{"access_token":"a","{name}":{nested}}}"#))
                .into();
            for body in bodies {
                assert_eq!(parse(&body).unwrap().expiry, None);
            }
            assert!(parse(&format!(r#"{{"access_token":{nested}}}"#)).is_err());
        }
    }
}
