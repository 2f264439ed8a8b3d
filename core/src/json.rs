//! The little JSON that the wire needs: objects read member by member, and strings written.
//!
//! `serde_json`'s own messages quote what they read, so none of them leaves this file.

use alloc::{string::String, vec::Vec};
use core::{fmt, ops::Deref};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{malformed::Problem, secret::Secret};

/// Reads the named members of an object, whose values are judged one by one afterwards; one that
/// is absent or null is `None`. Other members are skipped without recursion; the named ones may
/// stand once.
pub(crate) fn object<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], Problem> {
    let mut duplicate = None;
    let members = Members {
        names: &names,
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
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // The outer `Option` tells whether the member was there, be it as null.
        let mut values = [None::<Option<&RawValue>>; N];
        while let Some(known) = map.next_key_seed(Name(self.names))? {
            let place = known.and_then(|index| values.get_mut(index).zip(self.names.get(index)));
            let Some((value, name)) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if value.replace(map.next_value()?).is_some() {
                *self.duplicate = Some(name);
                return Err(A::Error::duplicate_field(name));
            }
        }
        Ok(values.map(Option::flatten))
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

/// The text of a value that is a string, and `None` for any other.
pub(crate) fn string(value: &RawValue) -> Option<Text<'_>> {
    let value = value.get();
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        let text = serde_json::from_str(value).ok()?;
        Some(Text::Decoded(Zeroizing::new(text)))
    } else {
        Some(Text::Borrowed(inner))
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
    Rendered(&'a Secret),
}

impl Part<'_> {
    fn len(self) -> usize {
        match self {
            Self::Member(name, value) => {
                name.len() + value.len() + escapes(value) + r#""":"""#.len()
            }
            Self::Rendered(members) => members.expose().len(),
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
            Self::Rendered(members) => out.extend_from_slice(members.expose().as_bytes()),
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
    use super::*;

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
            assert_eq!(a.and_then(string).as_deref(), text, "{value}");
        }
    }

    #[test]
    fn an_object_is_written_into_a_buffer_of_its_size() {
        use Part::{Member, Rendered};
        let rendered = render(&[Member("a", "b"), Member("c", r#"\"d"#)]);
        let written = write_object(&[Rendered(&rendered), Member("e", "f")]);
        assert_eq!(written, br#"{"a":"b","c":"\\\"d","e":"f"}"#);
        // One byte is spared: the comma that the first part does not need.
        assert_eq!(written.capacity(), written.len() + 1);
        assert_eq!(write_object(&[]), b"{}");
    }
}
