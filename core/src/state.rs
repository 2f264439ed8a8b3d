//! The `state` that ties a callback to the browser session that began the authorization.

use core::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::secret::{self, Secret};

/// The least entropy of a state, in bytes: 128 bits, as RFC 6749 §10.10 asks (a guess succeeds
/// with a probability of at most 2^-128).
const MIN_ENTROPY: usize = 16;

/// The most, in bytes: what base64 makes of it is the longest credential.
const MAX_ENTROPY: usize = secret::MAX_CREDENTIAL_LEN / 4 * 3;

/// The `state` of one authorization (RFC 6749 §4.1.1 and §10.12): it shows that the callback
/// belongs to the user's session that was sent to the authorize page.
///
/// Make one for every authorization, keep it in the user's session, and drop it when the callback
/// was handled. `==` takes constant time, `Debug` shows `[redacted]`, and the buffer is wiped on
/// drop.
///
/// ```
/// use dropbox_sign_oauth::State;
///
/// let random = [7; 16]; // 16 bytes or more from the operating system's random source
/// let state = State::from_entropy(random);
/// let kept_in_session = state.as_str().to_owned();
/// assert_eq!(State::from_stored(&kept_in_session)?, state);
/// # Ok::<(), dropbox_sign_oauth::InvalidState>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State(Secret);

impl State {
    /// Makes a state of 16 to 768 random bytes (others do not compile), in URL-safe base64.
    #[must_use]
    pub fn from_entropy<const N: usize>(random: [u8; N]) -> Self {
        const {
            assert!(
                MIN_ENTROPY <= N && N <= MAX_ENTROPY,
                "a state needs 16 to 768 random bytes"
            );
        }
        let random = Zeroizing::new(random);
        Self(Secret::new(&Zeroizing::new(
            BASE64_URL_SAFE_NO_PAD.encode(random.as_slice()),
        )))
    }

    /// Takes the state that was stored when the user was sent away.
    ///
    /// # Errors
    /// [`InvalidState`] if it is empty, longer than 1024 bytes, or has a space, control or
    /// non-ASCII character.
    pub fn from_stored(value: &str) -> Result<Self, InvalidState> {
        if secret::is_credential(value) {
            Ok(Self(Secret::new(value)))
        } else {
            Err(InvalidState(()))
        }
    }

    /// The state as it stands in the URL, to be kept in the user's session.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }

    /// Whether `other` is this state, in constant time.
    pub(crate) fn matches(&self, other: &str) -> bool {
        use subtle::ConstantTimeEq;
        self.as_str().as_bytes().ct_eq(other.as_bytes()).into()
    }
}

/// A string that cannot be a state: empty, too long, or with a space, control or non-ASCII
/// character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidState(());

impl fmt::Display for InvalidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state must be 1 to 1024 visible ASCII characters without spaces")
    }
}

impl core::error::Error for InvalidState {}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn entropy_becomes_url_safe_text() {
        assert_eq!(
            State::from_entropy([0xff; 16]).as_str(),
            "_____________________w"
        );
        assert_eq!(State::from_entropy([0; 32]).as_str(), "A".repeat(43));
    }

    #[test]
    fn equality_is_of_the_whole_text() {
        let state = State::from_stored("900e06e2").unwrap();
        for (other, equal) in [
            ("900e06e2", true),
            ("900e06e", false),
            ("900e06e22", false),
            ("900E06E2", false),
        ] {
            assert_eq!(state == State::from_stored(other).unwrap(), equal);
            assert_eq!(state.matches(other), equal);
        }
    }

    #[test]
    fn a_stored_state_is_checked() {
        for value in ["", "a b", "a\n", "é", &"x".repeat(1025)] {
            let error = State::from_stored(value).unwrap_err();
            assert_eq!(
                format!("{error}"),
                "a state must be 1 to 1024 visible ASCII characters without spaces"
            );
        }
        assert!(State::from_stored(&"x".repeat(1024)).is_ok());
    }
}
