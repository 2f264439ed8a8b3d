//! Secret strings: redacted by `Debug`, compared in constant time, wiped on drop.

use alloc::boxed::Box;
use core::fmt;

use http::HeaderValue;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The replacement of a secret in every output of this crate.
pub(crate) const REDACTED: &str = "[redacted]";

/// The largest length of a client id, secret, code or state in bytes.
///
/// The vendor's have at most 64 bytes. The limit keeps a hostile callback from inflating requests.
pub(crate) const MAX_CREDENTIAL_LEN: usize = 1024;

/// Whether `value` consists of one or more visible ASCII characters (0x21 to 0x7E).
pub(crate) fn is_visible_ascii(value: &str) -> bool {
    // No early exit, so that the loop vectorizes: tokens are long, and nearly all are valid.
    let graphic = value.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
    graphic && !value.is_empty()
}

/// A string that is redacted by `Debug`, compared in constant time, and wiped on drop.
///
/// Boxed at its exact size: growth would leave an unwiped copy.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<Box<str>>);

impl Secret {
    pub(crate) fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Returns a client id, secret, code or state; `name` is used in the error.
    pub(crate) fn credential(value: &str, name: &'static str) -> Result<Self, InvalidCredential> {
        if value.len() <= MAX_CREDENTIAL_LEN && is_visible_ascii(value) {
            Ok(Self::new(value))
        } else {
            Err(InvalidCredential(name))
        }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The error for an invalid client id, client secret, API key, code or state. It does not contain
/// the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidCredential(&'static str);

impl fmt::Display for InvalidCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} must be 1 to {MAX_CREDENTIAL_LEN} visible ASCII characters without spaces or \
             line breaks",
            self.0
        )
    }
}

impl core::error::Error for InvalidCredential {}

/// Returns the value of an `Authorization` header, marked sensitive. The scheme and credentials
/// must be visible ASCII.
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
