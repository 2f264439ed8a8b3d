//! Checks the callback: the query with which the user's browser returns from the authorize page.
//!
//! Source: RFC 6749 §4.1.2 and §4.1.2.1.

use alloc::{borrow::Cow, boxed::Box, string::String};
use core::fmt;

use zeroize::Zeroize;

use crate::{
    remedy::{Remedy, remedy_of},
    response::{error_code::ErrorCode, redact::Redactor},
    secret::{InvalidCredential, Secret},
    state::State,
};

/// A `code` from a checked callback, to be exchanged for tokens once.
///
/// It is not `Clone`, and [`App::generate`](crate::App::generate) consumes it: the compiler
/// prevents a second exchange. `Debug` shows `[redacted]`, and the buffer is wiped on drop.
#[derive(Debug)]
pub struct AuthorizationCode {
    code: Secret,
    state: State,
}

impl AuthorizationCode {
    /// Returns the code of a callback that was checked elsewhere, for example by a web framework's
    /// OAuth support. `state` is the state of the callback. The caller must have compared it with
    /// the state of the user's browser session.
    ///
    /// # Errors
    /// [`InvalidCredential`] if the code is not 1 to 1024 visible ASCII characters.
    pub fn new(code: &str, state: State) -> Result<Self, InvalidCredential> {
        let code = Secret::credential(code, "authorization code")?;
        Ok(Self { code, state })
    }

    pub(crate) fn expose(&self) -> &str {
        self.code.expose()
    }

    /// Returns the state of the login that the code belongs to.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}

/// Checks the query of a callback against the state of the user's browser session.
pub(crate) fn check(query: &str, expected: &State) -> Result<AuthorizationCode, CallbackError> {
    let parameters = Parameters::parse(query.strip_prefix('?').unwrap_or(query))?;
    let [code, state, error, description, uri] =
        parameters.0.each_ref().map(|value| value.as_deref().filter(|value| !value.is_empty()));
    if code.or(state).or(error).is_none() {
        return Err(CallbackError::MissingParameters);
    }
    if !expected.matches(state.ok_or(CallbackError::MissingState)?) {
        return Err(CallbackError::StateMismatch);
    }
    if let Some(error) = error {
        let secrets = [expected.as_str(), code.unwrap_or_default()];
        let redactor = Redactor::new(&secrets);
        return Err(CallbackError::Denied(Box::new(Denial {
            code: redactor.code(error),
            description: description.map(|text| redactor.redact(text)),
            uri: uri.map(|text| redactor.redact(text)),
        })));
    }
    let code = code.ok_or(CallbackError::MissingParameters)?;
    AuthorizationCode::new(code, expected.clone()).map_err(CallbackError::InvalidCode)
}

/// The parameters of a callback. The first two are secret.
const PARAMETERS: [&str; 5] = ["code", "state", "error", "error_description", "error_uri"];

/// The values of the [`PARAMETERS`].
#[derive(Default)]
struct Parameters<'q>([Option<Cow<'q, str>>; PARAMETERS.len()]);

impl<'q> Parameters<'q> {
    fn parse(query: &'q str) -> Result<Self, CallbackError> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let mut known = PARAMETERS.iter().zip(&mut parameters.0);
            if let Some((known, parameter)) = known.find(|(known, _)| **known == name) {
                if parameter.replace(value).is_some() {
                    return Err(CallbackError::Duplicate(known));
                }
            }
        }
        Ok(parameters)
    }
}

/// Wipes the decoded values of secrets. Values that needed no decoding belong to the caller.
impl Drop for Parameters<'_> {
    fn drop(&mut self) {
        for parameter in self.0.iter_mut().take(2) {
            if let Some(Cow::Owned(text)) = parameter {
                text.zeroize();
            }
        }
    }
}

/// Why a callback has no usable code. No request was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallbackError {
    /// The query has this parameter more than once, which RFC 6749 §3.1 forbids.
    Duplicate(&'static str),
    /// The query has neither a code nor an error: it does not come from the authorize page.
    MissingParameters,
    /// The query has no state.
    MissingState,
    /// The state does not equal that of the user's browser session. The callback may be forged
    /// (RFC 6749 §10.12).
    StateMismatch,
    /// The user or the service denied the authorization (RFC 6749 §4.1.2.1).
    Denied(Box<Denial>),
    /// The state matches, but the code is invalid.
    InvalidCode(InvalidCredential),
}

impl CallbackError {
    /// Returns what a program can do about this error.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        use ErrorCode as C;
        let Self::Denied(denial) = self else {
            return Remedy::StartOver;
        };
        match denial.code {
            C::UnauthorizedClient
            | C::InvalidRequest
            | C::InvalidScope
            | C::UnsupportedResponseType => Remedy::FixConfiguration,
            ref code if code.is_temporary() => Remedy::retry(None),
            _ => Remedy::StartOver,
        }
    }
}

remedy_of!(CallbackError);

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(f, "duplicate parameter `{name}` in the callback"),
            Self::MissingParameters => f.write_str("the callback has neither a code nor an error"),
            Self::MissingState => f.write_str("the callback has no state"),
            Self::StateMismatch => f.write_str("the state of the callback does not match"),
            Self::Denied(denial) => denial.fmt(f),
            Self::InvalidCode(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CallbackError {}

/// A denied authorization (RFC 6749 §4.1.2.1).
///
/// The texts come from the query of the callback and are untrusted. They are truncated to 512
/// characters, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Denial {
    /// The error code: `access_denied` if the user denied the authorization.
    pub code: ErrorCode,
    /// An explanation for the developer.
    pub description: Option<String>,
    /// A page that explains the denial. Not checked to be a URI.
    pub uri: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the authorization was denied: {}", self.code)?;
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

    const MISSING: &str = "the callback has neither a code nor an error";
    const NO_STATE: &str = "the callback has no state";
    const MISMATCH: &str = "the state of the callback does not match";
    const INVALID: &str = "the authorization code must be 1 to 1024 visible ASCII characters \
                           without spaces or line breaks";

    #[test]
    fn returns_the_code_or_states_the_problem() {
        for (query, expected) in [
            ("code=1b0d28d90c86c141&state=900e06e2", "code 1b0d28d90c86c141 state 900e06e2"),
            ("state=900e06e2&x=1&x=2&code=a%2Bb", "code a+b state 900e06e2"),
            ("?code=1b0d28d90c86c141&state=900e06e2", "code 1b0d28d90c86c141 state 900e06e2"),
            ("??code=abc&state=900e06e2", MISSING),
            ("", MISSING),
            ("?", MISSING),
            ("a=b", MISSING),
            ("code=&state=", MISSING),
            ("error_description=x", MISSING),
            ("state=900e06e2", MISSING),
            ("state=900e06e2&code=", MISSING),
            ("code=abc", NO_STATE),
            ("code=abc&state=", NO_STATE),
            ("code=abc&state=900e06e3", MISMATCH),
            ("error=access_denied&state=other", MISMATCH),
            ("error=access_denied", NO_STATE),
            ("code=a+b&state=900e06e2", INVALID),
            ("code=%C3%A9&state=900e06e2", INVALID),
            ("code=a%0D%0A&state=900e06e2", INVALID),
            ("code=%FF&state=900e06e2", INVALID),
            ("error=access_denied&state=900e06e2", "the authorization was denied: access_denied"),
            (
                "error=access_denied&error_description=The+user+said%0Ano&state=900e06e2",
                "the authorization was denied: access_denied (The user said no)",
            ),
            (
                "error=access_denied&state=900e06e2&code=a",
                "the authorization was denied: access_denied",
            ),
            (
                "error=%1b[2J900e06e2&state=900e06e2&code=abc",
                "the authorization was denied:  [2J[redacted]",
            ),
        ] {
            assert_eq!(outcome(query), expected, "{query}");
        }
        let long = format!("code={}&state=900e06e2", "x".repeat(1025));
        assert_eq!(outcome(&long), INVALID);
    }

    #[test]
    fn rejects_duplicates_before_anything_else() {
        for name in ["code", "state", "error", "error_description", "error_uri"] {
            for query in [
                format!("{name}=a&{name}=a"),
                format!("{name}=&code=x&state=900e06e2&{name}=&{name}=b"),
            ] {
                let expected = format!("duplicate parameter `{name}` in the callback");
                assert_eq!(outcome(&query), expected, "{query}");
            }
        }
    }
}
