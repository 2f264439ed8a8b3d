//! The little JSON that the wire needs: objects read member by member, and strings written.
//!
//! It is read by hand, because a general reader builds, copies or quotes what it reads. This one
//! borrows; what it decodes, it wipes; no message of it has a byte of the text; and a hostile byte
//! takes it less time than two honest ones (the bench `growth` shows it). Tests hold it against
//! `serde_json`: it reads what that reads, and refuses what that refuses.

mod read;
mod scan;
mod write;

pub(crate) use read::{Text, Value, object};
pub(crate) use write::escaped;
