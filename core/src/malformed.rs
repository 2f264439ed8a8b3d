//! An answer that is not one that the contract knows, and what is wrong with it.

use core::fmt;

use http::StatusCode;

/// An answer that is not one that the contract knows. Nothing of its body is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    status: StatusCode,
    problem: Problem,
}

impl Malformed {
    /// An answer with `status` whose body has `problem`: for operations outside this crate.
    #[must_use]
    pub fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server answered {} but not as documented: {}; check the endpoint, and whether \
             something between answers in its place",
            self.status.as_u16(),
            self.problem
        )
    }
}

impl core::error::Error for Malformed {}

/// What is wrong with a malformed answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A status that is neither a success nor an error.
    UnexpectedStatus,
    /// A `Content-Type` that is not JSON in UTF-8.
    ContentType,
    /// A `Content-Encoding` other than `identity`, which was not asked for.
    ContentEncoding,
    /// No body.
    EmptyBody,
    /// A body that is not UTF-8.
    NotUtf8,
    /// A body that is not JSON, or goes on after it.
    NotJson {
        /// How many bytes stand before the first thing that is not JSON.
        offset: usize,
    },
    /// JSON whose top level is not an object.
    NotAnObject,
    /// An object with this member, which is known, twice.
    DuplicateMember(&'static str),
    /// A required member is absent or null.
    MissingMember(&'static str),
    /// A member whose value is not what the contract allows.
    InvalidMember(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedStatus => f.write_str("the status is neither a success nor an error"),
            Self::ContentType => f.write_str("the content type is not JSON in UTF-8"),
            Self::ContentEncoding => f.write_str("the content is encoded, which was not asked for"),
            Self::EmptyBody => f.write_str("the body is empty"),
            Self::NotUtf8 => f.write_str("the body is not UTF-8"),
            Self::NotJson { offset } => write!(f, "the body is not JSON (after {offset} bytes)"),
            Self::NotAnObject => f.write_str("the body is not a JSON object"),
            Self::DuplicateMember(name) => write!(f, "`{name}` stands there twice"),
            Self::MissingMember(name) => write!(f, "`{name}` is missing"),
            Self::InvalidMember(name) => write!(f, "`{name}` has an invalid value"),
        }
    }
}
