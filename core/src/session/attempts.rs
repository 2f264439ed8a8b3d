//! The rule for a rejected access token: refresh it, and resend the request once.

use crate::token::Token;

/// The attempts to send one request on behalf of a user.
///
/// If the server rejects the access token (401), the session refreshes it, and the request is
/// resent once. If the session still has the same token, the rejection is the result.
#[derive(Default, Debug)]
pub struct Attempts {
    current: Option<Token>,
    rejected: Option<Token>,
}

impl Attempts {
    /// Returns the state before the first attempt.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts an attempt with `token`. Returns `false` if the server has already rejected that
    /// token: the previous outcome is the result.
    #[must_use]
    pub fn start(&mut self, token: &Token) -> bool {
        self.current = Some(token.clone());
        self.rejected.as_ref() != Some(token)
    }

    /// Returns whether another attempt with another token follows. `rejects_token` tells whether
    /// the server rejected the token of this attempt.
    #[must_use]
    pub fn is_rejected(&mut self, rejects_token: bool) -> bool {
        let is_first = self.rejected.is_none();
        if is_first && rejects_token {
            self.rejected = self.current.take();
        }
        is_first && rejects_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_twice_at_most_and_never_with_a_rejected_token() {
        let [old, new] = ["old", "new"].map(|text| Token::new(text).unwrap());
        let mut attempts = Attempts::new();
        assert!(attempts.start(&old));
        assert!(!attempts.is_rejected(false));
        assert!(attempts.is_rejected(true));
        assert!(!attempts.start(&old));
        assert!(attempts.start(&new));
        assert!(!attempts.is_rejected(true));
    }
}
