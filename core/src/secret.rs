//! Strings that must not be seen: redacted when shown, compared in constant time, wiped on drop.

use alloc::boxed::Box;
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
    // Without an early exit, so that the loop is vectorized: tokens are long, and almost all right.
    let graphic = value
        .bytes()
        .fold(true, |all, byte| all & byte.is_ascii_graphic());
    graphic && !value.is_empty()
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
