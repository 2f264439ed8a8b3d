//! Strings that must not be seen: redacted when shown, compared in constant time, wiped on drop.

use alloc::{boxed::Box, string::String};
use core::fmt;

use http::HeaderValue;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What stands in the place of a secret wherever one of this crate's types is shown.
pub(crate) const REDACTED: &str = "[redacted]";

/// The longest client id, secret, code or state that is accepted, in bytes.
///
/// The vendor's are 64 at most; the bound keeps a hostile callback from growing our requests.
pub(crate) const MAX_CREDENTIAL_LEN: usize = 1024;

/// Whether `value` consists of visible ASCII characters (0x21 to 0x7E) alone, and of at least one.
pub(crate) fn is_visible_ascii(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether `value` can stand for a client id, secret, code or state.
pub(crate) fn is_credential(value: &str) -> bool {
    value.len() <= MAX_CREDENTIAL_LEN && is_visible_ascii(value)
}

/// A string that is never shown, compares in constant time, and is wiped on drop.
///
/// Boxed at its exact size, so that no growth leaves a copy behind.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<Box<str>>);

impl Secret {
    pub(crate) fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose()
            .as_bytes()
            .ct_eq(other.expose().as_bytes())
            .into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

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
        if is_visible_ascii(value) {
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
        authorization("Bearer ", &self.0)
    }
}

/// The value of an `Authorization` header: a scheme and credentials of visible ASCII, marked
/// sensitive.
#[expect(
    clippy::expect_used,
    reason = "every `Secret` that reaches a header was checked to be visible ASCII"
)]
pub(crate) fn authorization(scheme: &str, credentials: &Secret) -> HeaderValue {
    let value = [scheme, credentials.expose()].concat();
    let mut value = HeaderValue::try_from(value).expect("visible ASCII");
    value.set_sensitive(true);
    value
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

/// The longest text of a server that an error keeps, in characters: enough for a sentence in a log
/// line.
const MAX_TEXT_CHARS: usize = 512;

/// Makes a server's text fit to be kept and shown: secrets that it echoes are replaced, characters
/// that move the cursor or reorder a line become spaces, and the rest is cut at a length for a log.
pub(crate) fn presentable(text: &str, secrets: &[&str]) -> String {
    let mut secrets: alloc::vec::Vec<&str> =
        secrets.iter().copied().filter(|s| !s.is_empty()).collect();
    // The longest first: a secret inside another one must not break the longer match up.
    secrets.sort_unstable_by_key(|secret| core::cmp::Reverse(secret.len()));
    let mut text = String::from(text);
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, REDACTED);
        }
    }
    text.chars()
        .map(|c| if is_unprintable(c) { ' ' } else { c })
        .take(MAX_TEXT_CHARS)
        .collect()
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

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

    #[test]
    fn text_of_a_server_is_made_presentable() {
        for (text, secrets, shown) in [
            ("plain", &[][..], "plain"),
            ("your key s3cret!", &["s3cret"], "your key [redacted]!"),
            ("abcd", &["bc", "abcd"], "[redacted]"),
            ("nothing", &[""], "nothing"),
            ("two\r\nlines\u{1b}[2J", &[], "two  lines [2J"),
            ("\u{202e}gpj", &[], " gpj"),
        ] {
            assert_eq!(presentable(text, secrets), shown);
        }
        assert_eq!(presentable(&"é".repeat(600), &[]).chars().count(), 512);
    }
}
