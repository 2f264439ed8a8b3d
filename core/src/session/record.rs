//! What a store keeps of a session.

use alloc::{borrow::ToOwned, format, string::String};
use core::fmt;

use zeroize::Zeroizing;

use crate::{
    json::{self, Value},
    malformed::Problem,
    time::UnixTime,
    token_set::{ExposedTokenSet, TokenSet},
};

/// What a store keeps of a session: its tokens, and who may refresh them when.
///
/// A store keeps one for each session, and replaces it by the next alone if nobody else has: by
/// *compare and swap* on [`version`](Self::version).
///
/// ```
/// use dropbox_sign_oauth::session::Record;
///
/// let stored = r#"{"format":1,"version":1700000000,"grant":5,"refresh":"on_refusal","at":null,"failures":0,"tokens":{"format":1,"access_token":"NWNi","refresh_token":"hNTI","expires_at":null}}"#;
/// let record = Record::from_json(stored)?;
/// assert_eq!(record.version(), 1_700_000_000);
/// assert_eq!(record.to_exposed_json(), stored);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    version: u64,
    content: Content,
}

/// What a [`Record`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Content {
    /// Which authorization of the user the tokens come of, by a number chosen at random.
    pub(super) grant: u64,
    pub(super) tokens: TokenSet,
    pub(super) refresh: RefreshState,
    /// How many refreshes have failed since the last that did not.
    pub(super) failures: u32,
}

/// Who may refresh the tokens of a [`Record`], and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RefreshState {
    /// Anybody, from this time on.
    Due(UnixTime),
    /// Anybody, once the service refuses the access token, whose lifetime is not known.
    OnRefusal,
    /// Somebody has claimed it, and nobody else begins before this time.
    UnderWay(UnixTime),
    /// Anybody, from this time on, because it failed.
    Paused(UnixTime),
    /// Nobody: the service refused the refresh token.
    GrantGone,
}

/// The format of the stored text.
const FORMAT: u64 = 1;

/// The members of the stored text, in their order.
const MEMBERS: [&str; 7] = [
    "format", "version", "grant", "refresh", "at", "failures", "tokens",
];

impl Record {
    /// Which state of the session it is: one more with each change. The first is the Unix time at
    /// which the user authorized.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> &TokenSet {
        &self.content.tokens
    }

    /// Who may refresh them, and when.
    #[must_use]
    pub fn refresh(&self) -> RefreshState {
        self.content.refresh
    }

    /// How many refreshes have failed since the last that did not.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.content.failures
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// The record that follows on `previous`, or the first one.
    ///
    /// The first version is the time, so that a session that was removed and begun anew does not
    /// come to the same versions again, which would deceive whoever compares them.
    pub(super) fn following(previous: Option<&Self>, now: UnixTime, content: Content) -> Self {
        let version = match previous {
            Some(previous) => previous.version.saturating_add(1),
            None => now.as_secs(),
        };
        Self { version, content }
    }

    /// The stored form: a JSON object in one line, with the tokens in plain text. What the caller
    /// copies is the caller's to wipe.
    #[must_use]
    pub fn to_exposed_json(&self) -> String {
        let (refresh, at) = match self.content.refresh {
            RefreshState::Due(at) => ("due", Some(at)),
            RefreshState::OnRefusal => ("on_refusal", None),
            RefreshState::UnderWay(until) => ("under_way", Some(until)),
            RefreshState::Paused(until) => ("paused", Some(until)),
            RefreshState::GrantGone => ("grant_gone", None),
        };
        let at = at.map_or_else(|| "null".to_owned(), |at| format!("{}", at.as_secs()));
        // A map of strings and numbers has nothing that could not be written.
        let tokens = serde_json::to_string(&ExposedTokenSet::from(self.content.tokens.clone()));
        let tokens = Zeroizing::new(tokens.unwrap_or_default());
        format!(
            r#"{{"format":{FORMAT},"version":{},"grant":{},"refresh":"{refresh}","at":{at},"failures":{},"tokens":{}}}"#,
            self.version, self.content.grant, self.content.failures, *tokens,
        )
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`InvalidRecord`] if it is truncated, damaged, or of a newer format. A store that gets it
    /// leaves what is there as it is: the tokens may still be saved by hand.
    pub fn from_json(text: &str) -> Result<Self, InvalidRecord> {
        let [format, version, grant, refresh, at, failures, tokens] = json::object(text, MEMBERS)?;
        // First of all: what follows may mean something else in another format.
        match number("format", format)? {
            FORMAT => {}
            other => return Err(InvalidRecord(Fault::OtherFormat(other))),
        }
        let at = || number("at", at).map(UnixTime::from_secs);
        let refresh = refresh.ok_or(Problem::MissingMember("refresh"))?.string();
        let refresh = match refresh.as_deref() {
            Some("due") => RefreshState::Due(at()?),
            Some("on_refusal") => RefreshState::OnRefusal,
            Some("under_way") => RefreshState::UnderWay(at()?),
            Some("paused") => RefreshState::Paused(at()?),
            Some("grant_gone") => RefreshState::GrantGone,
            _ => return Err(Problem::InvalidMember("refresh").into()),
        };
        // No more than a signed column of a database holds, and far from where counting ends.
        let version = number("version", version)?;
        if i64::try_from(version).is_err() {
            return Err(Problem::InvalidMember("version").into());
        }
        Ok(Self {
            version,
            content: Content {
                grant: number("grant", grant)?,
                tokens: token_set(tokens)?,
                refresh,
                failures: u32::try_from(number("failures", failures)?).unwrap_or(u32::MAX),
            },
        })
    }
}

fn number(name: &'static str, value: Option<Value<'_>>) -> Result<u64, Problem> {
    let value = value.ok_or(Problem::MissingMember(name))?;
    let number = value.number().and_then(|number| number.parse().ok());
    number.ok_or(Problem::InvalidMember(name))
}

fn token_set(value: Option<Value<'_>>) -> Result<TokenSet, Problem> {
    let value = value.ok_or(Problem::MissingMember("tokens"))?;
    let tokens = value
        .object()
        .and_then(|json| serde_json::from_str(json).ok());
    let tokens: ExposedTokenSet = tokens.ok_or(Problem::InvalidMember("tokens"))?;
    Ok(tokens.into())
}

/// A stored text that is not a record that this version reads. Nothing of the text is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidRecord(Fault);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Fault {
    OtherFormat(u64),
    Damaged(Problem),
}

impl From<Problem> for InvalidRecord {
    fn from(problem: Problem) -> Self {
        Self(Fault::Damaged(problem))
    }
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::OtherFormat(format) => write!(
                f,
                "the stored record has format {format}, and this library reads format {FORMAT}; \
                 use a version of the library that reads it"
            ),
            Fault::Damaged(problem) => {
                f.write_str("the stored record is damaged: ")?;
                match problem {
                    Problem::NotJson { offset } => {
                        write!(f, "it is not JSON (after {offset} bytes)")?;
                    }
                    Problem::NotAnObject => f.write_str("it is not a JSON object")?,
                    problem => problem.fmt(f)?,
                }
                f.write_str(
                    "; it is left as it is, so mend it, or remove it and let the user authorize \
                     again",
                )
            }
        }
    }
}

impl core::error::Error for InvalidRecord {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::token::Token;

    fn record(refresh: RefreshState) -> Record {
        Record {
            version: 7,
            content: Content {
                grant: 5,
                tokens: TokenSet {
                    access_token: Token::new("acc").unwrap(),
                    refresh_token: None,
                    expires_at: None,
                },
                refresh,
                failures: 2,
            },
        }
    }

    #[test]
    fn the_stored_form_byte_for_byte() {
        let at = UnixTime::from_secs(1_700_000_000);
        for (refresh, stored) in [
            (RefreshState::Due(at), r#""due","at":1700000000"#),
            (RefreshState::OnRefusal, r#""on_refusal","at":null"#),
            (RefreshState::UnderWay(at), r#""under_way","at":1700000000"#),
            (RefreshState::Paused(at), r#""paused","at":1700000000"#),
            (RefreshState::GrantGone, r#""grant_gone","at":null"#),
        ] {
            let text = format!(
                r#"{{"format":1,"version":7,"grant":5,"refresh":{stored},"failures":2,"tokens":{{"format":1,"access_token":"acc","refresh_token":null,"expires_at":null}}}}"#
            );
            assert_eq!(record(refresh).to_exposed_json(), text);
            assert_eq!(Record::from_json(&text), Ok(record(refresh)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_and_not_quoted() {
        let whole = record(RefreshState::OnRefusal).to_exposed_json();
        for (text, message) in [
            (
                whole.replacen("\"format\":1", "\"format\":2", 1),
                "the stored record has format 2, and this library reads format 1; use a version \
                 of the library that reads it",
            ),
            (
                whole.replacen("acc", "a c", 1),
                "the stored record is damaged: `tokens` has an invalid value; it is left as it \
                 is, so mend it, or remove it and let the user authorize again",
            ),
            (
                whole.replacen("on_refusal", "due", 1),
                "the stored record is damaged: `at` is missing; it is left as it is, so mend it, \
                 or remove it and let the user authorize again",
            ),
            (
                whole.replacen(":7", ":-7", 1),
                "the stored record is damaged: `version` has an invalid value; it is left as it \
                 is, so mend it, or remove it and let the user authorize again",
            ),
            (
                String::new(),
                "the stored record is damaged: it is not JSON (after 0 bytes); it is \
                 left as it is, so mend it, or remove it and let the user authorize again",
            ),
        ] {
            assert_eq!(Record::from_json(&text).unwrap_err().to_string(), message);
        }
        for end in 0..whole.len() {
            assert!(Record::from_json(&whole[..end]).is_err(), "{end}");
        }
    }
}
