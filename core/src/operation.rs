//! One request, and one way to read its response.

use alloc::vec::Vec;

use http::{Request, Response};

use crate::error::Error;

/// Whether sending an operation's request a second time can do harm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Replay {
    /// It must not be sent again once it may have been delivered: it spends something that is
    /// valid once. Transports do not let it ride on an idle kept connection, which the server may
    /// just have closed.
    Never,
    /// It may be sent again.
    Safe,
}

/// One request to the service, and one way to read its response. No IO: an operation can be
/// carried by any HTTP client.
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
/// # An operation of one's own
///
/// The rest of the vendor's API is reached in the same way. [`success`](crate::success) judges the
/// status and the headers, so that an operation reads its own members alone:
///
/// ```
/// use dropbox_sign_oauth::{Error, Malformed, Operation, Problem, Replay, Token, success};
/// use http::{Request, Response, header};
///
/// /// `GET /v3/team/info`
/// struct TeamInfo<'a> {
///     access_token: &'a Token,
/// }
///
/// impl Operation for TeamInfo<'_> {
///     type Output = String;
///
///     fn replay(&self) -> Replay {
///         Replay::Safe
///     }
///
///     fn request(&self) -> Request<Vec<u8>> {
///         let mut request = Request::new(Vec::new());
///         *request.uri_mut() = http::Uri::from_static("https://api.hellosign.com/v3/team/info");
///         request.headers_mut().insert(header::AUTHORIZATION, self.access_token.bearer());
///         request
///     }
///
///     fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<String, Error> {
///         let body = success(&response, &[self.access_token.expose()])?;
///         let malformed = |problem| Malformed::new(response.status(), problem);
///         let body: serde_json::Value =
///             serde_json::from_str(body).map_err(|_| malformed(Problem::NotAnObject))?;
///         let name = body["team"]["name"].as_str();
///         Ok(name.ok_or(malformed(Problem::MissingMember("team.name")))?.to_owned())
///     }
/// }
///
/// let access_token = Token::new("NWNiOTMxOGFkOGVj")?;
/// let operation = TeamInfo { access_token: &access_token };
/// assert_eq!(operation.request().headers()["authorization"], "Bearer NWNiOTMxOGFkOGVj");
/// let response = Response::new(r#"{"team":{"name":"Legal"}}"#);
/// assert_eq!(operation.parse(response)?, "Legal");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operation {
    /// What a successful response gives.
    type Output;

    /// Whether sending the request a second time can do harm.
    fn replay(&self) -> Replay;

    /// The request, complete but for what HTTP itself needs (`Host`, `Content-Length`).
    ///
    /// Its body holds secrets in plain text, and `http::Request` shows a body when it is printed
    /// with `{:?}`: do not.
    fn request(&self) -> Request<Vec<u8>>;

    /// Reads the response to the request.
    ///
    /// # Errors
    /// [`Error`] says how the server turned it down, or what is wrong with its answer.
    fn parse<B: AsRef<[u8]>>(self, response: Response<B>) -> Result<Self::Output, Error>;
}
