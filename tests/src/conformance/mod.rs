//! Runs any transport through every [fault](crate::fault), and reports the outcomes.
//!
//! Pass a function that makes a client for a [`Setup`] and returns how that client sends an
//! operation, to [`Conformance::run_blocking`] or [`Conformance::run_async`]:
//!
//! ```no_run
//! use dropbox_sign_oauth::{CallError, Failure, Operation};
//! use dropbox_sign_oauth_testkit::conformance::{Conformance, TokenOperation};
//! # mod my {
//! #     use dropbox_sign_oauth_testkit::conformance::Setup;
//! #     pub struct Client;
//! #     impl Client {
//! #         pub fn new(_: &Setup) -> Self { Self }
//! #         pub fn send(
//! #             &self,
//! #             _: http::Request<Vec<u8>>,
//! #         ) -> Result<http::Response<Vec<u8>>, std::io::Error> {
//! #             Err(std::io::ErrorKind::Unsupported.into())
//! #         }
//! #     }
//! # }
//!
//! # fn main() {
//! let report = Conformance::new("my client")
//!     .run_blocking(|setup| {
//!         let client = my::Client::new(setup); // deadline, body limit, root certificate
//!         move |operation: TokenOperation| {
//!             let replay = operation.replay();
//!             let failed = |error| CallError::Unknown { failure: Failure::exchange(error), replay };
//!             let response = client.send(operation.request()).map_err(failed)?;
//!             Ok(operation.parse(response)?)
//!         }
//!     });
//! println!("{report}");
//! report.assert_conforms();
//! # }
//! ```
//!
//! [`Conformance::with_resolver`], [`Conformance::with_proxy`] and [`Conformance::with_http2`] add
//! cases for clients that have a configurable resolver or proxy, or speak HTTP/2.
//! [`Conformance::allow`] expects a known divergence.
//!
//! # Checks
//! Each case has one right outcome, or a few. In addition:
//! - The server receives at most one request per call (a second one of a refresh whose pooled
//!   connection was closed), none at a redirect's target or past a proxy, and none of a call that is
//!   *not sent*.
//! - A call ends by its deadline, or by the connect timeout if no connection is established, plus a
//!   fifth of that, plus a fixed allowance for the scheduling of threads.
//! - The client reads at most the limit and one buffer. The server counts the bytes that the system
//!   accepts, less the capacity of the sockets ([`unread_capacity`]).
//! - Tokens, rejections and waits are those of the response. An *unknown* outcome says correctly
//!   whether the request may be sent again.
//! - No secret of the request or response appears in `Display`, `Debug`, the sources, or the log at
//!   DEBUG (of `log`, and of `tracing` if the process has no subscriber). Each case has its own secrets, so that a leak
//!   is attributed to the right case although cases run concurrently.
//!
//! A transport that panics or hangs fails the case, and the run continues.
//!
//! [`unread_capacity`]: crate::peer::unread_capacity

mod attempt;
mod canary;
mod logs;
mod report;
mod run;
mod setup;
mod stage;
mod torture;

pub use report::{Report, Row};
pub use run::Conformance;
pub use setup::{Setup, TokenOperation};
pub use torture::torture;
