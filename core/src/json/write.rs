//! Strings, written as JSON.

use alloc::string::String;

use zeroize::Zeroizing;

use super::Text;

/// What stands between the quotes of a string with the text `value`, which is visible ASCII, as
/// every text of this crate that reaches a request is.
pub(crate) fn escaped(value: &str) -> Text<'_> {
    debug_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
    let escapes = value.bytes().filter(|byte| needs_escape(*byte)).count();
    if escapes == 0 {
        return Text::Borrowed(value);
    }
    // Of the right size, so that no growth leaves a copy of a secret behind.
    let mut text = Zeroizing::new(String::with_capacity(value.len() + escapes));
    for byte in value.bytes() {
        if needs_escape(byte) {
            text.push('\\');
        }
        text.push(char::from(byte));
    }
    Text::Owned(text)
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        for (value, text) in [("", ""), ("a/b=", "a/b="), (r#"\"d"#, r#"\\\"d"#)] {
            assert_eq!(&*escaped(value), text);
        }
        assert!(matches!(escaped("a"), Text::Borrowed("a")));
        assert!(matches!(escaped(r"\"), Text::Owned(text) if text.capacity() == 2));
    }
}
