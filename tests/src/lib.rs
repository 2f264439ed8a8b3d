//! What the tests of `dropbox-sign-oauth` stand on, and what anybody who writes a transport of
//! their own can use: [`sandbox`], an honest stand-in for the service, [`fault`], a server that
//! misbehaves in every known way, and [`conformance`], a run of any transport through all of it.

pub mod conformance;
pub mod fault;
pub mod sandbox;
pub mod tls;

/// The code of the README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
