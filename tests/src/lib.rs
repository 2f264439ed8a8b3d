//! Test tools for `dropbox-sign-oauth`, also for other transports than the two adapters:
//! [`sandbox`] is a local stand-in for the service, [`conformance`] runs any transport through every
//! [`fault`], and [`peer`] is the scripted server behind it.

pub mod conformance;
pub mod fault;
pub mod peer;
pub mod sandbox;
pub mod tls;

/// The code of the README, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
