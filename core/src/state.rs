//! The `state` that binds a callback to the browser session that started the authorization.

use core::str::FromStr;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::secret::{InvalidCredential, MAX_CREDENTIAL_LEN, Secret};

/// The smallest entropy of a state in bytes: 128 bits, as RFC 6749 §10.10 requires.
const MIN_ENTROPY: usize = 16;

/// The largest entropy of a state in bytes: its base64 has the largest length of a credential.
const MAX_ENTROPY: usize = MAX_CREDENTIAL_LEN / 4 * 3;

/// The `state` of one authorization (RFC 6749 §4.1.1 and §10.12). It proves that a callback belongs
/// to the browser session that was redirected to the authorize page.
///
/// The app creates one for every authorization, keeps it in the user's browser session, and removes
/// it once the callback succeeded or was denied. `==` takes constant time, `Debug` shows
/// `[redacted]`, and the buffer is wiped on drop.
///
/// ```
/// use dropbox_sign_oauth::State;
///
/// let state = State::random();
/// let kept_in_session = state.as_str().to_owned();
/// assert_eq!(State::from_stored(&kept_in_session)?, state);
/// # Ok::<(), dropbox_sign_oauth::InvalidCredential>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State(Secret);

impl State {
    /// Creates a state from 128 bits of the operating system's random source.
    ///
    /// # Panics
    /// If the operating system has no random source. A state that can be guessed would remove the
    /// protection against forged callbacks.
    #[cfg(feature = "getrandom")]
    #[must_use]
    #[expect(clippy::expect_used, reason = "without a random source, no state is safe")]
    pub fn random() -> Self {
        let mut random = [0; MIN_ENTROPY];
        getrandom::fill(&mut random).expect("the operating system has a random source");
        Self::from_entropy(random)
    }

    /// Creates a state from 16 to 768 bytes of a cryptographically secure random source, in
    /// URL-safe base64. Other lengths do not compile.
    #[must_use]
    pub fn from_entropy<const N: usize>(random: [u8; N]) -> Self {
        const {
            assert!(MIN_ENTROPY <= N && N <= MAX_ENTROPY, "a state needs 16 to 768 random bytes");
        }
        let random = Zeroizing::new(random);
        Self(Secret::new(&Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(random.as_slice()))))
    }

    /// Returns the state that the app kept in the user's browser session.
    ///
    /// # Errors
    /// [`InvalidCredential`] if the value is empty, longer than 1024 bytes, or has a space, control or
    /// non-ASCII character.
    pub fn from_stored(value: &str) -> Result<Self, InvalidCredential> {
        Secret::credential(value, "state").map(Self)
    }

    /// Returns the state as it appears in the URL, to be kept in the user's browser session.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }

    /// Whether `other` equals this state, in constant time.
    pub(crate) fn matches(&self, other: &str) -> bool {
        use subtle::ConstantTimeEq;
        self.as_str().as_bytes().ct_eq(other.as_bytes()).into()
    }
}

/// As [`State::from_stored`].
impl FromStr for State {
    type Err = InvalidCredential;

    fn from_str(value: &str) -> Result<Self, InvalidCredential> {
        Self::from_stored(value)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn encodes_entropy_as_url_safe_base64() {
        assert_eq!(State::from_entropy([0xff; 16]).as_str(), "_____________________w");
        assert_eq!(State::from_entropy([0; MAX_ENTROPY]).as_str(), "A".repeat(1024));
    }

    #[cfg(feature = "getrandom")]
    #[test]
    fn random_states_differ() {
        let [one, other] = [State::random(), State::random()];
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 22);
    }

    #[test]
    fn compares_the_whole_text() {
        let state = State::from_stored("900e06e2").unwrap();
        for (other, equal) in
            [("900e06e2", true), ("900e06e", false), ("900e06e22", false), ("900E06E2", false)]
        {
            assert_eq!(state == State::from_stored(other).unwrap(), equal);
            assert_eq!(state.matches(other), equal);
        }
    }

    #[test]
    fn rejects_invalid_stored_states() {
        for value in ["", "a b", "a\n", "é", &"x".repeat(1025)] {
            let error = State::from_stored(value).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the state must be 1 to 1024 visible ASCII characters without spaces or line breaks"
            );
        }
        assert!(State::from_stored(&"x".repeat(1024)).is_ok());
    }
}
