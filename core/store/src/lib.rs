//! Where the sessions of [`dropbox_sign_oauth`] are kept: in memory, in a file that processes share,
//! or in a store of one's own.
//!
//! A store keeps one [`Record`] for each session, and replaces it by the next alone if nobody else
//! has. That is all that processes need of each other to share a session: whoever is first to store
//! its claim refreshes, and the others see who it was.
//!
//! # A store of one's own
//! [`Store`] is two methods. A record has a version and a text
//! ([`to_exposed_json`](Record::to_exposed_json), [`from_json`](Record::from_json)); the text has
//! the tokens in it in plain, so it belongs where the passwords are.
//!
//! In PostgreSQL:
//! ```sql
//! CREATE TABLE dropbox_sign_session (
//!     user_id text PRIMARY KEY,
//!     version bigint NOT NULL,
//!     record  text NOT NULL
//! );
//! -- load
//! SELECT record FROM dropbox_sign_session WHERE user_id = $1;
//! -- compare_and_swap(None, new)
//! INSERT INTO dropbox_sign_session (user_id, version, record) VALUES ($1, $2, $3)
//!     ON CONFLICT (user_id) DO NOTHING;
//! -- compare_and_swap(Some(expected), new)
//! UPDATE dropbox_sign_session SET version = $2, record = $3
//!     WHERE user_id = $1 AND version = $4;
//! -- One row was changed: Swapped::Yes. None was: Swapped::No.
//! ```
//! In Redis, where `EVAL` is atomic:
//! ```text
//! # load
//! HGET dropbox-sign:session:USER record
//! # compare_and_swap: EXPECTED is empty if there must be none; 1 is Swapped::Yes, 0 Swapped::No
//! EVAL "if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
//!       redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
//!       return 1" 1 dropbox-sign:session:USER EXPECTED VERSION RECORD
//! ```
//! To end a session, remove its row or key. Sessions that hold it use their access token as long
//! as it is good, and end at the next refresh.
//!
//! # What compare-and-swap guarantees
//! - Of all who expect the same version, one stores its record, and the others learn that they did
//!   not. So one refresh is under way at a time, as long as no claim runs out.
//! - Nobody uses tokens that are not stored, and tokens are not replaced by older ones.
//! - A process that dies in the middle holds up the others until its claim runs out, and no longer.
//!
//! # What it does not
//! - If a process dies after the service has given new tokens and before they are stored, they are
//!   lost. Where the service spends the old refresh token in giving a new one, the user must
//!   authorize again. Nothing on our side can change that.
//! - A store that forgets what it has acknowledged (a replica that takes over and lags) brings back
//!   an old refresh token, with the same end. Load from where you swap.
//! - Claims are times. Clocks that are apart by more than the policy's lease lead to two refreshes at
//!   a time, which costs a call, and is mended by the versions unless an answer is lost as well.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod file;
mod memory;

use std::{error::Error, sync::Arc};

pub use dropbox_sign_oauth::session::{Record, Swapped};

pub use self::{
    file::{FileStore, FileStoreError},
    memory::MemoryStore,
};

/// The place of one session's record, for callers that can block.
///
/// The record is the same for all who have the place: other threads, other processes, other
/// machines.
pub trait Store: Send + Sync {
    /// Why a store fails.
    type Error: Error + Send + Sync + 'static;

    /// The record that is stored, if there is one.
    ///
    /// # Errors
    /// If it cannot be told, or is not one that this version reads.
    fn load(&self) -> Result<Option<Record>, Self::Error>;

    /// Stores `new` if the record that is stored has the version `expected`, or if there is none and
    /// `None` is expected; and changes nothing otherwise.
    ///
    /// # Errors
    /// If it is not known to be stored. It may be, for all that: the session finds out by itself.
    fn compare_and_swap(&self, expected: Option<u64>, new: &Record)
    -> Result<Swapped, Self::Error>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    type Error = S::Error;

    fn load(&self) -> Result<Option<Record>, Self::Error> {
        (**self).load()
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: &Record,
    ) -> Result<Swapped, Self::Error> {
        (**self).compare_and_swap(expected, new)
    }
}
