//! A 200 of the token endpoint → [`TokenResponse`].
//!
//! A code is single use: whatever is refused after a 200 is a grant that the user has lost. So
//! this file is strict where a mistake is unsafe, and lenient where it is only untidy.
//!
//! Source: `OAuthTokenResponse` on the vendor's page "OAuth Token Generate", and RFC 6749 §5.1.

use core::time::Duration;

use http::Response;

use crate::{
    error::Error,
    json::{self, Value},
    malformed::{Malformed, Problem},
    rate_limit::{self, RateLimit},
    response,
    state::State,
    time::{LAST_SECOND, UnixTime},
    token::Token,
};

/// The tokens that the service gave.
#[derive(Clone, PartialEq, Eq, Debug)]
#[doc(alias = "OAuthTokenResponse")]
#[non_exhaustive]
pub struct TokenResponse {
    /// The token for the API's `Authorization: Bearer` header.
    pub access_token: Token,
    /// The token for the next [`App::refresh`](crate::App::refresh); none if the service gave none.
    pub refresh_token: Option<Token>,
    /// How long the access token is valid; `None` if the service did not say, or not
    /// intelligibly.
    pub expiry: Option<Expiry>,
    /// How many requests are left.
    pub rate_limit: RateLimit,
}

/// When an access token expires, as the service put it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// So long after the response.
    In(Duration),
    /// At this time.
    At(UnixTime),
}

impl Expiry {
    /// The time of expiry, for a response that was received at `received_at`.
    #[must_use]
    pub fn at(self, received_at: UnixTime) -> UnixTime {
        match self {
            Self::In(lifetime) => received_at.saturating_add(lifetime),
            Self::At(time) => time,
        }
    }
}

/// The longest lifetime in seconds that `expires_in` can mean: ten years. The vendor's text says
/// "Uses epoch time" where its samples say 86400; a larger number is taken at the text's word.
const MAX_LIFETIME_SECS: u64 = 10 * 365 * 24 * 60 * 60;

/// The members that are known. `error` is not among them: it is looked for only where there is no
/// access token, and means nothing beside one.
const MEMBERS: [&str; 5] = [
    "access_token",
    "token_type",
    "refresh_token",
    "expires_in",
    "state",
];

/// Reads the response of the token endpoint to a request that carried `state`, if it did.
pub(crate) fn read(
    response: &Response<impl AsRef<[u8]>>,
    state: Option<&State>,
    secrets: &[&str],
) -> Result<TokenResponse, Error> {
    let text = response::success(response, secrets)?;
    let malformed = |problem| Malformed::new(response.status(), problem);
    let [
        access_token,
        token_type,
        refresh_token,
        expires_in,
        received_state,
    ] = json::object(text, MEMBERS).map_err(malformed)?;
    let Some(access_token) = access_token else {
        let [error] = json::object(text, ["error"]).map_err(malformed)?;
        return Err(response::no_result(
            response,
            error,
            "access_token",
            secrets,
        ));
    };
    if let (Some(sent), Some(received)) = (state, received_state) {
        if !received
            .string()
            .is_some_and(|received| sent.matches(&received))
        {
            return Err(Error::StateMismatch);
        }
    }
    if !token_type.is_none_or(is_bearer) {
        return Err(malformed(Problem::InvalidMember("token_type")).into());
    }
    let token = |name, value| token(value).ok_or(malformed(Problem::InvalidMember(name)));
    Ok(TokenResponse {
        access_token: token("access_token", access_token)?,
        refresh_token: refresh_token
            .map(|value| token("refresh_token", value))
            .transpose()?,
        expiry: expires_in.and_then(expiry),
        rate_limit: RateLimit::from_headers(response.headers()),
    })
}

fn is_bearer(value: Value<'_>) -> bool {
    value
        .string()
        .is_some_and(|text| text.eq_ignore_ascii_case("bearer"))
}

fn token(value: Value<'_>) -> Option<Token> {
    Token::new(&value.string()?).ok()
}

/// The expiry that `expires_in` means; `None` for a value that means none.
fn expiry(value: Value<'_>) -> Option<Expiry> {
    let seconds = match value.number() {
        Some(number) => whole_seconds(number).or_else(|| integral_float(number))?,
        None => whole_seconds(&value.string()?)?,
    };
    Some(if seconds > MAX_LIFETIME_SECS {
        Expiry::At(UnixTime::from_secs(seconds))
    } else {
        Expiry::In(Duration::from_secs(seconds))
    })
}

/// A number made of digits alone.
fn whole_seconds(text: &str) -> Option<u64> {
    rate_limit::digits(text.as_bytes()).filter(|seconds| *seconds <= LAST_SECOND)
}

/// A number such as `86400.0` or `8.64e4`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "the range is checked, and the way there and back tells whether the number is whole"
)]
fn integral_float(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    if !(0.0..=LAST_SECOND as f64).contains(&seconds) {
        return None;
    }
    let whole = seconds as u64;
    (whole as f64 == seconds).then_some(whole)
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
        read(&Response::new(body), Some(&state), &["900e06e2"])
    }

    /// What is wrong with an answer, without the sentence around it.
    fn problem(body: &str) -> String {
        match parse(body) {
            Err(Error::Malformed(malformed)) => malformed.problem().to_string(),
            Err(error) => error.to_string(),
            Ok(_) => "nothing".into(),
        }
    }

    #[test]
    fn the_vendors_example() {
        let body = r#"{"access_token":"NWNiOTMx","token_type":"Bearer","refresh_token":"hNTI2MTFm","expires_in":86400,"state":"900e06e2"}"#;
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("x-ratelimit-limit", "100")
            .header("x-ratelimit-limit-remaining", "99")
            .header("x-ratelimit-reset", "1430170900")
            .body(body)
            .unwrap();
        let state = State::from_stored("900e06e2").unwrap();
        let tokens = read(&response, Some(&state), &[]).unwrap();
        assert_eq!(tokens.access_token.expose(), "NWNiOTMx");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "hNTI2MTFm");
        assert_eq!(tokens.expiry, Some(Expiry::In(Duration::from_secs(86400))));
        assert_eq!(tokens.rate_limit.remaining, Some(99));
    }

    #[test]
    fn an_untidy_answer_is_accepted() {
        for body in [
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a","token_type":null,"refresh_token":null,"expires_in":null,"state":null}"#,
            r#"{"access_token":"a","token_type":"bearer"}"#,
            r#"{"access_token":"a","token_type":"BEARER"}"#,
            r#"{"token_type":"Bear\u0065r","access_token":"\u0061"}"#,
            r#"{"access_token":"a","state":"900e\u00306e2"}"#,
            r#"{"access_token":"a","unknown":{"access_token":[1e999]},"unknown":"\ud800"}"#,
            r#"{"access_token":"a","error":"x","error":"y"}"#,
            " \t\r\n{ \"access_token\" : \"a\" } \n",
        ] {
            let tokens = parse(body).unwrap();
            assert_eq!(tokens.access_token.expose(), "a", "{body}");
            assert_eq!(
                (tokens.refresh_token, tokens.expiry),
                (None, None),
                "{body}"
            );
        }
    }

    #[test]
    fn an_unsafe_answer_is_refused() {
        const TOKEN: &str = "`access_token` has an invalid value";
        const REFRESH: &str = "`refresh_token` has an invalid value";
        const TYPE: &str = "`token_type` has an invalid value";
        const MISSING: &str = "`access_token` is missing";
        const TWICE: &str = "`access_token` stands there twice";
        const STATE: &str = "the server answered with another state than was sent, and its \
                             tokens were dropped; start the authorization again";
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
            (r#"{"access_token":"a","refresh_token":""}"#, REFRESH),
            (r#"{"access_token":"a","refresh_token":false}"#, REFRESH),
            (r#"{"access_token":"a","refresh_token":"a b"}"#, REFRESH),
            (r#"{"access_token":"a","token_type":"mac"}"#, TYPE),
            (r#"{"access_token":"a","token_type":""}"#, TYPE),
            (r#"{"access_token":"a","token_type":0}"#, TYPE),
            (r#"{"access_token":"a","state":"900e06e3"}"#, STATE),
            (r#"{"access_token":"a","state":""}"#, STATE),
            (r#"{"access_token":"a","state":9}"#, STATE),
            (r#"{"access_token":"a","access_token":"a"}"#, TWICE),
            (r#"{"access_token":"a","access\u005ftoken":"b"}"#, TWICE),
            (
                r#"{"access_token":"a","expires_in":1,"expires_in":null}"#,
                "`expires_in` stands there twice",
            ),
            (r#"[{"access_token":"a"}]"#, OBJECT),
            (r#"["a","Bearer","r",1,null]"#, OBJECT),
            (
                "\u{feff}{\"access_token\":\"a\"}",
                "the body is not JSON (after 0 bytes)",
            ),
            (
                r#"{"access_token":"a"}{}"#,
                "the body is not JSON (after 20 bytes)",
            ),
            (
                r#"{"access_token":"a",}"#,
                "the body is not JSON (after 20 bytes)",
            ),
            ("", "the body is empty"),
            (
                r#"{"error":"invalid_grant","error_description":"of 900e06e2"}"#,
                "the server rejected the request: 200 invalid_grant (of [redacted]); the code or \
                 refresh token is wrong, spent, expired or revoked, so let the user authorize \
                 again",
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
    fn a_lifetime_is_read_in_every_form_and_never_refused() {
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
    fn an_expiry_is_a_time() {
        let received_at = UnixTime::from_secs(1_700_000_000);
        for (expiry, time) in [
            (Expiry::In(Duration::from_secs(86400)), 1_700_086_400),
            (Expiry::At(UnixTime::from_secs(5)), 5),
        ] {
            assert_eq!(expiry.at(received_at), UnixTime::from_secs(time));
        }
    }

    #[test]
    fn deep_nesting_is_no_stack_overflow() {
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
