//! The little JSON that the wire needs: objects read member by member, and strings written.
//!
//! It is read by hand, because a general reader builds, copies or quotes what it reads. This one
//! borrows; values that it decodes are wiped; no message of it has a byte of the text; and it takes
//! one pass over any body, in time that grows with its length alone (the bench `growth`). Tests hold
//! it against `serde_json`: they read and refuse alike, but for known members that stand twice, which
//! are refused here, and lone surrogates, which make no text and are JSON all the same.

mod read;
mod scan;
mod write;

pub(crate) use read::{Text, Value, object};
pub(crate) use write::escaped;
