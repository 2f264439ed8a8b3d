//! The texts of a server, made fit to be kept and shown.

use alloc::string::String;

use crate::secret::REDACTED;

/// The longest text of a server that an error keeps, in characters: enough for a sentence in a log
/// line.
const MAX_TEXT_CHARS: usize = 512;

/// Makes a server's text presentable: secrets that it echoes are replaced, characters
/// that move the cursor or reorder a line become spaces, and the rest is cut at a length for a log.
pub(crate) fn presentable(text: &str, secrets: &[&str]) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_TEXT_CHARS));
    let mut room = MAX_TEXT_CHARS;
    // Secrets may overlap: a character is hidden if it is part of any.
    let mut hidden_until = 0;
    for (at, character) in text.char_indices() {
        let secret = longest_at(text, at, secrets);
        if secret > 0 && at >= hidden_until {
            let redacted = REDACTED.get(..room.min(REDACTED.len()));
            shown.push_str(redacted.unwrap_or_default());
            room = room.saturating_sub(REDACTED.len());
        }
        hidden_until = hidden_until.max(at + secret);
        if room == 0 {
            break;
        }
        if at >= hidden_until {
            shown.push(if is_unprintable(character) {
                ' '
            } else {
                character
            });
            room -= 1;
        }
    }
    shown
}

/// The length of the longest secret that stands at a place; 0 if none does.
fn longest_at(text: &str, at: usize, secrets: &[&str]) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let stands_there = |secret: &&&str| {
        // Most are ruled out by their first byte, without a call.
        secret.as_bytes().first() == rest.first() && rest.starts_with(secret.as_bytes())
    };
    let lengths = secrets
        .iter()
        .filter(stands_there)
        .map(|secret| secret.len());
    lengths.max().unwrap_or(0)
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
            ("xabcdx", &["ab", "bcd"], "x[redacted]x"),
            ("ababab", &["ab"], "[redacted][redacted][redacted]"),
            ("aaab", &["aa"], "[redacted]b"),
            ("é\u{7}é", &["\u{7}"], "é[redacted]é"),
            ("nothing", &[""], "nothing"),
            ("two\r\nlines\u{1b}[2J", &[], "two  lines [2J"),
            ("\u{202e}gpj", &[], " gpj"),
        ] {
            assert_eq!(presentable(text, secrets), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(presentable(&"é".repeat(600), &[]), "é".repeat(512));
        let cut_within = presentable(&("x".repeat(505) + "s3cret!"), &["s3cret"]);
        assert_eq!(cut_within, "x".repeat(505) + "[redact");
        // A secret that is longer than the text that is kept is hidden all the same.
        let secret = "s3cret".repeat(100);
        assert_eq!(presentable(&secret, &[&secret]), "[redacted]");
    }
}
