//! Objects, read member by member.

use alloc::string::String;
use core::ops::Deref;

use zeroize::Zeroizing;

use super::scan::{self, Container, Mistake, Next, Quoted};
use crate::malformed::Problem;

/// A value that was read, and that no one has judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// A string without escapes: what stands between its quotes.
    Plain(&'a str),
    /// A string with escapes: what stands between its quotes.
    Escaped(&'a str),
    /// Anything else, as JSON.
    Other(&'a str),
}

impl<'a> Value<'a> {
    /// The text of a string; `None` for anything else, and for escapes that make no text.
    #[inline]
    pub(crate) fn string(self) -> Option<Text<'a>> {
        match self {
            Self::Plain(text) => Some(Text::Borrowed(text)),
            Self::Escaped(text) => unescape(text).map(Text::Owned),
            Self::Other(_) => None,
        }
    }

    /// The text of a name, decoded in a buffer that is used again and again, and is not wiped.
    #[inline]
    fn name_in<'t>(self, buffer: &'t mut String) -> Option<&'t str>
    where
        'a: 't,
    {
        match self {
            Self::Plain(text) => Some(text),
            Self::Escaped(text) => {
                buffer.clear();
                unescape_into(buffer, text)?;
                Some(buffer)
            }
            Self::Other(_) => None,
        }
    }

    /// A number, as JSON.
    pub(crate) fn number(self) -> Option<&'a str> {
        self.other_that_begins(|first| matches!(first, b'-' | b'0'..=b'9'))
    }

    /// An object, as JSON.
    pub(crate) fn object(self) -> Option<&'a str> {
        self.other_that_begins(|first| first == b'{')
    }

    fn is_null(self) -> bool {
        self.other_that_begins(|first| first == b'n').is_some()
    }

    fn other_that_begins(self, with: impl FnOnce(u8) -> bool) -> Option<&'a str> {
        match self {
            Self::Other(json) => json.bytes().next().is_some_and(with).then_some(json),
            Self::Plain(_) | Self::Escaped(_) => None,
        }
    }
}

/// A text: borrowed where it stands as it is, else in a buffer that is wiped on drop.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Zeroizing<String>),
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

/// Reads the named members of an object, whose values are judged one by one afterwards; one that
/// is absent or null is `None`. Other members are skipped; the named ones may stand once.
// Inlined, so that the names are compared as constants.
#[inline]
pub(crate) fn object<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Option<Value<'a>>; N], Problem> {
    let json = text.as_bytes();
    let mut values = [None; N];
    let mut buffer = String::new();
    let mut at = scan::space(json, 0);
    if json.get(at) != Some(&b'{') {
        scan::end(json, scan::value(json, at)?)?;
        return Err(Problem::NotAnObject);
    }
    at += 1;
    let mut is_first = true;
    loop {
        let member = match scan::next(json, at, Container::Object, is_first)? {
            Next::Item(start) => start,
            Next::End(end) => {
                scan::end(json, end)?;
                // Null until here, so that a member that stands twice is seen, be it as null.
                return Ok(values.map(|value: Option<Value<'_>>| value.filter(|it| !it.is_null())));
            }
        };
        let (name, end) = string(text, member)?;
        let start = scan::colon(json, end)?;
        let (value, end) = if json.get(start) == Some(&b'"') {
            string(text, start)?
        } else {
            let end = scan::value(json, start)?;
            (Value::Other(text.get(start..end).unwrap_or_default()), end)
        };
        if let Some(name) = name.name_in(&mut buffer) {
            let mut places = names.iter().zip(&mut values);
            if let Some((name, place)) = places.find(|(known, _)| **known == name) {
                if place.replace(value).is_some() {
                    return Err(Problem::DuplicateMember(name));
                }
            }
        }
        at = end;
        is_first = false;
    }
}

/// The string at a position, and the position behind it.
#[inline]
fn string(text: &str, at: usize) -> Result<(Value<'_>, usize), Mistake> {
    let Quoted { end, has_escapes } = scan::string(text.as_bytes(), at)?;
    let inner = text.get(at + 1..end - 1).unwrap_or_default();
    let value = if has_escapes {
        Value::Escaped(inner)
    } else {
        Value::Plain(inner)
    };
    Ok((value, end))
}

impl From<Mistake> for Problem {
    fn from(Mistake(offset): Mistake) -> Self {
        Self::NotJson { offset }
    }
}

/// Decodes the escapes of a string that was read; `None` if one makes no text (a lone surrogate).
fn unescape(escaped: &str) -> Option<Zeroizing<String>> {
    // No escape is shorter than what it stands for, so that no growth leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(escaped.len()));
    unescape_into(&mut text, escaped)?;
    Some(text)
}

fn unescape_into(text: &mut String, escaped: &str) -> Option<()> {
    let mut rest = escaped;
    while !rest.is_empty() {
        if let Some(escape) = rest.strip_prefix('\\') {
            let (character, after) = unescaped(escape)?;
            text.push(character);
            rest = after;
        } else {
            let (plain, after) = rest.split_at_checked(scan::ordinary(rest.as_bytes()))?;
            if plain.is_empty() {
                return None;
            }
            text.push_str(plain);
            rest = after;
        }
    }
    Some(())
}

/// The character that an escape stands for, whose backslash is behind; and what follows.
fn unescaped(escape: &str) -> Option<(char, &str)> {
    let mut characters = escape.chars();
    let character = match characters.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return from_utf16(characters.as_str()),
        other => other,
    };
    Some((character, characters.as_str()))
}

/// The character of the code unit at the start, or of a pair of them; and what follows.
fn from_utf16(text: &str) -> Option<(char, &str)> {
    let (first, rest) = code_unit(text)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (second, rest) = code_unit(rest.strip_prefix(r"\u")?)?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, rest))
}

/// The code unit of four hexadecimal digits.
fn code_unit(text: &str) -> Option<(u16, &str)> {
    let digits = text.as_bytes().first_chunk::<4>()?;
    let unit = digits.iter().fold(0, |unit, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            _ => (digit | b' ').wrapping_sub(b'a' - 10),
        };
        unit << 4 | u16::from(value)
    });
    Some((unit, text.get(digits.len()..)?))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec::Vec};
    use core::fmt;

    use proptest::{collection::vec, prelude::*, sample::select};
    use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

    use super::*;

    /// One of the first, as a rule, or one of the others.
    fn mostly(
        rule: &'static [&'static str],
        others: &'static [&'static str],
    ) -> impl Strategy<Value = String> {
        prop_oneof![19 => select(rule), 1 => select(others)].prop_map(String::from)
    }

    fn space() -> impl Strategy<Value = String> {
        mostly(&["", "", "", " ", "\r\n\t"], &["\u{a0}", "\u{b}", "/**/"])
    }

    fn name() -> impl Strategy<Value = String> {
        mostly(
            &[r#""a""#, r#""b""#, r#""""#, r#""é""#, r#""\u0061""#],
            &[r#""\ud800""#, r#""a"#, "a", "1", "\"\u{1}\"", "\"\n\""],
        )
    }

    fn scalar() -> impl Strategy<Value = String> {
        mostly(
            &[
                "null",
                "true",
                "false",
                "0",
                "-0",
                "12",
                "-1.50",
                "1e9",
                "0.0E+0",
                "1E-2",
                r#""""#,
                r#""a b""#,
                "\"é\u{7f}\"",
                r#""\"\\\/\b\f\n\r\t""#,
                r#""\u00E9\uD83d\ude00""#,
            ],
            &[
                "nul",
                "nulll",
                "True",
                "00",
                "01",
                "-",
                "+1",
                ".5",
                "1.",
                "1.e1",
                "1e",
                "1e+",
                "0x1",
                "NaN",
                "'a'",
                r#""\ud800""#,
                r#""\udc00\ud800""#,
                r#""\ud800\u0061""#,
                r#""\u+123""#,
                r#""\u12"#,
                r#""\u12x4""#,
                r#""\x""#,
                r#""\"#,
                r#"""#,
                "\"\u{0}\"",
                "\"\u{1f}\"",
                "",
            ],
        )
    }

    fn joined(items: &[String], ends: [&str; 2], separator: &str) -> String {
        [ends[0], &items.join(separator), ends[1]].concat()
    }

    /// Objects whose values are of these.
    fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let member = (space(), name(), space(), space(), value, space());
        let member = member.prop_map(|(before, name, after, between, value, end)| {
            format!("{before}{name}{after}:{between}{value}{end}")
        });
        let separator = mostly(&[","], &["", ",,", ";"]);
        let ends = mostly(&["{}"], &["{,", ",}", "{]", "{"]);
        (vec(member, 0..4), separator, ends).prop_map(|(members, separator, ends)| {
            let (open, close) = ends.split_at(1);
            joined(&members, [open, close], &separator)
        })
    }

    fn any_value() -> impl Strategy<Value = String> {
        scalar().prop_recursive(4, 16, 4, |value| {
            let arrays =
                vec(value.clone(), 0..4).prop_map(|items| joined(&items, ["[", "]"], ", "));
            prop_oneof![arrays, object_of(value)]
        })
    }

    /// Texts that are JSON, or nearly, and objects as a rule.
    fn nearly_json() -> impl Strategy<Value = String> {
        let after = mostly(&["", " ", "\n"], &["x", "}", "{}", ",", "\u{0}"]);
        let value = prop_oneof![9 => object_of(any_value()), 1 => any_value()];
        (space(), value, after).prop_map(|(before, value, after)| [before, value, after].concat())
    }

    /// The members of an object in their order, as `serde_json` reads them.
    struct Members(Vec<(String, serde_json::Value)>);

    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(MembersVisitor)
        }
    }

    struct MembersVisitor;

    impl<'de> Visitor<'de> for MembersVisitor {
        type Value = Members;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(Members(members))
        }
    }

    /// What `serde_json` makes of a value that was read; `None` if it makes nothing of it.
    fn judged(value: Value<'_>) -> Option<serde_json::Value> {
        match value {
            Value::Plain(_) | Value::Escaped(_) => Some(value.string()?.to_string().into()),
            Value::Other(json) => serde_json::from_str(json).ok(),
        }
    }

    const NAMES: [&str; 2] = ["a", "b"];

    /// Compares what `object` reads with what `serde_json` does.
    fn compare(text: &str) -> Result<(), TestCaseError> {
        let read = object(text, NAMES);
        if serde_json::from_str::<IgnoredAny>(text).is_err() {
            // A member that stands twice may come before the mistake.
            let refused = matches!(
                read,
                Err(Problem::NotJson { .. } | Problem::DuplicateMember(_))
            );
            prop_assert!(refused, "{read:?}");
            return Ok(());
        }
        let trimmed = text.trim_start();
        if !trimmed.starts_with('{') {
            prop_assert_eq!(read, Err(Problem::NotAnObject));
            return Ok(());
        }
        let Ok(Members(members)) = serde_json::from_str(text) else {
            // Lone surrogates are text for nobody, and JSON all the same.
            prop_assert!(!matches!(read, Err(Problem::NotJson { .. })), "{read:?}");
            return Ok(());
        };
        let named = |name: &str| -> Vec<_> { members.iter().filter(|it| it.0 == name).collect() };
        if NAMES.iter().any(|name| named(name).len() > 1) {
            prop_assert!(matches!(read, Err(Problem::DuplicateMember(_))), "{read:?}");
            return Ok(());
        }
        let values = read.map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        for (name, value) in NAMES.iter().zip(values) {
            let expected = named(name).first().map(|member| &member.1);
            let judged = value.and_then(judged);
            prop_assert_eq!(judged.as_ref(), expected.filter(|value| !value.is_null()));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn what_serde_json_reads_is_read_alike(text in nearly_json()) {
            compare(&text)?;
        }

        #[test]
        fn what_breaks_off_is_read_alike(text in nearly_json(), cut in any::<prop::sample::Index>()) {
            let mut cut = cut.index(text.len() + 1);
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            compare(&text[..cut])?;
        }
    }

    #[test]
    fn an_object_is_read_and_anything_else_is_refused() {
        let not_json = |offset| Some(Problem::NotJson { offset });
        for (text, problem) in [
            (r#"{"a":1}"#, None),
            ("\t\r\n {\"a\":1} \n", None),
            (r#"{"b":{"a":1,"a":2},"a":[[[]]]}"#, None),
            (r#"{"a":1,"\ud800":2}"#, None),
            ("[1]", Some(Problem::NotAnObject)),
            ("\"a\"", Some(Problem::NotAnObject)),
            ("null", Some(Problem::NotAnObject)),
            ("", not_json(0)),
            ("\u{feff}{}", not_json(0)),
            ("<html>", not_json(0)),
            ("[1", not_json(2)),
            (r#"{"a":1,"a":2}"#, Some(Problem::DuplicateMember("a"))),
            (
                r#"{"a":null,"\u0061":2}"#,
                Some(Problem::DuplicateMember("a")),
            ),
            (r#"{"a":1} x"#, not_json(8)),
            (r#"{"a":1,}"#, not_json(7)),
            (r#"{,"a":1}"#, not_json(1)),
            (r#"{"a":[,1]}"#, not_json(6)),
            (r#"{"a":"\u00g0"}"#, not_json(7)),
            (r#"{"a":"#, not_json(5)),
            (r#"{"a":"\x"}"#, not_json(7)),
            ("{\"a\":\n01}", not_json(7)),
            (r#"{"a":[1,{"b":tru}]}"#, not_json(13)),
        ] {
            assert_eq!(object(text, ["a"]).err(), problem, "{text}");
        }
        let deep = "[".repeat(60_000);
        assert!(object(&format!("{{\"a\":{deep}"), ["a"]).is_err());
    }

    #[test]
    fn strings_are_borrowed_or_decoded() {
        for (value, text) in [
            (r#""plain""#, Some("plain")),
            (r#""a\/b\u0063""#, Some("a/bc")),
            (r#""\ud83d\uDE00\u00E9\u00e9""#, Some("😀éé")),
            (r#""""#, Some("")),
            (r#""\ud800""#, None),
            (r#""\ude00\ud83d""#, None),
            (r#""\ud83d\n""#, None),
            ("12", None),
            ("[\"a\"]", None),
        ] {
            let body = format!("{{\"a\":{value}}}");
            let [a] = object(&body, ["a"]).unwrap();
            assert_eq!(a.and_then(Value::string).as_deref(), text, "{value}");
        }
        let decoded = unescape(r"\u0061\/").unwrap();
        assert_eq!((decoded.as_str(), decoded.capacity()), ("a/", 8));
    }
}
