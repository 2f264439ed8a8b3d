//! Access tokens and refresh tokens.

use core::{fmt, str::FromStr};

use http::{HeaderValue, Request, header};

use crate::secret::{self, Secret};

/// An access token or a refresh token: one or more visible ASCII characters.
///
/// This is the grammar of `access_token` in RFC 6749 appendix A.12 without the space, which a
/// bearer header cannot contain.
///
/// `Debug` shows `[redacted]`, there is no `Display`, `==` takes constant time, and the buffer is
/// wiped on drop.
///
/// ```
/// use dropbox_sign_oauth::Token;
///
/// let token = Token::new("NWNiOTMxOGFkOGVjMDhhNTAxZN2NkNjgxMjMwOWJiYTEzZTBmZGUzMjMThhMzYyMzc=")?;
/// assert_eq!(format!("{token:?}"), "Token([redacted])");
/// assert!(token.bearer().is_sensitive());
/// # Ok::<(), dropbox_sign_oauth::InvalidToken>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token(Secret);

impl Token {
    /// Returns the token with this value.
    ///
    /// # Errors
    /// [`InvalidToken`] if the value is empty or has a character that is not visible ASCII.
    pub fn new(value: &str) -> Result<Self, InvalidToken> {
        if secret::is_visible_ascii(value) {
            Ok(Self(Secret::new(value)))
        } else {
            Err(InvalidToken(()))
        }
    }

    /// Returns the token in plain text, for a header or a store. Copies are not wiped.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the value of an `Authorization` header with this token (RFC 6750 §2.1), marked
    /// sensitive.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        secret::authorization("Bearer ", &self.0)
    }

    /// Sets the `Authorization` header of a request to this token.
    #[must_use]
    pub fn authorize<B>(&self, mut request: Request<B>) -> Request<B> {
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.bearer());
        request
    }
}

/// As [`Token::new`].
impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(value: &str) -> Result<Self, InvalidToken> {
        Self::new(value)
    }
}

/// The error for a string that is not a valid token. It does not contain the string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidToken(());

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token must be one or more visible ASCII characters without spaces")
    }
}

impl core::error::Error for InvalidToken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_visible_ascii() {
        for (value, accepted) in [
            ("a", true),
            ("!~", true),
            ("", false),
            ("a b", false),
            ("a\n", false),
            ("a\u{7f}", false),
            ("é", false),
        ] {
            assert_eq!(Token::new(value).is_ok(), accepted, "{value:?}");
        }
    }

    #[test]
    fn marks_bearer_headers_sensitive() {
        let header = Token::new("t0ken").unwrap().bearer();
        assert_eq!(header, "Bearer t0ken");
        assert!(header.is_sensitive());
    }
}
