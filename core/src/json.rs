//! The little JSON that the wire needs: objects read member by member, and strings written.
//!
//! `serde_json`'s own messages quote what they read, so none of them leaves this file.

use alloc::{string::String, vec::Vec};
use core::{fmt, ops::Deref};

use memchr::memchr;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{malformed::Problem, secret::Secret};

/// A value that was read, and that no one has judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// The text of a string without escapes.
    Plain(&'a str),
    /// A string with escapes, as JSON.
    Escaped(&'a str),
    /// Anything but a string, as JSON.
    Other(&'a str),
}

impl<'a> Value<'a> {
    fn new(json: &'a str) -> Self {
        match json.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
            Some(text) if !text.contains('\\') => Self::Plain(text),
            Some(_) => Self::Escaped(json),
            None => Self::Other(json),
        }
    }

    /// The text of a string; `None` for anything else, and for escapes that make no text.
    pub(crate) fn string(self) -> Option<Text<'a>> {
        match self {
            Self::Plain(text) => Some(Text::Borrowed(text)),
            Self::Escaped(json) => {
                let text = serde_json::from_str(json).ok()?;
                Some(Text::Decoded(Zeroizing::new(text)))
            }
            Self::Other(_) => None,
        }
    }

    /// The members of an object, as [`object`] reads them.
    pub(crate) fn object<const N: usize>(
        self,
        names: [&'static str; N],
    ) -> Result<[Option<Self>; N], Problem> {
        match self {
            Self::Plain(_) | Self::Escaped(_) => Err(Problem::NotAnObject),
            Self::Other(json) => object(json, names),
        }
    }
}

/// Reads the named members of an object, whose values are judged one by one afterwards; one that
/// is absent or null is `None`. Other members are skipped without recursion; the named ones may
/// stand once.
pub(crate) fn object<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Option<Value<'a>>; N], Problem> {
    let values = match plain_object(text, &names) {
        Some(values) => values,
        None => any_object(text, &names)?,
    };
    // Null until here, so that a member that stands twice is seen, be it as null.
    Ok(values.map(|value| value.filter(|value| *value != Value::Other("null"))))
}

/// Reads an object as servers write nearly all of them: on one line, without escapes, fractions and
/// nesting, and no known member twice. `None` means nothing but that [`any_object`] has to judge.
///
/// What it reads, `any_object` reads in the same way, and in twice the time.
fn plain_object<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> Option<[Option<Value<'a>>; N]> {
    // Of the whole text at once, in a loop that is vectorized, so that a string ends at the next
    // quote.
    let hard = |byte| byte < b' ' || byte == b'\\';
    if text.bytes().fold(false, |any, byte| any | hard(byte)) {
        return None;
    }
    let mut values = [None; N];
    let mut rest = text.trim_start_matches(' ').strip_prefix('{')?;
    loop {
        let (name, after_name) = plain_string(rest.trim_start_matches(' '))?;
        let after_colon = after_name.strip_prefix(':')?.trim_start_matches(' ');
        let (value, after_value) = plain_value(after_colon)?;
        let place = names.iter().position(|known| *known == name);
        if let Some(place) = place.and_then(|index| values.get_mut(index)) {
            if place.replace(value).is_some() {
                return None;
            }
        }
        match after_value.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (after_value == "}").then_some(values),
        }
    }
}

/// The string that `text`, which has no escapes, begins with; and what follows.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let (string, rest) = inner.split_at_checked(memchr(b'"', inner.as_bytes())?)?;
    Some((string, rest.strip_prefix('"')?))
}

/// The string, whole number or literal that `text` begins with; and what follows.
fn plain_value(text: &str) -> Option<(Value<'_>, &str)> {
    if let Some((string, rest)) = plain_string(text) {
        return Some((Value::Plain(string), rest));
    }
    let word = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (word, rest) = text.split_at_checked(word)?;
    let json = match word.as_bytes() {
        b"null" | b"true" | b"false" | b"0" => true,
        [b'1'..=b'9', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    json.then_some((Value::Other(word), rest))
}

/// Reads any object, or says what is wrong.
fn any_object<'a, const N: usize>(
    text: &'a str,
    names: &[&'static str; N],
) -> Result<[Option<Value<'a>>; N], Problem> {
    let mut duplicate = None;
    let members = Members {
        names,
        duplicate: &mut duplicate,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = members.deserialize(&mut deserializer);
    read.and_then(|values| deserializer.end().map(|()| values))
        .map_err(|error| match duplicate {
            Some(name) => Problem::DuplicateMember(name),
            // The type of the top level is the only datum that is judged while reading.
            None if error.is_data() => Problem::NotAnObject,
            None => Problem::NotJson {
                line: error.line(),
                column: error.column(),
            },
        })
}

struct Members<'n, const N: usize> {
    names: &'n [&'static str; N],
    /// The member that stands twice, if that is why reading failed.
    duplicate: &'n mut Option<&'static str>,
}

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<Value<'de>>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<Value<'de>>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(known) = map.next_key_seed(Name(self.names))? {
            let place = known.and_then(|index| values.get_mut(index).zip(self.names.get(index)));
            let Some((value, name)) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let json = map.next_value::<&RawValue>()?.get();
            if value.replace(Value::new(json)).is_some() {
                *self.duplicate = Some(name);
                return Err(A::Error::duplicate_field(name));
            }
        }
        Ok(values)
    }
}

/// Reads a member's name as its index among the known ones.
struct Name<'n>(&'n [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}

/// The text of a JSON string: borrowed if it has no escapes, else decoded, and wiped on drop.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Decoded(Zeroizing<String>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

/// A part of an object that is written.
///
/// Values are visible ASCII, as every type of this crate that reaches a request is.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    /// A name and a string.
    Member(&'static str, &'a str),
    /// Members that were [rendered](render) before.
    Rendered(&'a str),
}

impl Part<'_> {
    fn len(self) -> usize {
        match self {
            Self::Member(name, value) => {
                name.len() + value.len() + escapes(value) + r#""":"""#.len()
            }
            Self::Rendered(members) => members.len(),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Member(name, value) => {
                out.push(b'"');
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(br#"":""#);
                extend_escaped(out, value);
                out.push(b'"');
            }
            Self::Rendered(members) => out.extend_from_slice(members.as_bytes()),
        }
    }
}

/// Writes an object into a buffer of exactly its size, so that no growth leaves a copy of a secret
/// behind.
pub(crate) fn write_object(parts: &[Part<'_>]) -> Vec<u8> {
    let len = parts
        .iter()
        .map(|part| part.len() + ",".len())
        .sum::<usize>();
    let mut out = Vec::with_capacity(len + "{}".len());
    out.push(b'{');
    write_members(parts, &mut out);
    out.push(b'}');
    out
}

/// Renders members that stand in many objects, once.
pub(crate) fn render(parts: &[Part<'_>]) -> Secret {
    let object = Zeroizing::new(write_object(parts));
    let members = object
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"));
    // An object of visible ASCII is UTF-8, and has its braces.
    Secret::new(core::str::from_utf8(members.unwrap_or_default()).unwrap_or_default())
}

fn write_members(parts: &[Part<'_>], out: &mut Vec<u8>) {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        part.write(out);
    }
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

fn escapes(value: &str) -> usize {
    value.bytes().filter(|byte| needs_escape(*byte)).count()
}

fn extend_escaped(out: &mut Vec<u8>, value: &str) {
    debug_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
    if escapes(value) == 0 {
        return out.extend_from_slice(value.as_bytes());
    }
    for byte in value.bytes() {
        if needs_escape(byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// One of the first, as a rule, or one of the others.
    fn mostly(
        rule: &'static [&'static str],
        others: &'static [&'static str],
    ) -> impl Strategy<Value = &'static str> {
        prop_oneof![9 => select(rule), 1 => select(others)]
    }

    /// Texts that are plain objects, or nearly.
    fn nearly_plain() -> impl Strategy<Value = String> {
        let space = || mostly(&["", "", " "], &["  ", "\n", "\u{a0}"]);
        let none = || mostly(&[""], &[" ", "\t"]);
        let name = mostly(&["a", "b", "c", "", "é"], &["\\u0061", "a\"", "\u{1}"]);
        let value = mostly(
            &[
                r#""""#, r#""a b""#, "\"é\"", "null", "true", "false", "0", "12",
            ],
            &[
                r#""\n""#, "nul", "truer", "00", "-1", "1.5", "1e9", "1a", "{}", "[1]", "",
            ],
        );
        let member = (space(), name, none(), space(), value, none()).prop_map(
            |(before, name, after, between, value, end)| {
                alloc::format!("{before}\"{name}\"{after}:{between}{value}{end}")
            },
        );
        (
            vec(member, 0..4),
            space(),
            mostly(&[""], &[" ", "}", "{}", "x"]),
        )
            .prop_map(|(members, before, after)| {
                alloc::format!("{before}{{{}}}{after}", members.join(","))
            })
    }

    proptest! {
        #[test]
        fn a_plain_object_is_read_as_any_is(text in nearly_plain()) {
            let names = ["a", "b"];
            if let Some(values) = plain_object(&text, &names) {
                prop_assert_eq!(any_object(&text, &names), Ok(values));
            }
        }
    }

    #[test]
    fn the_documented_answers_are_plain() {
        for text in [
            r#"{"access_token":"a","token_type":"Bearer","expires_in":86400,"state":null}"#,
            r#" { "error": "invalid_grant", "error_description": "Used."}"#,
        ] {
            assert!(
                plain_object(text, &["access_token", "error"]).is_some(),
                "{text}"
            );
        }
    }

    #[test]
    fn an_object_is_read_and_anything_else_is_refused() {
        let not_json = |line, column| Some(Problem::NotJson { line, column });
        for (text, problem) in [
            (r#"{"a":1}"#, None),
            ("\t\r\n {\"a\":1} \n", None),
            (r#"{"b":{"a":1,"a":2},"a":[[[]]]}"#, None),
            ("[1]", Some(Problem::NotAnObject)),
            ("\"a\"", Some(Problem::NotAnObject)),
            ("null", Some(Problem::NotAnObject)),
            ("\u{feff}{}", not_json(1, 1)),
            ("<html>", not_json(1, 1)),
            (r#"{"a":1,"a":2}"#, Some(Problem::DuplicateMember("a"))),
            (
                r#"{"a":null,"\u0061":2}"#,
                Some(Problem::DuplicateMember("a")),
            ),
            (r#"{"a":1} x"#, not_json(1, 9)),
            (r#"{"a":1,}"#, not_json(1, 8)),
            (r#"{"a":"#, not_json(1, 5)),
            ("{\"a\":\n01}", not_json(2, 2)),
        ] {
            assert_eq!(object(text, ["a"]).err(), problem, "{text}");
        }
        let deep = "[".repeat(60_000);
        assert!(object(&alloc::format!("{{\"a\":{deep}"), ["a"]).is_err());
    }

    #[test]
    fn strings_are_borrowed_or_decoded() {
        for (value, text) in [
            (r#""plain""#, Some("plain")),
            (r#""a\/b\u0063""#, Some("a/bc")),
            (r#""""#, Some("")),
            (r#""\ud800""#, None),
            ("12", None),
            ("[\"a\"]", None),
        ] {
            let body = alloc::format!("{{\"a\":{value}}}");
            let [a] = object(&body, ["a"]).unwrap();
            assert_eq!(a.and_then(Value::string).as_deref(), text, "{value}");
        }
    }

    #[test]
    fn an_object_is_written_into_a_buffer_of_its_size() {
        use Part::{Member, Rendered};
        let rendered = render(&[Member("a", "b"), Member("c", r#"\"d"#)]);
        let written = write_object(&[Rendered(rendered.expose()), Member("e", "f")]);
        assert_eq!(written, br#"{"a":"b","c":"\\\"d","e":"f"}"#);
        // One byte is spared: the comma that the first part does not need.
        assert_eq!(written.capacity(), written.len() + 1);
        assert_eq!(write_object(&[]), b"{}");
    }
}
