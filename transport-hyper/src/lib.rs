#![doc = include_str!("lib.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod body;
mod builder;
mod client;
mod sessions;
mod store;
mod transport;

pub use body::{CallEnded, RequestBody};
pub use builder::{BuildError, TransportBuilder};
pub use client::{Client, ResponseStream};
#[doc(no_inline)]
pub use dropbox_sign_oauth::*;
#[cfg(feature = "postgres")]
pub use dropbox_sign_oauth_store::PostgresStore;
#[cfg(feature = "redis")]
pub use dropbox_sign_oauth_store::RedisStore;
pub use dropbox_sign_oauth_store::{
    AsyncStore as Store, Cipher, Clock, FileStore, FileStoreError, MemoryStore, Sealed,
    SessionOptions, database::DatabaseError,
};
pub use rustls::pki_types::CertificateDer;
pub use sessions::{Session, Sessions};
pub use store::Blocking;
pub use transport::Transport;

/// Compiles the code of this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
