//! The work with the crate `oauth2`, as its documentation shows it.

use std::{cell::Cell, convert::Infallible, hint::black_box, io};

use http::Response;
use oauth2::{
    AuthorizationCode, ClientId, ClientSecret, CodeTokenRequest, EndpointNotSet, EndpointSet,
    RefreshToken, RefreshTokenRequest, RequestTokenError, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicTokenResponse},
};

use crate::fixture;

/// The name of this subject.
pub const NAME: &str = "oauth2";

/// A client with a token endpoint.
pub type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Returns a client.
///
/// # Panics
/// If `token_url` is invalid.
#[must_use]
pub fn client(token_url: &str) -> Client {
    BasicClient::new(ClientId::new(fixture::CLIENT_ID.into()))
        .set_client_secret(ClientSecret::new(fixture::CLIENT_SECRET.into()))
        .set_token_uri(TokenUrl::new(token_url.into()).expect("a URL"))
}

/// Returns a code.
#[must_use]
pub fn code() -> AuthorizationCode {
    AuthorizationCode::new(fixture::CODE.into())
}

/// Returns the token request, with the parameters that every subject sends.
#[must_use]
pub fn request(
    client: &Client,
    code: AuthorizationCode,
) -> CodeTokenRequest<'_, BasicErrorResponse, BasicTokenResponse> {
    client
        .exchange_code(code)
        .add_extra_param("client_id", fixture::CLIENT_ID)
        .add_extra_param("client_secret", fixture::CLIENT_SECRET)
        .add_extra_param("state", fixture::STATE)
}

/// Returns the request that refreshes a token.
#[must_use]
pub fn refresh<'a>(
    client: &'a Client,
    token: &'a RefreshToken,
) -> RefreshTokenRequest<'a, BasicErrorResponse, BasicTokenResponse> {
    client
        .exchange_refresh_token(token)
        .add_extra_param("client_id", fixture::CLIENT_ID)
        .add_extra_param("client_secret", fixture::CLIENT_SECRET)
}

/// Builds a request. `oauth2` only passes requests to an HTTP client, so this function passes a
/// client that fails.
pub fn build(client: &Client, code: AuthorizationCode) {
    let fail = |request| {
        drop(black_box(request));
        Err(io::Error::from(io::ErrorKind::NotConnected))
    };
    drop(request(client, code).request(&fail));
}

/// Builds the request and parses the response.
///
/// # Errors
/// Returns the error of `oauth2`.
///
/// # Panics
/// Never: oauth2 calls its HTTP client once.
pub fn exchange(
    client: &Client,
    code: AuthorizationCode,
    response: Response<Vec<u8>>,
) -> Result<BasicTokenResponse, RequestTokenError<Infallible, BasicErrorResponse>> {
    let response = Cell::new(Some(response));
    let http_client = |request| {
        drop(black_box(request));
        Ok::<_, Infallible>(response.take().expect("one call"))
    };
    request(client, code).request(&http_client)
}
