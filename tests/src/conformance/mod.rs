//! Runs any transport through every [fault](crate::fault), and reports what became of it.
//!
//! Hand it a function that makes a client for a [`Setup`] and returns how that client sends an
//! operation. Blocking clients go through [`Conformance::run_blocking`], async ones through
//! [`Conformance::run_async`]; this is all that it takes:
//!
//! ```no_run
//! use dropbox_sign_oauth::{CallError, Cause, CauseKind, Operation};
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
//!             let response = client.send(operation.request()).map_err(|error| {
//!                 CallError::Unknown(Cause::with_source(CauseKind::Exchange, error))
//!             })?;
//!             Ok(operation.parse(response)?)
//!         }
//!     });
//! println!("{report}");
//! report.assert_conforms();
//! # }
//! ```
//!
//! A client that takes a resolver, or speaks HTTP/2, says so by [`Conformance::with_resolver`] and
//! [`Conformance::with_http2`], and is then run through those cases as well. Where a client is
//! known to differ, and that is accepted, [`Conformance::allow`] names the case.
//!
//! # What is checked
//! Each case has the outcomes that are right, mostly one, and besides:
//! - The server sees at most one request per call, nobody one where a redirect leads, and none
//!   that the transport calls *not sent*.
//! - A call ends by its deadline, or by the connect timeout where no connection comes about; a fifth
//!   of that is to spare, and on top of it comes a fixed allowance for the scheduling of threads.
//! - The client reads at most the limit and one buffer. The server counts what the system takes
//!   from it, and what the sockets between them can hold is subtracted ([`unread_capacity`]).
//!   Endless answers come at a pace that a client keeps up with, so they lie in the sockets only
//!   once it has stopped reading.
//! - Tokens, rejections and waits are those of the answer.
//! - No secret, neither of the request nor of the answer, stands in `Display`, `Debug`, the chain
//!   of sources or the log at DEBUG (of `log`, and of `tracing` by way of `log`). Every case has
//!   secrets of its own, so a leak is laid at the right door although cases run side by side.
//!
//! A transport that panics or hangs loses the case, and the run goes on.
//!
//! [`unread_capacity`]: crate::fault::unread_capacity

mod attempt;
mod call;
mod canary;
mod logs;
mod report;
mod run;
mod stage;

pub use call::{Setup, TokenOperation};
pub use report::{Ending, Place, Report, Row, Verdict, Violation};
pub use run::Conformance;
