//! A blocking transport for [`dropbox_sign_oauth`] on ureq and rustls. The items of that crate are
//! re-exported here.
//!
//! [`Transport::send`] sends any [`Operation`] and returns its output or a [`CallError`], which says
//! what is known about the request:
//! - `https` only. Plain `http` is limited to loopback hosts unless [`PlainHttp::Anywhere`] is set.
//! - No redirects, no decompression, no cookies. No proxy unless one is set with
//!   [`TransportBuilder::proxy`] or [`TransportBuilder::proxy_from_env`]; then it is never bypassed.
//! - One deadline for the whole call, and limits for the head and the body of the response, counted
//!   as they arrive.
//! - A code exchange sends its request at most once, on a new connection. A request that is safe
//!   to repeat may reuse a pooled connection, and is sent once more if that turns out to be closed.
//!   [`Transport::send_with_retry`] makes further attempts where they are safe.
//!
//! [`Session`] keeps tokens valid, for threads and for processes that share its [`Store`].
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
//! // Redirect the user, and keep the state in the user's browser session.
//! let state = State::random();
//! save(&state);
//! println!("{}", app.authorize_url(&state));
//!
//! // The user is back at the callback URL.
//! let code = app.callback(query, &saved())?;
//! let response = transport.send(app.generate(code))?;
//! let tokens = TokenSet::new(response, UnixTime::now());
//! # let _ = tokens; Ok(()) }
//! ```
//! `examples/exchange.rs` is a complete program.
//!
//! # Features
//! - `platform-verifier`, off by default: verify certificates by the platform's verifier and roots.
//!
//! # Features of ureq
//! Cargo enables a feature of ureq for all crates of a program if one of them asks for it. With
//! `gzip` or `brotli`, ureq decodes bodies that should not be encoded and hides that they were: the
//! body limit then counts decoded bytes. With `cookies`, it stores and sends cookies. No setting
//! turns these off. `cargo tree -e features -i ureq` shows who enables them.
//!
//! # Logging
//! At TRACE, ureq logs heads and bodies with their secrets: limit the targets `ureq` and
//! `ureq_proto` to DEBUG, at which nothing secret is logged.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// The servers of the integration tests use this crate by its name.
#[cfg(test)]
extern crate self as dropbox_sign_oauth_ureq;

mod builder;
mod call;
mod connect;
mod entropy;
mod error;
mod proxy;
mod resolve;
mod sessions;
mod tls;
#[cfg(test)]
mod torture;
mod transport;
mod witness;

pub use builder::TransportBuilder;
#[doc(no_inline)]
pub use dropbox_sign_oauth::*;
pub use dropbox_sign_oauth_store::{FileStore, FileStoreError, MemoryStore, SessionOptions, Store};
pub use error::BuildError;
pub use rustls::{self, pki_types::CertificateDer};
pub use sessions::{Session, Sessions};
pub use transport::Transport;
/// The agent that [`TransportBuilder::build_with_agent`] takes.
pub use ureq;

/// The code of this package's README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
