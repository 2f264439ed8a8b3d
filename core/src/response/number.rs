//! Numbers that a server writes: digits, and floats without a fraction.

/// Parses a number of digits alone. One that is too large for `u64` is `u64::MAX`.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.saturating_mul(10).saturating_add(digit.into());
    }
    (!text.is_empty()).then_some(number)
}

/// Parses a number such as `86400.0` or `8.64e4` that is whole and at most `max`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "the range is checked, and the conversion back tells whether the number is whole"
)]
pub(super) fn integral_float(text: &str, max: u64) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    if !(0.0..=max as f64).contains(&number) {
        return None;
    }
    let whole = number as u64;
    (whole as f64 == number).then_some(whole)
}
