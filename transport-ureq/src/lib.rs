//! The blocking transport for [`dropbox_sign_oauth`], based on ureq.
//!
//! This crate re-exports the core, so programs need no other crate.
//!
//! [`Transport::send`] sends an [`Operation`] and returns its output, or a [`CallError`] that tells
//! whether the request may have reached the server.
//!
//! # Rules
//! - Requests use `https`. Plain `http` is limited to loopback hosts unless [`PlainHttp::Anywhere`]
//!   is set.
//! - Redirects are not followed. Responses are not decompressed, and cookies are ignored.
//! - A proxy is used only if [`TransportBuilder::proxy`] or [`TransportBuilder::proxy_from_env`]
//!   sets one. If it fails, the call fails: there is no fallback to a direct connection.
//! - One deadline covers the whole call. The head and the body of the response have size limits.
//! - A code exchange is sent at most once, on a new connection. A request that is safe to repeat
//!   may reuse a pooled connection, and is sent once more if the server has closed that connection.
//!   [`Transport::send_with_retry`] makes further attempts if they are safe.
//!
//! [`Session`] keeps tokens valid. Threads, and processes with the same [`Store`], can share a
//! session.
//!
//! The async counterpart is `dropbox-sign-oauth-hyper`, with the same names.
//!
//! # Example
//! ```no_run
//! use std::error::Error;
//!
//! use dropbox_sign_oauth_ureq::{App, State, TokenSet, Transport, UnixTime};
//!
//! # fn login(id: &str, secret: &str, save: impl Fn(&State), saved: impl Fn() -> State, query: &str) -> Result<(), Box<dyn Error>> {
//! // Once per program.
//! let app = App::new(id, secret)?;
//! let transport = Transport::new()?;
//!
//! // Redirect the user. Keep the state in the browser session.
//! let state = State::random();
//! save(&state);
//! println!("{}", app.authorize_url(&state));
//!
//! // The user returns to the callback URL with a query.
//! let code = app.callback(query, &saved())?;
//! let response = transport.send(app.generate(code))?;
//! let tokens = TokenSet::new(response, UnixTime::now());
//! # let _ = tokens; Ok(()) }
//! ```
//! `examples/exchange.rs` is a complete program.
//!
//! # Features
//! - `platform-verifier`: verifies certificates with the platform's verifier and roots.
//! - `postgres`, `redis`: stores in databases, on the `postgres` and `redis` crates
//!   with `r2d2`.
//!
//! # Features of ureq
//! If another crate of the program enables a feature of ureq, this crate gets it too. With `gzip`
//! or `brotli`, ureq decompresses responses, and the body limit counts decompressed bytes. With
//! `cookies`, it stores and sends cookies. No setting of this crate turns these off.
//! `cargo tree -e features -i ureq` shows which crates enable them.
//!
//! # Logging
//! At DEBUG, no secrets are logged. At TRACE, ureq logs heads and bodies with their secrets: limit
//! the targets `ureq` and `ureq_proto` to DEBUG.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod builder;
mod call;
mod connect;
mod proxy;
mod resolve;
mod sessions;
mod tls;
#[cfg(test)]
mod torture;
mod transport;
mod witness;

pub use builder::{BuildError, TransportBuilder};
#[doc(no_inline)]
pub use dropbox_sign_oauth::*;
#[cfg(feature = "redis")]
pub use dropbox_sign_oauth_store::RedisStore;
pub use dropbox_sign_oauth_store::{
    Cipher, FileStore, FileStoreError, MemoryStore, Sealed, SessionOptions, Store,
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
