//! A conformance run for session stores, blocking or async, and servers to run it against.
//!
//! [`check`] goes through what a [`Store`](dropbox_sign_oauth_store::Store) promises, and [`faults`]
//! through what happens to a store with a server behind it. Both panic with the name of the promise
//! that was broken. An async store goes through them as a blocking one, with the runtime's `block_on`
//! in each of its three methods.
//!
//! ```
//! use dropbox_sign_oauth_store::MemoryStore;
//! use dropbox_sign_oauth_testkit::store;
//!
//! store::check(&MemoryStore::default());
//! ```

pub mod faults;
mod promises;
mod proxy;
mod record;
pub mod server;

pub use self::{
    promises::check,
    proxy::{Fault, Proxy},
    record::{large_record, record},
};
