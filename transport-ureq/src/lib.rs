#![doc = include_str!("lib.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod builder;
mod call;
mod connect;
mod proxy;
mod resolve;
mod sessions;
mod spare;
mod tls;
#[cfg(test)]
mod torture;
mod transport;
mod witness;
mod workers;

pub use builder::{BuildError, TransportBuilder};
#[doc(no_inline)]
pub use dropbox_sign_oauth::*;
#[cfg(feature = "redis")]
pub use dropbox_sign_oauth_store::RedisStore;
pub use dropbox_sign_oauth_store::{
    Cipher, Clock, FileStore, FileStoreError, MemoryStore, Sealed, SessionOptions, Store,
    database::DatabaseError,
};
#[cfg(feature = "postgres")]
pub use dropbox_sign_oauth_store::{PostgresManager, PostgresStore};
pub use rustls::{self, pki_types::CertificateDer};
pub use sessions::{Session, Sessions};
pub use transport::Transport;
/// The agent that [`TransportBuilder::build_with_agent`] takes.
pub use ureq;

/// Compiles the code of this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
