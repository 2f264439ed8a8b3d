//! A conformance run for session stores, blocking or async, and servers to run it against.
//!
//! [`check`] tests the promises of [`Store`](dropbox_sign_oauth_store::Store), and [`faults`] tests a
//! store with a server behind it while its connections fail. Both panic with the name of the broken
//! promise. To test an async store, implement `Store` for a wrapper that calls the runtime's
//! `block_on` in each of the three methods.
//!
//! ```
//! use dropbox_sign_oauth_store::MemoryStore;
//! use dropbox_sign_oauth_testkit::store;
//!
//! store::check(&MemoryStore::default());
//! ```

#![expect(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "only tests call these functions, and fail where one returns an error or panics"
)]

pub mod faults;
mod promises;
mod proxy;
pub mod server;

use dropbox_sign_oauth::session::Record;

pub use self::{
    promises::check,
    proxy::{Fault, Proxy},
};

/// Returns a valid record with this version, of at most 63 bits, and an access token that contains
/// it.
pub fn record(version: u64) -> Record {
    with_token(version, &format!("access-{version}"))
}

/// Returns a record whose access token has `len` characters.
pub fn large_record(version: u64, len: usize) -> Record {
    with_token(version, &"a".repeat(len))
}

fn with_token(version: u64, token: &str) -> Record {
    let text = format!(
        r#"{{"format":2,"version":{version},"grant":5,"authorized_at":1,"refreshed_at":null,"refresh":"on_rejection","at":null,"claim":null,"failures":0,"rejections":0,"access_token":"{token}","refresh_token":"refresh","expires_at":null}}"#
    );
    Record::from_json(&text).expect("a valid record")
}
