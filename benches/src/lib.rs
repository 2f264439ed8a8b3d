//! What `dropbox-sign-oauth` costs, beside what people would use instead.
//!
//! The same work is done by three subjects: [`ours`], [`peer`] (oauth2 with a client that only
//! hands out a ready response) and [`by_hand`] (`serde_json` and `base64`, without the checks, as
//! people write it). The benches measure it; the binary `report` runs them all and writes
//! `REPORT.md`.

pub mod by_hand;
pub mod fixture;
pub mod mode;
pub mod ours;
pub mod peer;
pub mod results;
pub mod work;

/// Any error: a bench can only stop at one.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
