//! Long response bodies, honest and hostile.

use dropbox_sign_oauth::DEFAULT_BODY_LIMIT;
use http::{Response, StatusCode};

use crate::fixture;

/// The lengths. The first is about that of the documented response.
pub const LENGTHS: [usize; 3] = [300, 1 << 12, DEFAULT_BODY_LIMIT];

/// Makes a body with about this many bytes of filler.
pub type Make = fn(usize) -> String;

/// The names of the kinds, of which the first is honest and has long tokens, and how their bodies are made.
pub const KINDS: [(&str, Make); 13] = [
    ("honest", |len| long_token(len, "NWNiOTMx")),
    ("escaped token", |len| long_token(len, "\\u004e")),
    ("escaped unknown string", |len| unknown(&format!("\"{}\"", repeat("\\n\\u00e9", len)))),
    ("unknown members", |len| members(len, |n| format!("\"x{n}\":{n},"))),
    ("duplicates of one unknown", |len| members(len, |_| "\"x\":0,".into())),
    ("members of empty objects", |len| members(len, |_| "\"\":{},".into())),
    ("members of empty strings", |len| members(len, |_| "\"\":\"\",".into())),
    ("whitespace", |len| unknown(&format!("0{}", repeat(" \n", len)))),
    ("escaped names", |len| members(len, |_| "\"\\u0061ccess_toke\":0,".into())),
    ("nested arrays", |len| unknown(&format!("{}{}", repeat("[", len / 2), repeat("]", len / 2)))),
    ("400, escaped message", |len| {
        let message = repeat("\\u00e9\\\"", len);
        format!(r#"{{"error":"invalid_grant","error_description":"{message}"}}"#)
    }),
    ("400, error of empty objects", error_object),
    ("200, error of empty objects", error_object),
];

/// A body of one kind.
#[derive(Debug)]
pub struct Body {
    name: String,
    status: StatusCode,
    text: String,
}

impl Body {
    /// Makes the longest body of a kind that has at most `len` bytes.
    ///
    /// # Panics
    /// If no kind has this name.
    #[must_use]
    pub fn new(kind: &str, len: usize) -> Self {
        let (name, make) = KINDS.iter().find(|(name, _)| *name == kind).expect("a kind");
        let mut filler = len;
        let text = loop {
            let text = make(filler);
            match text.len().checked_sub(len) {
                None | Some(0) => break text,
                Some(excess) => filler = filler.saturating_sub(excess),
            }
        };
        let status = if name.starts_with("400") { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Self { name: format!("{name}, {len}"), status, text }
    }

    /// Returns the name of the kind and the length.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Returns a response with this body.
    #[must_use]
    pub fn response(&self) -> Response<Vec<u8>> {
        fixture::response(self.status, self.text.as_str())
    }
}

fn error_object(len: usize) -> String {
    format!(r#"{{"error":{{{}"":{{}}}}}}"#, repeat(r#""":{},"#, len))
}

/// Repeats `unit` as often as it fits.
fn repeat(unit: &str, len: usize) -> String {
    unit.repeat(len / unit.len())
}

fn long_token(len: usize, unit: &str) -> String {
    let token = repeat(unit, len.saturating_sub(fixture::TOKENS.len()));
    fixture::TOKENS.replacen("NWNi", &format!("NWNi{token}"), 1)
}

/// The documented body with one more member.
fn unknown(value: &str) -> String {
    fixture::TOKENS.replacen('{', &format!("{{\"x\":{value},"), 1)
}

/// The documented body with many more members.
fn members(len: usize, member: impl Fn(usize) -> String) -> String {
    let mut more = String::from("{");
    for n in 0.. {
        let next = member(n);
        if more.len() + next.len() > len {
            break;
        }
        more.push_str(&next);
    }
    fixture::TOKENS.replacen('{', &more, 1)
}
