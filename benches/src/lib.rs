//! Benchmarks of `dropbox-sign-oauth` and of its alternatives.
//!
//! Three subjects do the same work: [`ours`], [`peer`] (the crate `oauth2`) and [`by_hand`]
//! (`serde_json` and `base64`). `README.md` has the results, and describes how to reproduce them.

pub mod bodies;
pub mod by_hand;
pub mod fixture;
pub mod mode;
pub mod ours;
pub mod peer;
pub mod table;
pub mod work;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
