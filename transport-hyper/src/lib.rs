//! The async transport for [`dropbox_sign_oauth`], based on hyper or any tower service.
//!
//! [`Transport::send`] sends an [`Operation`] and returns its output, or a [`CallError`] that tells
//! whether the request may have reached the server. This crate re-exports the core, so programs
//! need no other crate.
//!
//! ```no_run
//! use dropbox_sign_oauth_hyper::{App, State, Transport};
//!
//! /// Redirects the user. Keep the state in the browser session.
//! fn login(app: &App) -> (String, State) {
//!     let state = State::random();
//!     (app.authorize_url(&state), state)
//! }
//!
//! /// Handles the callback: the user returns with this query.
//! async fn callback(
//!     app: &App,
//!     transport: &Transport,
//!     query: &str,
//!     state: &State,
//! ) -> Result<String, Box<dyn std::error::Error>> {
//!     let code = app.callback(query, state)?;
//!     let tokens = transport.send(app.generate(code)).await?;
//!     let account = transport.send(app.account(&tokens.access_token)).await?;
//!     Ok(account.email_address)
//! }
//! ```
//!
//! # Rules
//! - Requests use `https`. Plain `http` is limited to loopback hosts unless [`PlainHttp::Anywhere`]
//!   is set.
//! - Redirects are not followed. Responses are not decompressed, and cookies are ignored.
//! - A proxy is used only if the builder sets one. If it fails, the call fails: there is no
//!   fallback to a direct connection.
//! - One deadline covers the whole call. The head and the body of the response have size limits.
//! - Code exchanges always open a new connection and are sent at most once. Refreshes and account
//!   requests may reuse a pooled connection.
//! - The tasks and sockets of a call end at most a second after it, except pooled connections.
//!   Lookups by the system's resolver cannot be canceled; at most 16 run at a time.
//!
//! [`Session`] keeps tokens valid. Tasks, and processes with the same [`Store`], can share a
//! session.
//!
//! # Features
//! - `http2`: offers HTTP/2 if the builder enables it.
//! - `platform-verifier`: verifies certificates with the platform's verifier and roots.
//! - `postgres`, `redis`: stores in databases, on `deadpool-postgres` and the `redis` crate.
//!
//! # Logging
//! At DEBUG, no secrets are logged. The `Debug` output of a request shows its headers, in which
//! credentials are marked sensitive, and the length of its body.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod body;
mod builder;
mod client;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod sessions;
mod store;
mod transport;

pub use body::{CallEnded, RequestBody};
pub use builder::{BuildError, TransportBuilder};
pub use client::{Client, ResponseStream};
#[doc(no_inline)]
pub use dropbox_sign_oauth::*;
pub use dropbox_sign_oauth_store::{
    Cipher, FileStore, FileStoreError, MemoryStore, Sealed, SessionOptions, database::DatabaseError,
};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub use rustls::pki_types::CertificateDer;
pub use sessions::{Session, Sessions};
pub use store::{Blocking, Store};
pub use transport::Transport;

/// Compiles the code of this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
