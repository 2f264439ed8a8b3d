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
    /// single-use code. Transports always send it on a new connection: a pooled one may have been
    /// closed by the server.
    Never,
    /// The request may be sent again.
    Safe,
}

/// One request to the service, and the parser of its response. Any HTTP client can send it.
///
/// ```
/// use dropbox_sign_oauth::{App, AuthorizationCode, Error, Operation, TokenResponse};
///
/// fn exchange(
///     app: &App,
///     code: AuthorizationCode,
///     client: impl FnOnce(http::Request<Vec<u8>>) -> http::Response<Vec<u8>>,
/// ) -> Result<TokenResponse, Error> {
///     let operation = app.generate(code);
///     let response = client(operation.request());
///     operation.parse(response)
/// }
/// ```
///
/// # Custom operations
///
/// Programs implement this trait for the rest of the vendor's API.
/// [`parse_json`](crate::parse_json) maps statuses to errors and deserializes the body;
/// [`json_body`](crate::json_body) leaves the body to the caller. The example `custom_operation` is
/// a complete program.
///
/// ```
/// use dropbox_sign_oauth::{Error, Operation, Replay, Token, parse_json};
/// use http::{Request, Response, Uri};
///
/// /// `GET /v3/team/info`
/// struct TeamInfo<'a>(&'a Token);
///
/// impl Operation for TeamInfo<'_> {
///     type Output = serde_json::Value;
///
///     fn replay(&self) -> Replay {
///         Replay::Safe
///     }
///
///     fn request(&self) -> Request<Vec<u8>> {
///         let mut request = self.0.authorize(Request::default());
///         *request.uri_mut() = Uri::from_static("https://api.hellosign.com/v3/team/info");
///         request
///     }
///
///     fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<Self::Output, Error> {
///         parse_json(&response, &[self.0.expose()])
///     }
/// }
///
/// let access_token = Token::new("NWNiOTMxOGFkOGVj")?;
/// let response = Response::new(r#"{"team":{"name":"Legal"}}"#);
/// assert_eq!(TeamInfo(&access_token).parse(response)?["team"]["name"], "Legal");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operation {
    /// The result of a successful response.
    type Output;

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
