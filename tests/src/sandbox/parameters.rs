//! Parses the parameters of a request.

use std::collections::HashMap;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, Multipart, Request, multipart::MultipartError},
    http::{HeaderMap, header::CONTENT_TYPE},
};
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The parameters that the endpoints know. Others are ignored (RFC 6749 §3.1 and §3.2).
const KNOWN: [&str; 11] = [
    "client_id",
    "client_secret",
    "code",
    "grant_type",
    "state",
    "refresh_token",
    "response_type",
    "redirect_uri",
    "scope",
    "ticket",
    "decision",
];

/// The known parameters of a request. An empty value counts as absent (RFC 6749 §3.1 and §3.2).
#[derive(Default, Debug)]
pub(super) struct Parameters(HashMap<&'static str, String>);

/// A duplicate known parameter, which RFC 6749 §3.1 and §3.2 forbid.
#[derive(Debug)]
pub(super) struct Duplicate(pub(super) &'static str);

impl Parameters {
    /// Parses a query or a form-encoded body.
    pub(super) fn from_urlencoded(text: &[u8]) -> Result<Self, Duplicate> {
        let pairs = form_urlencoded::parse(text);
        Self::from_pairs(pairs.map(|(name, value)| (name, value.into_owned())))
    }

    /// Parses the body of a token request: JSON, form-encoded or multipart. An empty body has no
    /// parameters.
    pub(super) async fn from_body(headers: &HeaderMap, body: Bytes) -> Result<Self, Refusal> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            _ if body.is_empty() => Ok(Self::default()),
            "application/json" => Self::from_json(&body),
            "application/x-www-form-urlencoded" => Ok(Self::from_urlencoded(&body)?),
            "multipart/form-data" => Self::from_multipart(content_type, body).await,
            _ => Err(Refusal::bad_request(
                "Content-Type must be application/json, application/x-www-form-urlencoded or \
                 multipart/form-data",
            )),
        }
    }

    fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        // The error of serde_json is not shown: it may quote the body.
        let members: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Refusal::bad_request("The body is not a JSON object"))?;
        let mut pairs = Vec::new();
        for (name, value) in members {
            match value {
                Value::String(value) => pairs.push((name, value)),
                Value::Null => {}
                _ if known(&name).is_some() => {
                    let message = format!("Parameter {name} must be a string");
                    return Err(Refusal::bad_request(message));
                }
                _ => {}
            }
        }
        Ok(Self::from_pairs(pairs)?)
    }

    async fn from_multipart(content_type: &str, body: Bytes) -> Result<Self, Refusal> {
        let unreadable =
            |_: MultipartError| Refusal::bad_request("The body is not multipart/form-data");
        let request = Request::builder().header(CONTENT_TYPE, content_type);
        let request = request.body(Body::from(body)).expect("the header is the request's");
        let mut multipart = Multipart::from_request(request, &())
            .await
            .map_err(|_| Refusal::bad_request("Content-Type has no multipart boundary"))?;
        let mut pairs = Vec::new();
        while let Some(part) = multipart.next_field().await.map_err(unreadable)? {
            let name = part.name().unwrap_or_default().to_owned();
            pairs.push((name, part.text().await.map_err(unreadable)?));
        }
        Ok(Self::from_pairs(pairs)?)
    }

    fn from_pairs<N: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, String)>,
    ) -> Result<Self, Duplicate> {
        let mut parameters = HashMap::new();
        for (name, value) in pairs {
            if let Some(name) = known(name.as_ref()) {
                if parameters.insert(name, value).is_some() {
                    return Err(Duplicate(name));
                }
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The message for a missing parameter is that of the live service.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::bad_request(format!("Parameter {name} is missing"));
        self.optional(name).ok_or_else(missing)
    }
}

/// Returns the constant in [`KNOWN`] that is equal to `name`.
pub(super) fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

impl From<Duplicate> for Refusal {
    fn from(Duplicate(name): Duplicate) -> Self {
        Self::oauth("invalid_request", format!("Duplicate parameter {name}"))
    }
}
