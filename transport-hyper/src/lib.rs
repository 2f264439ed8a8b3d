//! The async transport of [`dropbox_sign_oauth`]: hyper and rustls, or any tower service.
//!
//! [`Transport::send`] sends any [`Operation`] and returns its output, or a [`CallError`] that says
//! what is known about the request. This crate re-exports the core, so programs need no other.
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
//! /// The user returns to the callback URL with a query.
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
//! - `https` only; plain `http` only to loopback hosts, or with [`PlainHttp::Anywhere`].
//! - No redirects, decompression or cookies. No proxy unless the builder names one; a proxy is
//!   never bypassed.
//! - One deadline over the whole call, one limit for the body, and limits for the head.
//! - Code exchanges always open a new connection and are sent once. Refreshes and account requests
//!   may reuse a pooled connection.
//! - A call leaves no task or socket behind for longer than a second, except pooled connections.
//!   Lookups by the system's resolver cannot be canceled; at most 16 run at a time.
//!
//! [`Session`] keeps tokens valid, for tasks and for processes that share a [`Store`].
//!
//! # Features
//! - `http2`: offers HTTP/2 if the builder says so.
//! - `platform-verifier`: verifies certificates with the platform's verifier and roots.
//!
//! # Logs
//! Nothing secret is logged at DEBUG. Middleware that prints an `http::Request` prints its headers,
//! where credentials are marked sensitive, and the length of its body.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

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
pub use dropbox_sign_oauth_store::{FileStore, FileStoreError, MemoryStore, SessionOptions};
pub use rustls::pki_types::CertificateDer;
pub use sessions::{Session, Sessions};
pub use store::{Blocking, Store};
pub use transport::Transport;

/// The code of this package's README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
