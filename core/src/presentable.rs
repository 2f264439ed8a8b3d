//! The texts of a server, made fit to be kept and shown.

use alloc::string::String;

use crate::secret::REDACTED;

/// The longest text of a server that an error keeps, in characters: enough for a sentence in a log
/// line.
const MAX_TEXT_CHARS: usize = 512;

/// The longest part of a text that is looked at, in characters: there may be secrets to leave out.
const MAX_READ_CHARS: usize = 4 * MAX_TEXT_CHARS;

/// How much of a secret has to stand in a text to be taken for all of it, in bytes. A server may
/// choose tokens as long as a body, and to compare them at each place would take long.
const TELLING_LEN: usize = 64;

/// Makes a server's text presentable: secrets that it echoes are replaced, characters
/// that move the cursor or reorder a line become spaces, and the rest is cut at a length for a log.
pub(crate) fn presentable(text: &str, secrets: &[&str]) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_TEXT_CHARS));
    let mut room = MAX_TEXT_CHARS;
    let secrets = Secrets::new(secrets);
    // Secrets may overlap: a character is hidden if it is part of any.
    let mut hidden_until = 0;
    for (at, character) in text.char_indices().take(MAX_READ_CHARS) {
        let secret = secrets.longest_at_start_of(text.get(at..).unwrap_or_default());
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

/// What is looked for at each place of a text.
struct Secrets<'s> {
    secrets: &'s [&'s str],
    /// Whether one begins with this byte: of most places no more need be known.
    begins_with: [bool; 256],
}

impl<'s> Secrets<'s> {
    fn new(secrets: &'s [&'s str]) -> Self {
        let mut begins_with = [false; 256];
        for first in secrets.iter().filter_map(|secret| secret.bytes().next()) {
            if let Some(begins) = begins_with.get_mut(usize::from(first)) {
                *begins = true;
            }
        }
        Self {
            secrets,
            begins_with,
        }
    }

    /// The length of the longest secret that `text` begins with; 0 if it begins with none.
    fn longest_at_start_of(&self, text: &str) -> usize {
        let first = text.bytes().next().unwrap_or_default();
        if self.begins_with.get(usize::from(first)) != Some(&true) {
            return 0;
        }
        let stands_there = |secret: &&&str| {
            let secret = secret.as_bytes();
            let telling = secret.get(..TELLING_LEN).unwrap_or(secret);
            !secret.is_empty() && text.as_bytes().starts_with(telling)
        };
        let lengths = self.secrets.iter().filter(stands_there);
        lengths.map(|secret| secret.len()).max().unwrap_or(0)
    }
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
        // What is read is cut, too.
        let secrets = presentable(&("s3cret".repeat(1000) + "tail"), &["s3cret", "t3cret"]);
        assert_eq!(secrets.len(), MAX_TEXT_CHARS);
        let secret = "s3cret".repeat(100);
        let text = secret.repeat(100) + "tail";
        let overlapping = presentable(&text, &[&secret]);
        assert_eq!(overlapping, "[redacted]");
        // Of a long secret that is echoed in part, nothing is shown.
        let in_part = [&secret[..TELLING_LEN], "!"].concat();
        assert_eq!(presentable(&in_part, &[&secret]), "[redacted]");
    }
}
