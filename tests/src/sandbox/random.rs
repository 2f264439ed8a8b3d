//! Random codes, tokens and tickets.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Returns an authorization code, ticket or nonce: 128 bits (RFC 6749 §10.10) in hexadecimal, like
/// the vendor's codes.
pub(super) fn code() -> String {
    format!("{:032x}", u128::from_ne_bytes(bytes()))
}

/// Returns a token in padded Base64, like the vendor's. Clients must encode its `+`, `/` and `=` in
/// forms.
pub(super) fn token() -> String {
    BASE64_STANDARD.encode(bytes::<50>())
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system should provide random bytes");
    bytes
}
