//! The texts of a server, made fit to be kept and shown.

use alloc::{string::String, vec::Vec};
use core::cmp::Reverse;

use zeroize::Zeroizing;

use crate::secret::REDACTED;

/// The longest text of a server that an error keeps, in characters: enough for a sentence in a log
/// line.
const MAX_TEXT_CHARS: usize = 512;

/// Makes a server's text presentable: secrets that it echoes are replaced, characters
/// that move the cursor or reorder a line become spaces, and the rest is cut at a length for a log.
pub(crate) fn presentable(text: &str, secrets: &[&str]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().copied().filter(|s| !s.is_empty()).collect();
    // The longest first: a secret inside another one must not break the longer match up.
    secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
    let mut text = Zeroizing::new(String::from(text));
    for secret in secrets {
        if text.contains(secret) {
            text = Zeroizing::new(text.replace(secret, REDACTED));
        }
    }
    text.chars()
        .map(|c| if is_unprintable(c) { ' ' } else { c })
        .take(MAX_TEXT_CHARS)
        .collect()
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
