//! The blocking transport of [`dropbox_sign_oauth`], on ureq and rustls.
//!
//! [`Transport::send`] carries any [`Operation`](core::Operation), and answers with its output or
//! a [`CallError`](core::CallError) that says what is known about the request. Its rules:
//! - `https` only; plain `http` to this machine, or where it is asked for by name.
//! - No redirects, no proxy from the environment, no decompression, no cookies.
//! - One deadline over everything, one limit for the body, counted as it arrives.
//! - One call, one request at most. A code does not ride on a kept connection; a refresh may.
//!
//! The async sister is `dropbox-sign-oauth-hyper`; it differs by `async` alone.
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
mod tls;
mod transport;

pub use builder::{Builder, InvalidTls};
/// The core, so that its version need not be kept in step by hand.
pub use dropbox_sign_oauth as core;
pub use rustls::pki_types::CertificateDer;
pub use transport::Transport;
/// The agent that [`Builder::build_with_agent`] takes.
pub use ureq;
