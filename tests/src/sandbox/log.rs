//! The log of requests.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, Method, StatusCode, Version,
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, USER_AGENT},
        request::Parts,
    },
    response::Response,
};

use super::{credentials::scheme, parameters, refusal::Reason};

/// The size limit of the log, in requests. The oldest are evicted first.
const LIMIT: usize = 4096;

/// A request and the status of its response.
///
/// `Debug` and `Display` do not show credentials, query values or the body. `Display` is one line,
/// such as
/// `POST /oauth/token?refresh 400 Basic application/json curl/8.5 "The refresh token is unknown"`.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path and query of the request line.
    pub path_and_query: String,
    /// The version of HTTP.
    pub version: Version,
    /// The headers. The values of `Authorization` and `Cookie` are marked sensitive.
    pub headers: HeaderMap,
    /// The body. Empty if the body was too large or incomplete.
    pub body: Vec<u8>,
    /// The status of the response.
    pub status: StatusCode,
    /// The message of an error response, or a note that a [`Fault`](super::Fault) lost the
    /// response.
    pub reason: Option<String>,
}

impl RecordedRequest {
    pub(super) fn new<B>(mut parts: Parts, body: &Bytes, response: &Response<B>) -> Self {
        for (name, value) in &mut parts.headers {
            if [AUTHORIZATION, COOKIE].contains(name) {
                value.set_sensitive(true);
            }
        }
        let path_and_query = parts.uri.path_and_query();
        let reason = response.extensions().get::<Reason>();
        Self {
            method: parts.method,
            path_and_query: path_and_query.map(ToString::to_string).unwrap_or_default(),
            version: parts.version,
            headers: parts.headers,
            body: body.to_vec(),
            status: response.status(),
            reason: reason.map(|Reason(reason)| reason.clone().into_owned()),
        }
    }

    /// Returns the path and the names of the query parameters. Unknown names are replaced by `?`,
    /// because a wrongly encoded query can have a secret in place of a name.
    fn path_and_names(&self) -> String {
        let Some((path, query)) = self.path_and_query.split_once('?') else {
            return self.path_and_query.clone();
        };
        let names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| match &*name {
            "refresh" => "refresh",
            name => parameters::known(name).unwrap_or("?"),
        });
        format!("{path}?{}", names.collect::<Vec<_>>().join("&"))
    }
}

impl fmt::Display for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.path_and_names(), self.status.as_u16())?;
        let header = |name: HeaderName| {
            let value = self.headers.get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        for part in [scheme(header(AUTHORIZATION)), header(CONTENT_TYPE), header(USER_AGENT)] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " {reason:?}"))
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path_and_query", &self.path_and_names())
            .field("version", &self.version)
            .field("headers", &self.headers)
            .field("body", &format_args!("({} bytes)", self.body.len()))
            .field("status", &self.status)
            .field("reason", &self.reason)
            .finish()
    }
}

/// A callback for each request, called before the response is sent.
pub(super) type Observer = Arc<dyn Fn(&RecordedRequest) + Send + Sync>;

pub(super) struct Log {
    requests: Mutex<VecDeque<RecordedRequest>>,
    observer: Option<Observer>,
}

impl Log {
    pub(super) fn new(observer: Option<Observer>) -> Self {
        Self { requests: Mutex::default(), observer }
    }

    pub(super) fn push(&self, request: RecordedRequest) {
        if let Some(observer) = &self.observer {
            observer(&request);
        }
        let mut requests = self.lock();
        if requests.len() == LIMIT {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RecordedRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
