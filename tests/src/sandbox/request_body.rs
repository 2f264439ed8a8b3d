//! Parses the body of a token request: JSON, form-encoded or multipart.

use std::fmt;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, Multipart, Request, multipart::MultipartError},
    http::{HeaderMap, HeaderValue, header::CONTENT_TYPE},
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{
    parameters::{self, Parameters},
    refusal::Refusal,
};

/// Parses the parameters in the encoding of `Content-Type`. An empty body has no parameters.
pub(super) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Parameters, Refusal> {
    if body.is_empty() {
        return Ok(Parameters::default());
    }
    let content_type = headers.get(CONTENT_TYPE);
    let essence = content_type.and_then(essence).unwrap_or_default();
    match (essence.as_str(), content_type) {
        ("application/json", _) => json(&body),
        ("application/x-www-form-urlencoded", _) => Ok(Parameters::from_urlencoded(&body)?),
        ("multipart/form-data", Some(content_type)) => multipart(content_type, body).await,
        _ => Err(Refusal::bad_request(
            "Content-Type must be application/json, application/x-www-form-urlencoded or \
             multipart/form-data",
        )),
    }
}

/// Returns the media type without its parameters, in lower case.
fn essence(value: &HeaderValue) -> Option<String> {
    let essence = value.to_str().ok()?.split(';').next()?;
    Some(essence.trim().to_ascii_lowercase())
}

fn json(body: &[u8]) -> Result<Parameters, Refusal> {
    // The error of serde_json is not shown: it may quote the body.
    let Members(members) = serde_json::from_slice(body)
        .map_err(|_| Refusal::bad_request("The body is not a JSON object"))?;
    let mut pairs = Vec::new();
    for (name, value) in members {
        match (parameters::known(&name), value) {
            (_, Value::String(value)) => pairs.push((name, value)),
            (Some(_), Value::Null) => pairs.push((name, String::new())),
            (Some(name), _) => {
                let message = format!("Parameter {name} must be a string");
                return Err(Refusal::bad_request(message));
            }
            (None, _) => {}
        }
    }
    Ok(Parameters::from_pairs(pairs)?)
}

async fn multipart(content_type: &HeaderValue, body: Bytes) -> Result<Parameters, Refusal> {
    let unreadable =
        |_: MultipartError| Refusal::bad_request("The body is not multipart/form-data");
    let mut request = Request::new(Body::from(body));
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.clone());
    let multipart = Multipart::from_request(request, &()).await;
    let mut multipart =
        multipart.map_err(|_| Refusal::bad_request("Content-Type has no multipart boundary"))?;
    let mut pairs = Vec::new();
    while let Some(part) = multipart.next_field().await.map_err(unreadable)? {
        let Some(name) = part.name().map(String::from) else {
            return Err(Refusal::bad_request("A part of the body has no name"));
        };
        pairs.push((name, part.text().await.map_err(unreadable)?));
    }
    Ok(Parameters::from_pairs(pairs)?)
}

/// The members of a JSON object in their order, including duplicates.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
