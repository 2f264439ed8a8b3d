//! Redacts a server's text: replaces secrets and control characters, and truncates it.

use alloc::string::String;

use super::error_code::ErrorCode;
use crate::secret::REDACTED;

/// The largest length of a server's text in an error, in characters: enough for a sentence.
const MAX_TEXT_CHARS: usize = 512;

/// The largest number of characters of a text that are read. It exceeds the length that is kept,
/// because redaction can shorten a text.
const MAX_READ_CHARS: usize = 4 * MAX_TEXT_CHARS;

/// The length of the prefix by which a secret is recognized, in bytes. A server can choose tokens
/// as long as a body, and comparing a whole token at each position would be slow.
const SECRET_PREFIX_LEN: usize = 64;

/// The longest spelling of one byte of a secret: `\u0041`.
const MAX_SPELLING_LEN: usize = 6;

/// Redacts a server's text, as [`Redactor::redact`].
pub(crate) fn redact(text: &str, secrets: &[&str]) -> String {
    Redactor::new(secrets).redact(text)
}

/// Redacts texts of a server that may echo these secrets.
pub(crate) struct Redactor<'s> {
    secrets: &'s [&'s str],
    /// Whether a byte is printable ASCII and starts no spelling of a secret.
    is_plain: [bool; 256],
}

/// Whether a byte is printable ASCII and starts no escape sequence.
#[expect(clippy::indexing_slicing, reason = "a byte is an index of the table")]
const IS_PLAIN: [bool; 256] = {
    let mut is_plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        is_plain[byte as usize] = !matches!(byte, b'\\' | b'%');
        byte += 1;
    }
    is_plain
};

impl<'s> Redactor<'s> {
    pub(crate) fn new(secrets: &'s [&'s str]) -> Self {
        let mut is_plain = IS_PLAIN;
        for first in secrets.iter().filter_map(|secret| secret.as_bytes().first()) {
            if let Some(plain) = is_plain.get_mut(usize::from(*first)) {
                *plain = false;
            }
        }
        Self { secrets, is_plain }
    }

    /// Redacts a text. Secrets that it echoes, also escaped as in JSON or form-encoded, become
    /// `[redacted]`; characters that move the cursor or reorder a line become spaces.
    pub(crate) fn redact(&self, text: &str) -> String {
        let is_plain = |byte: u8| self.is_plain.get(usize::from(byte)) == Some(&true);
        // Nearly all texts are short and plain. No early exit, so that the loop is fast.
        let are_plain = |all, byte| all & is_plain(byte);
        if text.len() <= MAX_TEXT_CHARS && text.bytes().fold(true, are_plain) {
            return String::from(text);
        }
        let mut redacted = String::with_capacity(text.len().min(MAX_TEXT_CHARS));
        let mut room = MAX_TEXT_CHARS;
        // Secrets may overlap: a character is hidden if it is part of any.
        let mut hidden_until = 0;
        for (at, character) in text.char_indices().take(MAX_READ_CHARS) {
            if room == 0 {
                break;
            }
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            let starts_secret = !rest.first().is_some_and(|byte| is_plain(*byte));
            let secret = if starts_secret { self.longest_prefix_of(rest) } else { 0 };
            if secret > 0 && at >= hidden_until {
                let marker = REDACTED.get(..room.min(REDACTED.len()));
                redacted.push_str(marker.unwrap_or_default());
                room = room.saturating_sub(REDACTED.len());
            }
            hidden_until = hidden_until.max(at + secret);
            if at >= hidden_until {
                redacted.push(if is_unprintable(character) { ' ' } else { character });
                room -= 1;
            }
        }
        redacted
    }

    /// Returns the code with this text. A code of the list is not redacted: it is always the same,
    /// and programs depend on it, even if a secret happens to be a part of it.
    pub(crate) fn code(&self, text: &str) -> ErrorCode {
        ErrorCode::known(text).unwrap_or_else(|| self.redact(text).into())
    }

    /// The length in `text` of the longest secret that `text` starts with, or 0.
    fn longest_prefix_of(&self, text: &[u8]) -> usize {
        let spellings = [literal, json_escaped, form_encoded];
        let lengths = self
            .secrets
            .iter()
            .flat_map(|secret| spellings.map(|next| spelled_len(text, secret.as_bytes(), next)));
        lengths.flatten().max().unwrap_or_default()
    }
}

/// Decodes the first byte of a text: the byte, and how many bytes of the text spell it.
type Spelling = fn(&[u8]) -> Option<(u8, usize)>;

fn literal(text: &[u8]) -> Option<(u8, usize)> {
    text.first().map(|byte| (*byte, 1))
}

fn json_escaped(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((hex(*high, *low)?, 6)),
        [b'\\', escaped, ..] => Some((*escaped, 2)),
        _ => literal(text),
    }
}

fn form_encoded(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', high, low, ..] => Some((hex(*high, *low)?, 3)),
        _ => literal(text),
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The length of `secret` in this spelling at the start of `text`, if its prefix is there.
fn spelled_len(text: &[u8], secret: &[u8], next: Spelling) -> Option<usize> {
    let prefix = secret.get(..SECRET_PREFIX_LEN).unwrap_or(secret);
    if prefix.is_empty() {
        return None;
    }
    let mut len = 0;
    for expected in prefix {
        let (byte, spelled) = next(text.get(len..)?)?;
        if byte != *expected {
            return None;
        }
        len += spelled;
    }
    let rest = secret.len() - prefix.len();
    let is_literal = len == prefix.len();
    Some(len + rest * if is_literal { 1 } else { MAX_SPELLING_LEN })
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn redacts_secrets_and_control_characters() {
        for (text, secrets, redacted) in [
            ("plain", &[][..], "plain"),
            ("your key s3cret!", &["s3cret"], "your key [redacted]!"),
            ("abcd", &["bc", "abcd"], "[redacted]"),
            ("xabcdx", &["ab", "bcd"], "x[redacted]x"),
            ("ababab", &["ab"], "[redacted][redacted][redacted]"),
            ("aaab", &["aa"], "[redacted]b"),
            ("é\u{7}é", &["\u{7}"], "é[redacted]é"),
            ("nothing", &[""], "nothing"),
            ("two\r\nlines\u{1b}[2J", &[], "two  lines [2J"),
            ("\u{202e}gpj", &[], " gpj"),
        ] {
            assert_eq!(redact(text, secrets), redacted);
        }
    }

    #[test]
    fn redacts_escaped_and_encoded_spellings() {
        let secret = r#"a"b\c/d+e%f"#;
        for text in [
            secret,
            r#"a\"b\\c/d+e%f"#,
            r#"a\"b\\c\/d+e%f"#,
            r"\u0061\u0022b\u005Cc\u002fd\u002Be%f",
            "a%22b%5Cc%2Fd%2Be%25f",
            "a%22b%5cc%2fd%2be%25f",
            "%61%22%62%5c%63%2f%64%2b%65%25%66",
        ] {
            let surrounded = ["<", text, ">"].concat();
            assert_eq!(redact(&surrounded, &[secret]), "<[redacted]>", "{text}");
        }
        for text in [r"\", r"\u", r"\u00", r"\u00zz", "%", "%4", "%zz", r"\u0161"] {
            assert_eq!(redact(text, &[secret, "A"]), text);
        }
        let long = "s\"".to_string() + &"3".repeat(126);
        let escaped = long.replace('"', "\\\"");
        assert_eq!(redact(&escaped, &[&long]), "[redacted]");
    }

    #[test]
    fn cuts_long_texts() {
        assert_eq!(redact(&"é".repeat(600), &[]), "é".repeat(512));
        let cut_within = redact(&("x".repeat(505) + "s3cret!"), &["s3cret"]);
        assert_eq!(cut_within, "x".repeat(505) + "[redact");
        let many = redact(&("s3cret".repeat(1000) + "tail"), &["s3cret", "t3cret"]);
        assert_eq!(many.len(), MAX_TEXT_CHARS);
        let secret = "s3cret".repeat(100);
        let text = secret.repeat(100) + "tail";
        assert_eq!(redact(&text, &[&secret]), "[redacted]");
        // At most 2048 characters are read, hidden ones included.
        let secret = "s".to_string() + &"3".repeat(599);
        for (repeats, tail) in [(1, "tail"), (3, "")] {
            let plain = "x".repeat(400);
            let text = [&plain, &*secret.repeat(repeats), "tail"].concat();
            assert_eq!(redact(&text, &[&secret]), plain + &REDACTED.repeat(repeats) + tail);
        }
        // A long secret is redacted even if it is echoed only in part.
        let part = [&secret[..SECRET_PREFIX_LEN], "!"].concat();
        assert_eq!(redact(&part, &[&secret]), REDACTED.to_string());
    }
}
