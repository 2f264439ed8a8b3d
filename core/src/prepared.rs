//! What an app's requests share, prepared once: credentials, addresses and headers.

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

/// What the `Authorization: Basic` header of the token requests carries.
///
/// The client id and secret stand in the body in every case: the service asks for them there.
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

/// An app's settings, checked, and what is made of them.
pub(crate) struct Prepared {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) authorization: Authorization,
    pub(crate) refresh_with_credentials: bool,
    pub(crate) endpoints: Endpoints,
    /// The id and the secret as members of a request's body.
    pub(crate) credentials: Secret,
    /// The credentials of the Basic header, as they stand there: empty for none.
    basic: Secret,
    /// The requests to the token endpoint, but for their bodies.
    generate: Request<()>,
    refresh: Request<()>,
}

impl Prepared {
    /// Prepares settings that were checked: the credentials are visible ASCII.
    pub(crate) fn new(
        client_id: String,
        client_secret: Secret,
        authorization: Authorization,
        refresh_with_credentials: bool,
        endpoints: Endpoints,
    ) -> Self {
        let basic = match &authorization {
            Authorization::ClientCredentials => {
                // RFC 6749 §2.3.1: each half is form-encoded first.
                let [id, secret] = [client_id.as_str(), client_secret.expose()].map(form_encoded);
                base64_pair(&id, &secret)
            }
            Authorization::ApiKey(key) => base64_pair(key.expose(), ""),
            Authorization::None => Secret::new(""),
        };
        let headers = token_headers(&basic);
        let generate = token_request(endpoints.token(), headers.clone());
        let refresh = token_request(endpoints.refresh(), headers);
        let credentials = [
            r#""client_id":""#,
            &json::escaped(&client_id),
            r#"","client_secret":""#,
            &json::escaped(client_secret.expose()),
            "\"",
        ];
        let credentials = Secret::new(&Zeroizing::new(credentials.concat()));
        Self {
            client_id,
            client_secret,
            authorization,
            refresh_with_credentials,
            endpoints,
            credentials,
            basic,
            generate,
            refresh,
        }
    }

    /// The request that exchanges a code, with the JSON that these pieces make.
    pub(crate) fn generate_request(&self, json: &[&str]) -> Request<Vec<u8>> {
        with_body(&self.generate, json)
    }

    /// The request that refreshes a token, with the JSON that these pieces make.
    pub(crate) fn refresh_request(&self, json: &[&str]) -> Request<Vec<u8>> {
        with_body(&self.refresh, json)
    }

    /// What of a token request a server may echo, and nobody may see: the client secret, the API
    /// key, and the Basic credentials.
    pub(crate) fn secrets(&self) -> [&str; 3] {
        let key = match &self.authorization {
            Authorization::ApiKey(key) => key.expose(),
            Authorization::ClientCredentials | Authorization::None => "",
        };
        [self.client_secret.expose(), key, self.basic.expose()]
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("authorization", &self.authorization)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

/// A text, form-encoded in a buffer that need not grow: a byte becomes three at the most.
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

/// The request with a body in a buffer of exactly its size, so that no growth leaves a copy of a
/// secret behind.
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
        headers.insert(
            header::AUTHORIZATION,
            secret::authorization("Basic ", basic),
        );
    }
    headers
}
