//! Test tools for `dropbox-sign-oauth`, for the two adapters and for other transports and stores.
//!
//! - [`sandbox`] simulates the service on this machine.
//! - [`conformance`] tests a transport with every [`fault`].
//! - [`peer`] is the scripted server of these tests.
//! - [`store`] tests a session store, also with real databases.

pub mod conformance;
pub mod fault;
pub mod peer;
pub mod samples;
pub mod sandbox;
pub mod store;
pub mod tls;

/// Compiles the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
