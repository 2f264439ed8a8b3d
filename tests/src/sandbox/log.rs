//! What the sandbox was asked.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, Method, StatusCode, Version,
        header::{AUTHORIZATION, COOKIE, Entry},
        request::Parts,
    },
};

use super::LOG_LIMIT;

/// A request as it arrived, and the status that answered it.
///
/// `Debug` shows neither credentials nor the query or the body.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path and query, as they stood in the request line.
    pub path_and_query: String,
    /// The version of HTTP.
    pub version: Version,
    /// The headers; the values of `Authorization` and `Cookie` are marked sensitive.
    pub headers: HeaderMap,
    /// The bytes of the body: none if it was too large or broke off.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: StatusCode,
}

impl RecordedRequest {
    pub(super) fn new(parts: &Parts, body: &Bytes, status: StatusCode) -> Self {
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
        }
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, _) = self
            .path_and_query
            .split_once('?')
            .unwrap_or((&self.path_and_query, ""));
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &path)
            .field("version", &self.version)
            .field("headers", &self.headers)
            .field("body_len", &self.body.len())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Log(Mutex<VecDeque<RecordedRequest>>);

impl Log {
    pub(super) fn push(&self, request: RecordedRequest) {
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let body = Bytes::from_static(b"canary");
        RecordedRequest::new(&parts, &body, StatusCode::OK)
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(
            format!("{:?}", recorded("/oauth/authorize?state=canary")),
            "RecordedRequest { method: GET, path: \"/oauth/authorize\", version: HTTP/1.1, \
             headers: {\"authorization\": Sensitive, \"authorization\": Sensitive, \
             \"cookie\": Sensitive}, body_len: 6, status: 200, .. }"
        );
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let log = Log::default();
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
