//! The tokens of one authorization, as an app stores them.

use alloc::borrow::Cow;
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
    ser::SerializeStruct,
};

use crate::{response::token_response::TokenResponse, time::UnixTime, token::Token};

/// The tokens of one authorization, as an app stores them.
///
/// A [`session`](crate::session) stores its tokens itself; this type is for apps that do not use
/// one.
///
/// ```
/// use dropbox_sign_oauth::{ExposedTokenSet, TokenSet, UnixTime};
/// # use dropbox_sign_oauth::{App, Operation, State};
/// # let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// # let state = State::random();
/// # let query = format!("code=1b0d28d90c86c141&state={}", state.as_str());
/// # let operation = app.generate(app.callback(&query, &state)?);
/// # let response = http::Response::new(r#"{"access_token":"NWNi","expires_in":86400}"#);
/// # let response = operation.parse(response)?;
/// let tokens = TokenSet::new(response, UnixTime::now());
///
/// // Only `ExposedTokenSet` serializes the secrets.
/// let stored = serde_json::to_string(&ExposedTokenSet::from(tokens.clone()))?;
/// let loaded: ExposedTokenSet = serde_json::from_str(&stored)?;
/// assert_eq!(TokenSet::from(loaded), tokens);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenSet {
    /// The token for the API's `Authorization: Bearer` header.
    pub access_token: Token,
    /// The token for the next refresh, if the service issued one.
    pub refresh_token: Option<Token>,
    /// When the access token expires, if known.
    pub expires_at: Option<UnixTime>,
}

impl TokenSet {
    /// Returns the tokens of a response that was received at `received_at`. The time of expiry is
    /// in whole seconds, as in the serialized form.
    #[must_use]
    pub fn new(response: TokenResponse, received_at: UnixTime) -> Self {
        Self {
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            expires_at: response
                .expiry
                .map(|expiry| UnixTime::from_secs(expiry.at(received_at).as_secs())),
        }
    }
}

/// A [`TokenSet`] that serializes its tokens in plain text, for a trusted store.
///
/// The serialized form is a map of `format` (1), `access_token`, `refresh_token` and `expires_at`
/// (Unix seconds); the last two may be null. Deserializing checks the format and the tokens, and
/// its errors do not quote them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExposedTokenSet(TokenSet);

impl From<TokenSet> for ExposedTokenSet {
    fn from(tokens: TokenSet) -> Self {
        Self(tokens)
    }
}

impl From<ExposedTokenSet> for TokenSet {
    fn from(exposed: ExposedTokenSet) -> Self {
        exposed.0
    }
}

/// The members of the serialized form, in their order.
const MEMBERS: &[&str] = &["format", "access_token", "refresh_token", "expires_at"];

impl Serialize for ExposedTokenSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tokens = &self.0;
        let mut map = serializer.serialize_struct("ExposedTokenSet", MEMBERS.len())?;
        map.serialize_field("format", &FORMAT)?;
        map.serialize_field("access_token", tokens.access_token.expose())?;
        let refresh_token = tokens.refresh_token.as_ref().map(Token::expose);
        map.serialize_field("refresh_token", &refresh_token)?;
        let expires_at = tokens.expires_at.map(UnixTime::as_secs);
        map.serialize_field("expires_at", &expires_at)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for ExposedTokenSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("ExposedTokenSet", MEMBERS, TokenSetVisitor)
    }
}

struct TokenSetVisitor;

impl<'de> Visitor<'de> for TokenSetVisitor {
    type Value = ExposedTokenSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExposedTokenSet, A::Error> {
        let mut format = None;
        let mut access_token = None;
        let mut refresh_token = None;
        let mut expires_at = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            match &*name {
                "format" => format = Some(map.next_value::<Format>()?),
                "access_token" => access_token = Some(map.next_value::<StoredToken>()?.0),
                "refresh_token" => refresh_token = map.next_value::<Option<StoredToken>>()?,
                "expires_at" => expires_at = map.next_value::<Option<u64>>()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        format.ok_or_else(|| A::Error::missing_field("format"))?;
        Ok(ExposedTokenSet(TokenSet {
            access_token: access_token.ok_or_else(|| A::Error::missing_field("access_token"))?,
            refresh_token: refresh_token.map(|token| token.0),
            expires_at: expires_at.map(UnixTime::from_secs),
        }))
    }
}

/// The version of the serialized form.
const FORMAT: u32 = 1;

/// A deserialized format number that equals [`FORMAT`].
struct Format;

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            other => {
                Err(D::Error::custom(format_args!("unsupported format {other}, expected {FORMAT}")))
            }
        }
    }
}

/// A deserialized token. Its errors do not quote it.
struct StoredToken(Token);

impl<'de> Deserialize<'de> for StoredToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TokenVisitor;

        impl Visitor<'_> for TokenVisitor {
            type Value = StoredToken;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a token")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StoredToken, E> {
                Token::new(text).map(StoredToken).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TokenVisitor)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    #[test]
    fn serializes_byte_for_byte() {
        let token = |text| Token::new(text).unwrap();
        let full = TokenSet {
            access_token: token("acc"),
            refresh_token: Some(token("ref")),
            expires_at: Some(UnixTime::from_secs(1_700_086_400)),
        };
        let bare = TokenSet { refresh_token: None, expires_at: None, ..full.clone() };
        for (tokens, stored) in [
            (
                full,
                r#"{"format":1,"access_token":"acc","refresh_token":"ref","expires_at":1700086400}"#,
            ),
            (bare, r#"{"format":1,"access_token":"acc","refresh_token":null,"expires_at":null}"#),
        ] {
            let exposed = ExposedTokenSet::from(tokens.clone());
            assert_eq!(serde_json::to_string(&exposed).unwrap(), stored);
            let loaded: ExposedTokenSet = serde_json::from_str(stored).unwrap();
            assert_eq!(TokenSet::from(loaded), tokens);
            assert!(!format!("{exposed:?} {tokens:?}").contains("acc\""));
        }
    }

    #[test]
    fn errors_state_the_problem() {
        for (stored, message) in [
            (
                r#"{"format":2,"access_token":"acc"}"#,
                "unsupported format 2, expected 1 at line 1 column 11",
            ),
            (
                r#"{"format":1,"access_token":"a c"}"#,
                "a token must be one or more visible ASCII characters without spaces at line 1 \
                 column 32",
            ),
            (r#"{"format":1}"#, "missing field `access_token` at line 1 column 12"),
            (r#"{"format":1,"acc"#, "EOF while parsing a string at line 1 column 16"),
        ] {
            let error = serde_json::from_str::<ExposedTokenSet>(stored).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
