//! The work as oauth2 does it, by its documentation.

use std::{cell::Cell, convert::Infallible, fmt};

use http::Response;
use oauth2::{
    AuthorizationCode, ClientId, ClientSecret, CodeTokenRequest, CsrfToken, EndpointNotSet,
    EndpointSet, RequestTokenError, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicTokenResponse},
    url::Url,
};

use crate::{BoxError, fixture};

/// The name of this subject.
pub const NAME: &str = "oauth2";

/// A client that knows where tokens are given.
pub type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The client.
///
/// # Panics
/// If `token_url` is no URL.
#[must_use]
pub fn client(token_url: &str) -> Client {
    BasicClient::new(ClientId::new(fixture::CLIENT_ID.into()))
        .set_client_secret(ClientSecret::new(fixture::CLIENT_SECRET.into()))
        .set_token_uri(TokenUrl::new(token_url.into()).expect("a URL"))
}

/// The code.
#[must_use]
pub fn code() -> AuthorizationCode {
    AuthorizationCode::new(fixture::CODE.into())
}

/// What the service asks for in the body, beside the `Authorization` header that oauth2 makes.
pub const CREDENTIALS: [(&str, &str); 2] = [
    ("client_id", fixture::CLIENT_ID),
    ("client_secret", fixture::CLIENT_SECRET),
];

/// The request for tokens, with the same parameters as everybody's.
#[must_use]
pub fn request(
    client: &Client,
    code: AuthorizationCode,
) -> CodeTokenRequest<'_, BasicErrorResponse, BasicTokenResponse> {
    CREDENTIALS
        .into_iter()
        .chain([("state", fixture::STATE)])
        .fold(client.exchange_code(code), |request, (name, value)| {
            request.add_extra_param(name, value)
        })
}

/// Reads a callback, as oauth2's examples do.
///
/// # Errors
/// If a part is missing, or the state differs.
pub fn callback(query: &str, state: &CsrfToken) -> Result<AuthorizationCode, BoxError> {
    let url = Url::parse(&format!("http://localhost/callback?{query}"))?;
    let code = url
        .query_pairs()
        .find(|(key, _)| key == "code")
        .map(|(_, code)| AuthorizationCode::new(code.into_owned()))
        .ok_or("no code")?;
    let received = url
        .query_pairs()
        .find(|(key, _)| key == "state")
        .map(|(_, state)| CsrfToken::new(state.into_owned()))
        .ok_or("no state")?;
    if received.secret() != state.secret() {
        return Err("another state".into());
    }
    Ok(code)
}

/// Builds a request, and never sends it: oauth2 gives it to nobody but its HTTP client.
pub fn build(client: &Client, code: AuthorizationCode) {
    let refuse = |request| {
        drop(std::hint::black_box(request));
        Err(NotSent)
    };
    drop(request(client, code).request(&refuse));
}

/// Builds the request, and reads the response to it.
///
/// # Errors
/// As oauth2 gives them.
///
/// # Panics
/// Never: oauth2 calls its HTTP client once.
pub fn exchange(
    client: &Client,
    code: AuthorizationCode,
    response: Response<Vec<u8>>,
) -> Result<BasicTokenResponse, RequestTokenError<Infallible, BasicErrorResponse>> {
    let response = Cell::new(Some(response));
    let answer = |request| {
        drop(std::hint::black_box(request));
        Ok::<_, Infallible>(response.take().expect("one call"))
    };
    request(client, code).request(&answer)
}

/// Nothing was sent.
#[derive(Debug)]
struct NotSent;

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not sent")
    }
}

impl std::error::Error for NotSent {}
