//! The callback: what the user's browser brings back from the authorize page.
//!
//! Source: RFC 6749 §4.1.2 and §4.1.2.1.

use alloc::{borrow::Cow, boxed::Box, string::String};
use core::fmt;

use zeroize::Zeroize;

use crate::{
    error_code::ErrorCode,
    presentable,
    secret::{self, Secret},
    state::State,
};

/// A `code` from a callback whose state was checked, to be exchanged for tokens once.
///
/// It cannot be cloned, and [`App::generate`](crate::App::generate) consumes it: the compiler keeps
/// a code from being spent twice. `Debug` shows `[redacted]`, and the buffer is wiped on drop.
#[derive(Debug)]
pub struct AuthorizationCode {
    code: Secret,
    state: State,
}

impl AuthorizationCode {
    /// Takes a code whose callback was checked elsewhere, for instance by a web framework's own
    /// OAuth support: `state` is the one that the callback carried, and the caller has compared it
    /// with the session's.
    ///
    /// # Errors
    /// [`InvalidCode`] if the code is not 1 to 1024 visible ASCII characters.
    pub fn new(code: &str, state: State) -> Result<Self, InvalidCode> {
        if secret::is_credential(code) {
            let code = Secret::new(code);
            Ok(Self { code, state })
        } else {
            Err(InvalidCode(()))
        }
    }

    pub(crate) fn expose(&self) -> &str {
        self.code.expose()
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }
}

/// A string that cannot be an authorization code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidCode(());

impl fmt::Display for InvalidCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an authorization code must be 1 to 1024 visible ASCII characters")
    }
}

impl core::error::Error for InvalidCode {}

/// Checks the query of a callback against the state of the session.
pub(crate) fn check(query: &str, expected: &State) -> Result<AuthorizationCode, CallbackError> {
    let parameters = Parameters::read(query)?;
    if parameters.are_absent() {
        return Err(CallbackError::NothingThere);
    }
    if !parameters
        .state
        .as_deref()
        .is_some_and(|s| expected.matches(s))
    {
        return Err(CallbackError::StateMismatch);
    }
    if let Some(error) = &parameters.error {
        let secrets = [expected.as_str(), parameters.code.as_deref().unwrap_or("")];
        let presentable = |text: &Cow<'_, str>| presentable::presentable(text, &secrets);
        return Err(CallbackError::Denied(Box::new(Denial {
            code: ErrorCode::from(presentable(error)),
            description: parameters.error_description.as_ref().map(presentable),
            uri: parameters.error_uri.as_ref().map(presentable),
        })));
    }
    let code = parameters.code.as_deref();
    let code = code.ok_or(CallbackError::NothingThere)?;
    AuthorizationCode::new(code, expected.clone()).map_err(CallbackError::InvalidCode)
}

/// The parameters of a callback that mean something to us; an empty one counts as absent.
#[derive(Default)]
struct Parameters<'q> {
    code: Option<Cow<'q, str>>,
    state: Option<Cow<'q, str>>,
    error: Option<Cow<'q, str>>,
    error_description: Option<Cow<'q, str>>,
    error_uri: Option<Cow<'q, str>>,
}

impl<'q> Parameters<'q> {
    fn read(query: &'q str) -> Result<Self, CallbackError> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let (name, place) = match &*name {
                "code" => ("code", &mut parameters.code),
                "state" => ("state", &mut parameters.state),
                "error" => ("error", &mut parameters.error),
                "error_description" => ("error_description", &mut parameters.error_description),
                "error_uri" => ("error_uri", &mut parameters.error_uri),
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(CallbackError::Duplicate(name));
            }
        }
        for place in [
            &mut parameters.code,
            &mut parameters.state,
            &mut parameters.error,
            &mut parameters.error_description,
            &mut parameters.error_uri,
        ] {
            place.take_if(|value| value.is_empty());
        }
        Ok(parameters)
    }

    fn are_absent(&self) -> bool {
        self.code.is_none() && self.state.is_none() && self.error.is_none()
    }
}

/// What was decoded is wiped; what was not is the caller's query.
impl Drop for Parameters<'_> {
    fn drop(&mut self) {
        for place in [&mut self.code, &mut self.state] {
            if let Some(Cow::Owned(text)) = place {
                text.zeroize();
            }
        }
    }
}

/// Why a callback gave no code. No request was made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallbackError {
    /// The named parameter stands in the query more than once (RFC 6749 §3.1 forbids it).
    Duplicate(&'static str),
    /// The query has neither a code nor an error: it is no callback of an authorization.
    NothingThere,
    /// The state is absent or another session's: the callback may be forged (RFC 6749 §10.12), and
    /// nothing in it is to be trusted.
    StateMismatch,
    /// The user, or the service, refused (RFC 6749 §4.1.2.1).
    Denied(Box<Denial>),
    /// The state is right, but the code cannot be one.
    InvalidCode(InvalidCode),
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(
                f,
                "the callback carries `{name}` more than once: refuse it, and start the \
                 authorization again"
            ),
            Self::NothingThere => f.write_str(
                "the callback carries neither a code nor an error: check that this is the query \
                 of the callback's URL",
            ),
            Self::StateMismatch => f.write_str(
                "the callback's state is not this session's: refuse it, and start the \
                 authorization again",
            ),
            Self::Denied(denial) => denial.fmt(f),
            Self::InvalidCode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CallbackError {}

/// A refusal that the callback brought back (RFC 6749 §4.1.2.1).
///
/// Its texts come from the query, so from anybody who can make the browser open a URL with the
/// right state; they are cut to a length, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Denial {
    /// What was refused: `access_denied` if the user said no.
    pub code: ErrorCode,
    /// The refusal in words, for the developer.
    pub description: Option<String>,
    /// A page that explains the refusal, as it was sent: not checked to be a URI.
    pub uri: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the authorization was refused: {}", self.code)?;
        if let Some(description) = &self.description {
            write!(f, " ({description})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::{
        format,
        string::{String, ToString},
    };

    use super::*;

    fn outcome(query: &str) -> String {
        let state = State::from_stored("900e06e2").unwrap();
        match check(query, &state) {
            Ok(code) => format!("code {} state {}", code.expose(), code.state().as_str()),
            Err(error) => error.to_string(),
        }
    }

    const NOTHING: &str = "the callback carries neither a code nor an error: check that this is \
                           the query of the callback's URL";
    const MISMATCH: &str = "the callback's state is not this session's: refuse it, and start the \
                            authorization again";
    const INVALID: &str = "an authorization code must be 1 to 1024 visible ASCII characters";

    #[test]
    fn a_query_is_a_code_or_a_refusal() {
        for (query, expected) in [
            (
                "code=1b0d28d90c86c141&state=900e06e2",
                "code 1b0d28d90c86c141 state 900e06e2",
            ),
            (
                "state=900e06e2&x=1&x=2&code=a%2Bb",
                "code a+b state 900e06e2",
            ),
            ("", NOTHING),
            ("a=b", NOTHING),
            ("code=&state=", NOTHING),
            ("error_description=x", NOTHING),
            ("state=900e06e2", NOTHING),
            ("state=900e06e2&code=", NOTHING),
            ("code=abc", MISMATCH),
            ("code=abc&state=", MISMATCH),
            ("code=abc&state=900e06e3", MISMATCH),
            ("error=access_denied&state=other", MISMATCH),
            ("error=access_denied", MISMATCH),
            ("code=a+b&state=900e06e2", INVALID),
            ("code=%C3%A9&state=900e06e2", INVALID),
            ("code=a%0D%0A&state=900e06e2", INVALID),
            ("code=%FF&state=900e06e2", INVALID),
            (
                "error=access_denied&state=900e06e2",
                "the authorization was refused: access_denied",
            ),
            (
                "error=access_denied&error_description=The+user+said%0Ano&state=900e06e2",
                "the authorization was refused: access_denied (The user said no)",
            ),
            (
                "error=%1b[2J900e06e2&state=900e06e2&code=abc",
                "the authorization was refused:  [2J[redacted]",
            ),
        ] {
            assert_eq!(outcome(query), expected, "{query}");
        }
        let long = format!("code={}&state=900e06e2", "x".repeat(1025));
        assert_eq!(outcome(&long), INVALID);
    }

    #[test]
    fn a_duplicate_is_refused_before_anything_else() {
        for name in ["code", "state", "error", "error_description", "error_uri"] {
            for query in [
                format!("{name}=a&{name}=a"),
                format!("{name}=&code=x&state=900e06e2&{name}=&{name}=b"),
            ] {
                let expected = format!(
                    "the callback carries `{name}` more than once: refuse it, and start the \
                     authorization again"
                );
                assert_eq!(outcome(&query), expected, "{query}");
            }
        }
    }

    #[test]
    fn a_code_is_not_shown() {
        let code = AuthorizationCode::new("1b0d", State::from_stored("9").unwrap()).unwrap();
        assert_eq!(
            format!("{code:?}"),
            "AuthorizationCode { code: [redacted], state: State([redacted]) }"
        );
    }
}
