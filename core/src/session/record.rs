//! The stored record of a session.

use alloc::string::String;

use crate::{
    response::problem::Problem,
    stored::{self, InvalidRecord, Members, Stored},
    time::UnixTime,
    token_set::TokenSet,
};

/// The stored record of a session: its tokens, and which process may refresh them, and when.
///
/// A store keeps one record for each session. It replaces a record by *compare and swap* on its
/// [`version`](Self::version).
///
/// ```
/// use dropbox_sign_oauth::session::Record;
///
/// let stored = r#"{"format":2,"version":1700000000,"grant":5,"replaced":null,"authorized_at":1700000000,"refreshed_at":null,"refresh":"on_rejection","at":null,"claim":null,"failures":0,"rejections":0,"access_token":"NWNi","refresh_token":"hNTI","expires_at":null}"#;
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

/// A [`Record`] without its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Content {
    /// The random id of the user's authorization that the tokens belong to.
    pub(super) grant: u64,
    /// The id of the authorization that this one replaced.
    pub(super) replaced: Option<u64>,
    /// When the user authorized, by the clock of the process that stored it.
    pub(super) authorized_at: UnixTime,
    /// When the tokens were last refreshed, by the clock of the process that refreshed them.
    pub(super) refreshed_at: Option<UnixTime>,
    pub(super) tokens: TokenSet,
    pub(super) refresh: RefreshState,
    /// The number of failed refreshes since the last success.
    pub(super) failures: u32,
    /// The number of failures in a row with which the server rejected the refresh token.
    pub(super) rejections: u32,
}

/// Which process may refresh the tokens of a [`Record`], and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RefreshState {
    /// Any process, from this time on.
    Due(UnixTime),
    /// Any process, once the server rejects the access token. Its lifetime is unknown.
    OnRejection,
    /// The process that claimed the refresh.
    InProgress {
        /// When the claim expires, by the clock of that process.
        until: UnixTime,
        /// The random id of the claim.
        claim: u64,
    },
    /// Any process, from this time on, because a refresh failed.
    Paused(UnixTime),
    /// No process: the server rejected the refresh token (`invalid_grant`).
    Revoked,
}

/// The version of the stored form.
const FORMAT: u64 = 2;

/// The members of the stored form, in their order.
const MEMBERS: [&str; 14] = [
    "format",
    "version",
    "grant",
    "replaced",
    "authorized_at",
    "refreshed_at",
    "refresh",
    "at",
    "claim",
    "failures",
    "rejections",
    "access_token",
    "refresh_token",
    "expires_at",
];

impl Content {
    /// Orders authorizations: the larger one is newer. Of two in one second, all processes choose
    /// the same one.
    pub(super) fn order(&self) -> (UnixTime, u64) {
        (self.authorized_at, self.grant)
    }
}

impl Record {
    /// Returns the version, which grows by one with each change. The first version of a session is
    /// the Unix time at which it was stored.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the tokens.
    #[must_use]
    pub fn tokens(&self) -> &TokenSet {
        &self.content.tokens
    }

    /// Returns which process may refresh the tokens, and when.
    #[must_use]
    pub fn refresh(&self) -> RefreshState {
        self.content.refresh
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// The record that follows `previous`, or the first one.
    ///
    /// The first version is the time, so that a session that was removed and stored again does not
    /// repeat versions that another process still expects.
    pub(super) fn following(previous: Option<&Self>, now: UnixTime, content: Content) -> Self {
        let version = match previous {
            Some(previous) => previous.version.saturating_add(1),
            None => now.as_secs(),
        };
        Self { version, content }
    }

    /// Returns the stored form: a JSON object in one line, with the tokens in plain text. Copies
    /// are not wiped.
    #[must_use]
    pub fn to_exposed_json(&self) -> String {
        let Self { version, content } = self;
        let tokens = &content.tokens;
        let (refresh, at, claim) = match content.refresh {
            RefreshState::Due(at) => ("due", Some(at), None),
            RefreshState::OnRejection => ("on_rejection", None, None),
            RefreshState::InProgress { until, claim } => ("in_progress", Some(until), Some(claim)),
            RefreshState::Paused(until) => ("paused", Some(until), None),
            RefreshState::Revoked => ("revoked", None, None),
        };
        stored::to_json(
            &MEMBERS,
            [
                FORMAT.into(),
                (*version).into(),
                content.grant.into(),
                content.replaced.into(),
                content.authorized_at.into(),
                content.refreshed_at.into(),
                Stored::Text(refresh),
                at.into(),
                claim.into(),
                u64::from(content.failures).into(),
                u64::from(content.rejections).into(),
                (&tokens.access_token).into(),
                tokens.refresh_token.as_ref().into(),
                tokens.expires_at.into(),
            ],
        )
    }

    /// Parses the stored form.
    ///
    /// # Errors
    /// [`InvalidRecord`] if the text is truncated, damaged or of another format. A store leaves
    /// such a text as it is: the tokens may be recovered by hand.
    pub fn from_json(text: &str) -> Result<Self, InvalidRecord> {
        let members = Members::read(text, &MEMBERS, FORMAT)?;
        let refresh = match &*members.text("refresh")? {
            "due" => RefreshState::Due(members.time("at")?),
            "on_rejection" => RefreshState::OnRejection,
            "in_progress" => RefreshState::InProgress {
                until: members.time("at")?,
                claim: members.number("claim")?,
            },
            "paused" => RefreshState::Paused(members.time("at")?),
            "revoked" => RefreshState::Revoked,
            _ => return Err(Problem::InvalidMember("refresh").into()),
        };
        // Databases store the version as a signed integer. No session has as many changes.
        let version = members.number("version")?;
        if i64::try_from(version).is_err() {
            return Err(Problem::InvalidMember("version").into());
        }
        let count =
            |name| Ok::<_, Problem>(u32::try_from(members.number(name)?).unwrap_or(u32::MAX));
        Ok(Self {
            version,
            content: Content {
                grant: members.number("grant")?,
                replaced: members.optional(Members::number, "replaced")?,
                authorized_at: members.time("authorized_at")?,
                refreshed_at: members.optional(Members::time, "refreshed_at")?,
                refresh,
                failures: count("failures")?,
                rejections: count("rejections")?,
                tokens: TokenSet::read(&members)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;
    use crate::token::Token;

    fn record(refresh: RefreshState) -> Record {
        Record {
            version: 7,
            content: Content {
                grant: u64::MAX,
                replaced: Some(3),
                authorized_at: UnixTime::from_secs(1_600_000_000),
                refreshed_at: Some(UnixTime::from_secs(1_650_000_000)),
                tokens: TokenSet {
                    access_token: Token::new(r#"a"c\c"#).unwrap(),
                    refresh_token: None,
                    expires_at: None,
                },
                refresh,
                failures: 2,
                rejections: 1,
            },
        }
    }

    #[test]
    fn round_trips_byte_for_byte() {
        let at = UnixTime::from_secs(1_700_000_000);
        let claimed = RefreshState::InProgress { until: at, claim: 9 };
        for (refresh, stored) in [
            (RefreshState::Due(at), r#""due","at":1700000000,"claim":null"#),
            (RefreshState::OnRejection, r#""on_rejection","at":null,"claim":null"#),
            (claimed, r#""in_progress","at":1700000000,"claim":9"#),
            (RefreshState::Paused(at), r#""paused","at":1700000000,"claim":null"#),
            (RefreshState::Revoked, r#""revoked","at":null,"claim":null"#),
        ] {
            let text = format!(
                r#"{{"format":2,"version":7,"grant":18446744073709551615,"replaced":3,"authorized_at":1600000000,"refreshed_at":1650000000,"refresh":{stored},"failures":2,"rejections":1,"access_token":"a\"c\\c","refresh_token":null,"expires_at":null}}"#
            );
            assert_eq!(record(refresh).to_exposed_json(), text);
            assert_eq!(Record::from_json(&text), Ok(record(refresh)));
        }
    }

    #[test]
    fn errors_state_the_fault_without_quoting() {
        let whole = record(RefreshState::OnRejection).to_exposed_json();
        for (text, message) in [
            (
                whole.replacen("\"format\":2", "\"format\":1", 1),
                "the stored record has format 1, this version reads format 2",
            ),
            (
                whole.replacen(r#"a\"c\\c"#, "a c", 1),
                "the stored record is damaged: invalid value of member `access_token`",
            ),
            (
                whole.replacen("on_rejection", "due", 1),
                "the stored record is damaged: missing member `at`",
            ),
            (
                whole.replacen(":7", ":-7", 1),
                "the stored record is damaged: invalid value of member `version`",
            ),
            (
                whole.replacen(":7", ":9223372036854775808", 1),
                "the stored record is damaged: invalid value of member `version`",
            ),
            (
                whole.replacen('{', r#"{"grant":1,"#, 1),
                "the stored record is damaged: duplicate member `grant`",
            ),
            ("[]".into(), "the stored record is damaged: not a JSON object"),
            (String::new(), "the stored record is damaged: not JSON (line 1, column 0)"),
        ] {
            assert_eq!(Record::from_json(&text).unwrap_err().to_string(), message);
        }
        for end in 0..whole.len() {
            assert!(Record::from_json(&whole[..end]).is_err(), "{end}");
        }
    }
}
