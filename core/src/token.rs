//! The tokens that the service gives.

use core::fmt;

use http::{HeaderValue, Request, header};

use crate::secret::{self, Secret};

/// An access token or a refresh token: visible ASCII without spaces, so that it fits into a header
/// (the grammar of `access_token` in RFC 6749 appendix A.12 without the space, which no bearer
/// header can carry).
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
    /// Takes a token that was stored earlier.
    ///
    /// # Errors
    /// [`InvalidToken`] if it is empty or has a character that is not visible ASCII.
    pub fn new(value: &str) -> Result<Self, InvalidToken> {
        if secret::is_visible_ascii(value) {
            Ok(Self(Secret::new(value)))
        } else {
            Err(InvalidToken(()))
        }
    }

    /// The token itself, for a header or a store. What the caller copies is the caller's to wipe.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The value of an `Authorization` header that carries this token (RFC 6750 §2.1), marked
    /// sensitive.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        secret::authorization("Bearer ", &self.0)
    }

    /// Puts this token into a request, as its `Authorization` header, in the place of one that is
    /// there.
    #[must_use]
    pub fn authorize<B>(&self, mut request: Request<B>) -> Request<B> {
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.bearer());
        request
    }
}

/// A string that cannot be a token: empty, or with a space, control or non-ASCII character.
///
/// The string itself is not kept.
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
    fn tokens_are_visible_ascii() {
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
    fn a_bearer_header_is_sensitive() {
        let header = Token::new("t0ken").unwrap().bearer();
        assert_eq!(header, "Bearer t0ken");
        assert!(header.is_sensitive());
    }
}
