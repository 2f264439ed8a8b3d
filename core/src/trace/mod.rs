//! What the feature `tracing` records: a span for each attempt of a call, and the events of
//! sessions. Without the feature, the same functions do nothing. For the adapters; not covered by
//! semantic versioning.
//!
//! The names are those of OpenTelemetry's semantic conventions for HTTP clients; those of this
//! library begin with `dropbox_sign.`. No field contains a header, a body, a query, or a text of
//! the server or of the store.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
use off as imp;
#[cfg(feature = "tracing")]
use on as imp;

pub use imp::CallSpan;
pub(crate) use imp::Label;
