//! Tokens and records in their stored form: a JSON object in one line.

use alloc::string::String;
use core::fmt;

use serde::{Serialize, Serializer};

use crate::{
    json::{self, Value},
    response::problem::Problem,
    time::UnixTime,
    token::Token,
};

/// The value of a member that is stored.
#[derive(Clone, Copy)]
pub(crate) enum Stored<'a> {
    Number(u64),
    Text(&'a str),
    Null,
}

impl From<u64> for Stored<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<UnixTime> for Stored<'_> {
    fn from(time: UnixTime) -> Self {
        Self::Number(time.as_secs())
    }
}

impl<'a> From<&'a Token> for Stored<'a> {
    fn from(token: &'a Token) -> Self {
        Self::Text(token.expose())
    }
}

impl<'a, T: Into<Stored<'a>>> From<Option<T>> for Stored<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Null => serializer.serialize_none(),
        }
    }
}

/// Writes an object with these members, in this order.
#[expect(clippy::expect_used, reason = "an object of strings and numbers can be serialized")]
pub(crate) fn to_json<const N: usize>(names: &[&str; N], values: [Stored<'_>; N]) -> String {
    struct Object<'a, const N: usize>(&'a [&'a str; N], [Stored<'a>; N]);

    impl<const N: usize> Serialize for Object<'_, N> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().zip(&self.1))
        }
    }

    serde_json::to_string(&Object(names, values)).expect("strings and numbers")
}

/// The members of a stored object. Unknown ones are ignored, and null is the same as absent.
pub(crate) struct Members<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<Value<'a>>; N],
}

impl<'a, const N: usize> Members<'a, N> {
    /// Reads an object whose member `format` is this number.
    pub(crate) fn read(
        text: &'a str,
        names: &'static [&'static str; N],
        format: u64,
    ) -> Result<Self, InvalidRecord> {
        let members = json::object(text, names).map_err(Problem::from)?;
        if let Some(name) = members.duplicate().and_then(|at| names.get(at)) {
            return Err(Problem::DuplicateMember(name).into());
        }
        let members = Self { names, values: members.values() };
        match members.number("format")? {
            found if found == format => Ok(members),
            found => Err(InvalidRecord(Fault::OtherFormat { found, expected: format })),
        }
    }

    fn find(&self, name: &str) -> Option<Value<'a>> {
        let at = self.names.iter().position(|known| *known == name)?;
        *self.values.get(at)?
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<json::Text<'a>, Problem> {
        let value = self.find(name).ok_or(Problem::MissingMember(name))?;
        value.string().ok_or(Problem::InvalidMember(name))
    }

    pub(crate) fn number(&self, name: &'static str) -> Result<u64, Problem> {
        let value = self.find(name).ok_or(Problem::MissingMember(name))?;
        let number = value.number().and_then(|number| number.parse().ok());
        number.ok_or(Problem::InvalidMember(name))
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<UnixTime, Problem> {
        self.number(name).map(UnixTime::from_secs)
    }

    pub(crate) fn token(&self, name: &'static str) -> Result<Token, Problem> {
        Token::new(&self.text(name)?).map_err(|_| Problem::InvalidMember(name))
    }

    /// Reads a member that may be absent, with one of the methods above.
    pub(crate) fn optional<T>(
        &self,
        read: impl Fn(&Self, &'static str) -> Result<T, Problem>,
        name: &'static str,
    ) -> Result<Option<T>, Problem> {
        self.find(name).map(|_| read(self, name)).transpose()
    }
}

/// The error for a stored text that is not valid. It contains no part of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidRecord(Fault);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Fault {
    OtherFormat { found: u64, expected: u64 },
    Damaged(Problem),
}

impl From<Problem> for InvalidRecord {
    fn from(problem: Problem) -> Self {
        Self(Fault::Damaged(problem))
    }
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let damaged = "the stored record is damaged";
        match &self.0 {
            Fault::OtherFormat { found, expected } => {
                write!(
                    f,
                    "the stored record has format {found}, this version reads format {expected}"
                )
            }
            Fault::Damaged(Problem::NotJson { line, column, .. }) => {
                write!(f, "{damaged}: not JSON (line {line}, column {column})")
            }
            Fault::Damaged(Problem::NotAnObject) => write!(f, "{damaged}: not a JSON object"),
            Fault::Damaged(problem) => write!(f, "{damaged}: {problem}"),
        }
    }
}

impl core::error::Error for InvalidRecord {}
