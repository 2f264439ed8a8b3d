//! The tokens of one authorization, as an app stores them.

use alloc::string::String;

use crate::{
    response::{problem::Problem, token_response::TokenResponse},
    stored::{self, InvalidRecord, Members},
    time::UnixTime,
    token::Token,
};

/// The tokens of one authorization, as an app stores them.
///
/// A [`session`](crate::session) stores its tokens itself; this type is for apps that do not use
/// one.
///
/// ```
/// use dropbox_sign_oauth::{TokenSet, UnixTime};
/// # use dropbox_sign_oauth::{App, Operation, State};
/// # let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// # let state = State::random();
/// # let query = format!("code=1b0d28d90c86c141&state={}", state.as_str());
/// # let operation = app.generate(app.callback(&query, &state)?);
/// # let response = http::Response::new(r#"{"access_token":"NWNi","expires_in":86400}"#);
/// # let response = operation.parse(response)?;
/// let tokens = TokenSet::new(response, UnixTime::now());
///
/// let stored = tokens.to_exposed_json();
/// assert_eq!(TokenSet::from_json(&stored)?, tokens);
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

    /// Returns the stored form: a JSON object of `format` (1), `access_token`, `refresh_token` and
    /// `expires_at` (Unix seconds), with the tokens in plain text. Copies are not wiped.
    #[must_use]
    pub fn to_exposed_json(&self) -> String {
        let tokens = [(&self.access_token).into(), self.refresh_token.as_ref().into()];
        let [access_token, refresh_token] = tokens;
        let values = [FORMAT.into(), access_token, refresh_token, self.expires_at.into()];
        stored::to_json(&MEMBERS, values)
    }

    /// Parses the stored form.
    ///
    /// # Errors
    /// [`InvalidRecord`] if the text is truncated, damaged or of another format.
    pub fn from_json(text: &str) -> Result<Self, InvalidRecord> {
        Ok(Self::read(&Members::read(text, &MEMBERS, FORMAT)?)?)
    }

    /// Reads the tokens among the members of a stored object.
    pub(crate) fn read<const N: usize>(members: &Members<'_, N>) -> Result<Self, Problem> {
        Ok(Self {
            access_token: members.token("access_token")?,
            refresh_token: members.optional(Members::token, "refresh_token")?,
            expires_at: members.optional(Members::time, "expires_at")?,
        })
    }
}

/// The version of the stored form.
const FORMAT: u64 = 1;

/// The members of the stored form, in their order.
const MEMBERS: [&str; 4] = ["format", "access_token", "refresh_token", "expires_at"];

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn round_trips_byte_for_byte() {
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
            assert_eq!(tokens.to_exposed_json(), stored);
            assert_eq!(TokenSet::from_json(stored), Ok(tokens));
        }
    }

    #[test]
    fn errors_state_the_problem() {
        for (stored, message) in [
            (
                r#"{"format":2,"access_token":"acc"}"#,
                "the stored record has format 2, this version reads format 1",
            ),
            (
                r#"{"format":1,"access_token":"a c"}"#,
                "the stored record is damaged: invalid value of member `access_token`",
            ),
            (r#"{"format":1}"#, "the stored record is damaged: missing member `access_token`"),
        ] {
            assert_eq!(TokenSet::from_json(stored).unwrap_err().to_string(), message);
        }
    }
}
