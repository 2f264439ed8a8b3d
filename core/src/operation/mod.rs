//! The operations: one request, and the parser of its response.

pub(crate) mod account_get;
pub(crate) mod credentials;
pub(crate) mod token_generate;
pub(crate) mod token_refresh;

use alloc::vec::Vec;

use http::{Request, Response};

use crate::response::error::Error;

/// Whether a request may be sent more than once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Replay {
    /// The request must not be sent again once it may have been delivered, because it spends a
    /// single-use code. Transports always send it on a connection that has sent nothing
    /// before: the server may have closed a pooled one.
    Never,
    /// The request may be sent again.
    Safe,
}

#[doc = include_str!("operation.md")]
pub trait Operation {
    /// The result of a successful response.
    type Output;

    /// Returns the name of the operation in traces. That of the vendor's operations is the
    /// `operationId` of the OpenAPI description. Defaults to the name of the type.
    fn name(&self) -> &'static str {
        let name = core::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name)
    }

    /// Returns whether the request may be sent more than once.
    fn replay(&self) -> Replay;

    /// Returns the request, complete except for `Host` and `Content-Length`, which the HTTP client
    /// adds.
    ///
    /// The body contains secrets in plain text, and the `Debug` output of `http::Request` shows
    /// it.
    fn request(&self) -> Request<Vec<u8>>;

    /// Parses the response.
    ///
    /// # Errors
    /// [`Error`] if the response is not a valid success.
    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<Self::Output, Error>;
}
