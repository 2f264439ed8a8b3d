//! Codes, tokens and tickets that nobody can guess.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// An authorization code or a ticket: hexadecimal as the vendor's codes are, but with 128 bits
/// (RFC 6749 §10.10).
pub(super) fn code() -> String {
    format!("{:032x}", u128::from_ne_bytes(bytes()))
}

/// A token in standard base64 with padding, as the vendor's are: a client that forgets to encode
/// `+`, `/` or `=` somewhere finds out here.
pub(super) fn token() -> String {
    BASE64_STANDARD.encode(bytes::<50>())
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another() {
        assert_ne!(code(), code());
        assert_ne!(token(), token());
        assert_eq!(code().len(), 32);
        assert_eq!(token().len(), 68);
        assert!(token().ends_with('='));
    }
}
