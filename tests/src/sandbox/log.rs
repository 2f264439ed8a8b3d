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
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, Entry, USER_AGENT},
        request::Parts,
    },
};
use serde::Serialize;

use super::{LOG_LIMIT, credentials::scheme, parameters};

/// A request and the status of its response.
///
/// `Debug`, `Display` and [`to_json`](Self::to_json) do not show credentials, query values or the
/// body. `Display` is one line, such as
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

/// The parts of a request that `Display` and JSON show.
#[derive(Serialize)]
struct Line<'r> {
    method: &'r str,
    path: String,
    status: u16,
    /// The scheme of `Authorization`.
    authorization: &'static str,
    content_type: &'r str,
    user_agent: &'r str,
    reason: Option<&'r str>,
}

impl RecordedRequest {
    pub(super) fn new(
        parts: &Parts,
        body: &Bytes,
        status: StatusCode,
        reason: Option<String>,
    ) -> Self {
        let mut headers = parts.headers.clone();
        for name in [AUTHORIZATION, COOKIE] {
            if let Entry::Occupied(mut values) = headers.entry(name) {
                for value in values.iter_mut() {
                    value.set_sensitive(true);
                }
            }
        }
        let path_and_query = parts.uri.path_and_query();
        Self {
            method: parts.method.clone(),
            path_and_query: path_and_query.map(ToString::to_string).unwrap_or_default(),
            version: parts.version,
            headers,
            body: body.to_vec(),
            status,
            reason,
        }
    }

    /// Returns a JSON object with what `Display` shows.
    ///
    /// # Panics
    /// Never: strings and numbers can always be serialized.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.line()).expect("strings and numbers")
    }

    fn line(&self) -> Line<'_> {
        let header = |name: HeaderName| {
            let value = self.headers.get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or("")
        };
        Line {
            method: self.method.as_str(),
            path: self.path_and_names(),
            status: self.status.as_u16(),
            authorization: scheme(header(AUTHORIZATION)),
            content_type: header(CONTENT_TYPE),
            user_agent: header(USER_AGENT),
            reason: self.reason.as_deref(),
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
        let line = self.line();
        write!(f, "{} {} {}", line.method, line.path, line.status)?;
        for part in [line.authorization, line.content_type, line.user_agent] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        match line.reason {
            Some(reason) => write!(f, " {reason:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path_and_names())
            .field("version", &self.version)
            .field("headers", &self.headers)
            .field("body_len", &self.body.len())
            .field("status", &self.status)
            .finish_non_exhaustive()
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
        if requests.len() == LOG_LIMIT {
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

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn recorded(uri: &str) -> RecordedRequest {
        let request = Request::builder()
            .uri(uri)
            .header(AUTHORIZATION, "Bearer canary")
            .header(AUTHORIZATION, "Basic canary")
            .header(COOKIE, "canary=1")
            .header(USER_AGENT, "curl/8.5")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let body = Bytes::from_static(b"canary");
        RecordedRequest::new(&parts, &body, StatusCode::OK, Some("Why".into()))
    }

    #[test]
    fn redacts_secrets() {
        let request = recorded("/oauth/authorize?state=canary&canary&refresh");
        let path = "/oauth/authorize?state&?&refresh";
        assert_eq!(
            format!("{request:?}"),
            format!(
                "RecordedRequest {{ method: GET, path: \"{path}\", version: HTTP/1.1, headers: \
                 {{\"authorization\": Sensitive, \"authorization\": Sensitive, \
                 \"cookie\": Sensitive, \"user-agent\": \"curl/8.5\"}}, body_len: 6, \
                 status: 200, .. }}"
            )
        );
        assert_eq!(request.to_string(), format!("GET {path} 200 Bearer curl/8.5 \"Why\""));
        assert_eq!(
            request.to_json(),
            format!(
                r#"{{"method":"GET","path":"{path}","status":200,"authorization":"Bearer","content_type":"","user_agent":"curl/8.5","reason":"Why"}}"#
            )
        );
    }

    #[test]
    fn evicts_the_oldest_request() {
        let log = Log::new(None);
        for number in 0..=LOG_LIMIT {
            log.push(recorded(&format!("/{number}")));
        }
        let requests = log.requests();
        assert_eq!(requests.len(), LOG_LIMIT);
        assert_eq!(requests[0].path_and_query, "/1");
        let newest = requests.last().map(|request| &request.path_and_query);
        assert_eq!(newest, Some(&format!("/{LOG_LIMIT}")));
    }
}
