//! A server whose responses the test sends one by one.

use std::{
    net::TcpListener,
    sync::mpsc::{self, Receiver},
    thread,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response, request::Parts},
};
use dropbox_sign_oauth::App;
use dropbox_sign_oauth_testkit::samples::app_at;
use tokio::{runtime, sync::oneshot};

use crate::DEADLINE;

pub(crate) struct Service {
    pub(crate) base: String,
    pub(crate) app: App,
    requests: Receiver<PendingRequest>,
}

/// A request that waits for its response.
pub(crate) struct PendingRequest {
    head: Parts,
    body: String,
    response: oneshot::Sender<Response<Body>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        let handler = async move |request: Request<Body>| {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
            let (response, responses) = oneshot::channel();
            // The test may have ended, or drop the request.
            let _ = sender.send(PendingRequest {
                head,
                body: String::from_utf8(body).unwrap(),
                response,
            });
            responses.await.unwrap_or_default()
        };
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(handler)).await
            })
        });
        Self { app: app_at(&base), base, requests }
    }

    pub(crate) fn next_request(&self) -> PendingRequest {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Asserts that no further request has arrived.
    pub(crate) fn assert_no_more_requests(&self) {
        if let Ok(request) = self.requests.try_recv() {
            panic!("another request: {:?}", request.head);
        }
    }
}

impl PendingRequest {
    pub(crate) fn respond(self, status: u16, body: &str) {
        let mut response = Response::new(Body::from(body.to_owned()));
        *response.status_mut() = status.try_into().unwrap();
        self.response.send(response).unwrap();
    }

    /// Asserts that this is a refresh with `r0`, and responds with the tokens `a{number}` and
    /// `r{number}`.
    pub(crate) fn respond_with_tokens(self, number: u32) {
        assert_eq!(self.head.method, "POST");
        assert_eq!(self.head.uri, "/oauth/token?refresh");
        assert!(self.body.contains(r#""refresh_token":"r0""#), "{}", self.body);
        let body = format!(
            r#"{{"access_token":"a{number}","refresh_token":"r{number}","expires_in":86400}}"#
        );
        self.respond(200, &body);
    }

    /// Asserts that this is an account request with `access_token`, and responds with `status`.
    pub(crate) fn respond_with_account(self, access_token: &str, status: u16) {
        assert_eq!((self.head.method.as_str(), self.head.uri.path()), ("GET", "/v3/account"));
        assert_eq!(self.head.headers["authorization"], format!("Bearer {access_token}"));
        let account = r#"{"account":{"account_id":"1","email_address":"me@dropboxsign.com"}}"#;
        self.respond(status, if status == 200 { account } else { "{}" });
    }
}
