#![doc = include_str!("lib.md")]

mod background;
pub mod conformance;
pub mod fault;
pub mod peer;
#[doc(hidden)]
pub mod samples;
pub mod sandbox;
pub mod store;
pub mod tls;

/// Compiles the code of the workspace's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Workspace;

/// Compiles the code of this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
