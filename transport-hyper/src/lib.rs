//! The async transport of [`dropbox_sign_oauth`], on hyper and rustls, or on any tower service.
//!
//! [`Transport::send`] carries any [`Operation`](core::Operation), and answers with its output or
//! a [`CallError`](core::CallError) that says what is known about the request. Its rules:
//! - `https` only; plain `http` to this machine, or where it is asked for by name.
//! - No redirects, no proxy, no decompression, no cookies.
//! - One deadline over everything, one limit for the body, counted as it arrives.
//! - `send` sends once; `send_with_retry` may send again, and a code only after *not sent* or a 429.
//!   A code does not ride on a kept connection; a refresh may.
//!
//! [`Session`] keeps tokens fresh, for tasks and for processes that share its [`Store`].
//!
//! The blocking sister is `dropbox-sign-oauth-ureq`; it differs by `async` alone.
//!
//! # Features
//! - `http2`: offer HTTP/2, where the builder asks for it.
//! - `platform-verifier`: judge certificates by the platform's own verifier and roots.
//!
//! # What is logged
//! At DEBUG nothing secret is logged. A middleware that prints an `http::Request` prints its
//! headers, where the credentials are marked sensitive, and its body, which shows its length alone.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod body;
mod builder;
mod client;
mod clock;
mod session;
mod store;
mod transport;

pub use body::{CallEnded, RequestBody};
pub use builder::{Builder, InvalidTls};
pub use client::Client;
/// The core, so that its version need not be kept in step by hand.
pub use dropbox_sign_oauth as core;
pub use dropbox_sign_oauth_store::{FileStore, FileStoreError, MemoryStore};
pub use rustls::pki_types::CertificateDer;
pub use session::Session;
pub use store::{Blocking, Store};
pub use transport::Transport;
