//! Reads the named members of a JSON object with `serde_json`, in one pass, and borrows their
//! values.
//!
//! Unknown members of any depth are skipped without recursion. Errors contain a position but no
//! text, because the messages of `serde_json` quote values.

use alloc::{borrow::Cow, string::String};
use core::{fmt, ops::Deref};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Why a text could not be read as an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Error {
    /// The text is not JSON, or continues after the object.
    Syntax(Position),
    /// The text is JSON of another type.
    NotAnObject,
}

/// The position of a syntax error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The column in bytes, counted from 1; 0 at the start of a line.
    pub(crate) column: usize,
}

impl From<&serde_json::Error> for Position {
    fn from(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        Self { line, column }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() { Self::NotAnObject } else { Self::Syntax(Position::from(&error)) }
    }
}

/// The named members of an object. Absent and null members are `None`; of duplicate members the
/// first is kept.
pub(crate) struct Members<'a, const N: usize> {
    values: [Option<Value<'a>>; N],
    /// The lowest index of a duplicate member, or `N`.
    duplicate: usize,
}

impl<'a, const N: usize> Members<'a, N> {
    /// The members, in the order of their names.
    pub(crate) fn values(self) -> [Option<Value<'a>>; N] {
        self.values.map(|value| value.filter(|value| value.0 != "null"))
    }

    /// The lowest index of a member that the object has more than once, null values included.
    pub(crate) fn duplicate(&self) -> Option<usize> {
        Some(self.duplicate).filter(|index| *index < N)
    }
}

/// Reads the members of an object that have these names, and skips the others.
#[inline]
pub(crate) fn object<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> Result<Members<'a, N>, Error> {
    let mut members = Members::default();
    read(text, names, &mut members)?;
    Ok(members)
}

/// As [`object`], but returns the members that precede the first syntax error.
pub(crate) fn object_lossy<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> [Option<Value<'a>>; N] {
    let mut members = Members::default();
    // The members before the error are the result.
    let _ = read(text, names, &mut members);
    members.values()
}

/// Whether the text is one complete JSON object, surrounded by white space only.
pub(crate) fn is_complete_object(text: &str) -> bool {
    object(text, &[]).is_ok()
}

#[inline]
fn read<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
    members: &mut Members<'a, N>,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(MembersVisitor { names, members })?;
    json.end()
}

impl<const N: usize> Default for Members<'_, N> {
    fn default() -> Self {
        Self { values: [None; N], duplicate: N }
    }
}

/// Visits an object and collects the members with these names.
struct MembersVisitor<'m, 'a, const N: usize> {
    names: &'m [&'m str; N],
    members: &'m mut Members<'a, N>,
}

impl<'de, const N: usize> Visitor<'de> for MembersVisitor<'_, 'de, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Members { values, duplicate } = self.members;
        while let Some(known) = map.next_key_seed(Name(self.names))? {
            let Some((at, value)) = known.and_then(|at| Some((at, values.get_mut(at)?))) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let read = Value(map.next_value::<&RawValue>()?.get());
            if value.is_some() {
                *duplicate = at.min(*duplicate);
            }
            value.get_or_insert(read);
        }
        Ok(())
    }
}

/// Deserializes a member name into its index among the known names.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        // As bytes, because a name with a lone surrogate is valid JSON but not a `str`.
        json.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    #[inline]
    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| known.as_bytes() == name))
    }
}

/// A member's value as raw JSON. Not `Debug`: it may hold a token.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The decoded string, or `None` if this is not a string or contains a lone surrogate.
    pub(crate) fn string(self) -> Option<Text<'a>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        // No early exit, so that the loop vectorizes.
        let escapes = inner.bytes().fold(0, |found, byte| found | u8::from(byte == b'\\'));
        if escapes != 0 {
            let text = serde_json::from_str(self.0).ok()?;
            Some(Text::Owned(Zeroizing::new(text)))
        } else {
            Some(Text::Borrowed(inner))
        }
    }

    /// Whether this is the empty string.
    pub(crate) fn is_empty_string(self) -> bool {
        self.0 == r#""""#
    }

    /// The raw number, or `None` if this is not a number.
    pub(crate) fn number(self) -> Option<&'a str> {
        self.0.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(self.0)
    }

    /// The raw object, or `None` if this is not an object.
    pub(crate) fn object(self) -> Option<&'a str> {
        self.0.starts_with('{').then_some(self.0)
    }
}

/// A decoded text: borrowed where possible, otherwise owned and zeroized on drop.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Zeroizing<String>),
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Owned(Zeroizing::new(text)),
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// Escapes visible ASCII for use between the quotes of a JSON string.
pub(crate) fn escape(text: &str) -> Text<'_> {
    debug_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    let needs_escape = |byte: &u8| matches!(byte, b'"' | b'\\');
    let escape_count = text.as_bytes().iter().filter(|byte| needs_escape(byte)).count();
    if escape_count == 0 {
        return Text::Borrowed(text);
    }
    // Allocated at its final size: growth would leave an unwiped copy of a secret behind.
    let mut output = Zeroizing::new(String::with_capacity(text.len() + escape_count));
    for byte in text.bytes() {
        if needs_escape(&byte) {
            output.push('\\');
        }
        output.push(char::from(byte));
    }
    Text::Owned(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_quotes_and_backslashes() {
        for (text, escaped) in [("", ""), ("a/b=", "a/b="), (r#"\"d"#, r#"\\\"d"#)] {
            assert_eq!(&*escape(text), escaped);
        }
        assert!(matches!(escape(r"\"), Text::Owned(text) if text.capacity() == 2));
    }

    #[test]
    fn no_proper_prefix_is_an_object() {
        for text in
            ["{}", r#" { "c" : [{"a":[null]},"\ud800 é"] , "a" : -1.50e9 , "" : {"a":{}} }"#]
        {
            assert!(is_complete_object(text));
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                assert!(!is_complete_object(&text[..end]), "{end}");
            }
        }
    }
}
