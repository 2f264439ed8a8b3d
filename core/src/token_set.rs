//! What an application stores: tokens, and when they expire.

use alloc::borrow::Cow;
use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
    ser::SerializeStruct,
};

use crate::{time::UnixTime, token::Token, token_response::TokenResponse};

/// The tokens of one grant, as an application keeps them.
///
/// ```
/// use dropbox_sign_oauth::{ExposedTokenSet, TokenSet, UnixTime};
/// # use dropbox_sign_oauth::{App, Operation, State};
/// # let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// # let state = State::from_stored("900e06e2")?;
/// # let operation = app.generate(app.callback("code=1b0d28d90c86c141&state=900e06e2", &state)?);
/// # let response = http::Response::new(r#"{"access_token":"NWNi","expires_in":86400}"#);
/// # let reply = operation.parse(response)?;
/// # let now = UnixTime::from_secs(1_700_000_000);
/// let tokens = TokenSet::new(reply, now);
/// assert_eq!(tokens.expires_at, Some(UnixTime::from_secs(1_700_086_400)));
///
/// // The secrets leave through a type whose name says so.
/// let stored = serde_json::to_string(&ExposedTokenSet::from(tokens.clone()))?;
/// let loaded: ExposedTokenSet = serde_json::from_str(&stored)?;
/// assert_eq!(TokenSet::from(loaded), tokens);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenSet {
    /// The token for the API's `Authorization: Bearer` header.
    pub access_token: Token,
    /// The token for the next refresh, if there is one.
    pub refresh_token: Option<Token>,
    /// When the access token expires, if that is known.
    pub expires_at: Option<UnixTime>,
}

impl TokenSet {
    /// The tokens of a response that was received at `received_at`.
    #[must_use]
    pub fn new(response: TokenResponse, received_at: UnixTime) -> Self {
        Self {
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            expires_at: response.expiry.map(|expiry| expiry.at(received_at)),
        }
    }
}

/// A [`TokenSet`] whose tokens are written in plain text when it is serialized: for a store that
/// is trusted with them.
///
/// Written as a map of `format` (1), `access_token`, `refresh_token` and `expires_at` (Unix
/// seconds); the last two are null where there is none. Reading checks the format and each token.
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

/// The members of the stored form, in their order.
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

/// The format of the stored form.
const FORMAT: u32 = 1;

/// A format that was read, and is [`FORMAT`].
struct Format;

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            other => Err(D::Error::custom(format_args!(
                "the token set has format {other}, and this library reads format {FORMAT}"
            ))),
        }
    }
}

/// A token that was read; no message quotes it.
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
    fn the_stored_form_byte_for_byte() {
        let token = |text| Token::new(text).unwrap();
        let full = TokenSet {
            access_token: token("acc"),
            refresh_token: Some(token("ref")),
            expires_at: Some(UnixTime::from_secs(1_700_086_400)),
        };
        let bare = TokenSet {
            refresh_token: None,
            expires_at: None,
            ..full.clone()
        };
        for (tokens, stored) in [
            (
                full,
                r#"{"format":1,"access_token":"acc","refresh_token":"ref","expires_at":1700086400}"#,
            ),
            (
                bare,
                r#"{"format":1,"access_token":"acc","refresh_token":null,"expires_at":null}"#,
            ),
        ] {
            let exposed = ExposedTokenSet::from(tokens.clone());
            assert_eq!(serde_json::to_string(&exposed).unwrap(), stored);
            let loaded: ExposedTokenSet = serde_json::from_str(stored).unwrap();
            assert_eq!(TokenSet::from(loaded), tokens);
            assert!(!format!("{exposed:?} {tokens:?}").contains("acc\""));
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (stored, message) in [
            (
                r#"{"format":2,"access_token":"acc"}"#,
                "the token set has format 2, and this library reads format 1 at line 1 column 11",
            ),
            (
                r#"{"format":1,"access_token":"a c"}"#,
                "a token must be one or more visible ASCII characters without spaces at line 1 \
                 column 32",
            ),
            (
                r#"{"format":1}"#,
                "missing field `access_token` at line 1 column 12",
            ),
            (
                r#"{"format":1,"acc"#,
                "EOF while parsing a string at line 1 column 16",
            ),
        ] {
            let error = serde_json::from_str::<ExposedTokenSet>(stored).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
