//! The credentials of an app, and its token requests, which are prepared once.

use alloc::{string::String, vec::Vec};
use core::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use zeroize::Zeroizing;

use crate::{
    endpoints::Endpoints,
    json,
    secret::{self, Secret},
};

/// The `User-Agent` of every request.
pub(crate) const USER_AGENT: &str = concat!("dropbox-sign-oauth/", env!("CARGO_PKG_VERSION"));

/// The contents of the `Authorization: Basic` header of the token requests.
///
/// The body always has the client id and secret, because the service requires them there.
pub(crate) enum Authorization {
    ClientCredentials,
    ApiKey(Secret),
    None,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientCredentials => "client credentials",
            Self::ApiKey(_) => "API key",
            Self::None => "none",
        })
    }
}

/// The credentials and endpoints of an app, and how it sends them.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) authorization: Authorization,
    pub(crate) authenticates_refresh: bool,
    pub(crate) endpoints: Endpoints,
}

/// The settings of an app, and its token requests without their bodies.
pub(crate) struct Credentials {
    pub(crate) settings: Settings,
    /// The client id and secret as members of a JSON object.
    body_members: Secret,
    /// The encoded credentials of the Basic header; empty for none.
    basic: Secret,
    generate: Request<()>,
    refresh: Request<()>,
}

impl Credentials {
    /// Returns the credentials. The id, the secret and the API key must be visible ASCII.
    pub(crate) fn new(settings: Settings) -> Self {
        let pair = [&settings.client_id, settings.client_secret.expose()];
        let basic = match &settings.authorization {
            Authorization::ClientCredentials => {
                // RFC 6749 §2.3.1: each half is form-encoded first.
                let [id, secret] = pair.map(form_encoded);
                base64_pair(&id, &secret)
            }
            Authorization::ApiKey(key) => base64_pair(key.expose(), ""),
            Authorization::None => Secret::new(""),
        };
        let [id, secret] = pair.map(json::escape);
        let members = [r#""client_id":""#, &id, r#"","client_secret":""#, &secret, "\""];
        let body_members = Secret::new(&Zeroizing::new(members.concat()));
        let headers = token_headers(&basic);
        let generate = token_request(settings.endpoints.token(), headers.clone());
        let refresh = token_request(settings.endpoints.refresh(), headers);
        Self { settings, body_members, basic, generate, refresh }
    }

    /// The client id and secret as members of a JSON object, without its braces.
    pub(crate) fn body_members(&self) -> &str {
        self.body_members.expose()
    }

    /// The request that exchanges a code, with the concatenation of these pieces as its body.
    pub(crate) fn generate_request(&self, json: &[&str]) -> Request<Vec<u8>> {
        with_body(&self.generate, json)
    }

    /// The request that refreshes a token, with the concatenation of these pieces as its body.
    pub(crate) fn refresh_request(&self, json: &[&str]) -> Request<Vec<u8>> {
        with_body(&self.refresh, json)
    }

    /// The secrets of a token request that a server may echo: the client secret, the API key and
    /// the Basic credentials.
    pub(crate) fn secrets(&self) -> [&str; 3] {
        let key = match &self.settings.authorization {
            Authorization::ApiKey(key) => key.expose(),
            Authorization::ClientCredentials | Authorization::None => "",
        };
        [self.settings.client_secret.expose(), key, self.basic.expose()]
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("App").field(&self.settings).finish()
    }
}

/// Form-encodes a text in a buffer that does not grow: a byte becomes at most three.
fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    encoded.extend(form_urlencoded::byte_serialize(text.as_bytes()));
    encoded
}

/// The credentials of a Basic header (RFC 7617 §2).
fn base64_pair(user: &str, password: &str) -> Secret {
    let pair = Zeroizing::new([user, password].join(":"));
    Secret::new(&Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes())))
}

fn token_request(endpoint: &Uri, headers: HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.clone();
    *request.headers_mut() = headers;
    request
}

/// The request with a body in a buffer of its final size: growth would leave an unwiped copy of a
/// secret.
fn with_body(request: &Request<()>, json: &[&str]) -> Request<Vec<u8>> {
    let body = json.concat().into_bytes();
    request.clone().map(|()| body)
}

/// The headers of both token requests.
fn token_headers(basic: &Secret) -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, json.clone());
    headers.insert(header::ACCEPT, json);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if !basic.expose().is_empty() {
        headers.insert(header::AUTHORIZATION, secret::authorization("Basic ", basic));
    }
    headers
}
