//! Why a response is invalid.

use alloc::string::String;
use core::fmt;

use crate::json;

/// Why a response does not match the documented schema.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The status is neither a success nor an error.
    UnexpectedStatus,
    /// The body has a `Content-Encoding` other than `identity`. The request did not accept any.
    ContentEncoding,
    /// The body is empty.
    EmptyBody,
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is not JSON, or continues after the JSON object.
    NotJson {
        /// The line of the first syntax error, counted from 1.
        line: usize,
        /// The column of the first syntax error in bytes, counted from 1; 0 at the start of a line.
        column: usize,
        /// The `Content-Type`, unless it is JSON. It can show what responded, such as a proxy.
        content_type: Option<String>,
    },
    /// The body is JSON but not an object.
    NotAnObject,
    /// The body is JSON but not what the operation expects.
    Schema {
        /// The line of the mismatch, counted from 1.
        line: usize,
        /// The column of the mismatch in bytes, counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// The object has this documented member more than once.
    DuplicateMember(&'static str),
    /// The object lacks this required member, or it is null.
    MissingMember(&'static str),
    /// This member has a value that is not allowed.
    InvalidMember(&'static str),
}

impl From<json::Error> for Problem {
    fn from(error: json::Error) -> Self {
        match error {
            json::Error::Syntax(json::Position { line, column }) => {
                Self::NotJson { line, column, content_type: None }
            }
            json::Error::NotAnObject => Self::NotAnObject,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedStatus => f.write_str("unexpected status"),
            Self::ContentEncoding => f.write_str("unexpected content encoding"),
            Self::EmptyBody => f.write_str("the body is empty"),
            Self::NotUtf8 => f.write_str("the body is not UTF-8"),
            Self::NotJson { line, column, content_type } => {
                write!(f, "the body is not JSON (line {line}, column {column})")?;
                match content_type {
                    Some(content_type) => write!(f, " but `{content_type}`"),
                    None => Ok(()),
                }
            }
            Self::NotAnObject => f.write_str("the body is not a JSON object"),
            Self::Schema { line, column } => {
                write!(f, "the body does not match the schema (line {line}, column {column})")
            }
            Self::DuplicateMember(name) => write!(f, "duplicate member `{name}`"),
            Self::MissingMember(name) => write!(f, "missing member `{name}`"),
            Self::InvalidMember(name) => write!(f, "invalid value of member `{name}`"),
        }
    }
}
