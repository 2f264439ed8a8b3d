//! The blocking transport of [`dropbox_sign_oauth`], on ureq and rustls.
//!
//! [`Transport::send`] carries any [`Operation`](core::Operation), and answers with its output or
//! a [`CallError`](core::CallError) that says what is known about the request. Its rules:
//! - `https` only; plain `http` to this machine, or where it is asked for by name.
//! - No redirects, no proxy from the environment, no decompression, no cookies.
//! - One deadline over everything, one limit for the body, counted as it arrives.
//! - `send` sends once; `send_with_retry` may send again, and a code only after *not sent* or a 429.
//!   A code does not ride on a kept connection; a refresh may.
//!
//! [`Session`] keeps tokens fresh, for threads and for processes that share its [`Store`].
//!
//! The async sister is `dropbox-sign-oauth-hyper`; it differs by `async` alone.
//!
//! # Features
//! - `platform-verifier`: judge certificates by the platform's own verifier and roots.
//!
//! # ureq's own features
//! Cargo turns a feature of ureq on for everybody if one crate of the program asks for it. With
//! `gzip` or `brotli`, ureq decodes a body that nobody asked to be encoded, and hides that it was:
//! the limit then counts what comes out of it. With `cookies`, it keeps and sends cookies. No
//! setting turns them off; a program that must not have them keeps them out of its tree
//! (`cargo tree -e features -i ureq`).
//!
//! # What is logged
//! At TRACE, ureq logs heads and bodies, secrets among them: keep the targets `ureq` and
//! `ureq_proto` above it. At DEBUG nothing secret is logged.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod builder;
mod call;
mod clock;
mod resolve;
mod session;
mod tls;
mod transport;

pub use builder::{Builder, InvalidTls};
/// The core, so that its version need not be kept in step by hand.
pub use dropbox_sign_oauth as core;
pub use dropbox_sign_oauth_store::{FileStore, FileStoreError, MemoryStore, Store};
pub use rustls::pki_types::CertificateDer;
pub use session::Session;
pub use transport::Transport;
/// The agent that [`Builder::build_with_agent`] takes.
pub use ureq;
