//! One connection, which carries one request at a time and ends with its owner.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use dropbox_sign_oauth::{MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS};
use http::{HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
    rt::{Executor, Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{sync::watch, time::timeout};
use tokio_util::io::InspectReader;

use super::pool::Pool;
use crate::body::RequestBody;

/// How long a connection may take to close in order before its task is dropped.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How long a pooled connection may take to accept the next request; one whose last exchange has
/// ended accepts at once.
const READY_TIME: Duration = Duration::from_millis(100);

/// How much of a body an HTTP/2 server may send ahead of what is read, in bytes: the protocol's
/// initial value; hyper's is two megabytes.
#[cfg(feature = "http2")]
const HTTP2_WINDOW: u32 = 65_535;

/// A transport of bytes.
pub(super) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// An open connection. Its tasks end soon after it is dropped, whatever the server sends.
pub(super) struct Connection {
    sender: Sender,
    /// Bytes of a response have arrived since the last request was sent.
    responding: Arc<AtomicBool>,
    /// Dropped with the connection, which ends the tasks.
    _owner: watch::Sender<()>,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    #[cfg(feature = "http2")]
    Http2(hyper::client::conn::http2::SendRequest<RequestBody>),
}

/// A request without a response.
pub(super) struct Failure {
    pub(super) error: hyper::Error,
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Request<RequestBody>>,
    /// Bytes of a response arrived. Otherwise, a connection that was reused may have been closed
    /// before the request was sent.
    pub(super) responded: bool,
}

impl Connection {
    /// Starts HTTP/2 or HTTP/1.1 on `stream`.
    pub(super) async fn open(stream: Box<dyn Io>, http2: bool) -> Result<Self, hyper::Error> {
        let (owner, ended) = watch::channel(());
        let tasks = OwnedTasks(ended);
        let responding = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&responding);
        let io = TokioIo::new(InspectReader::new(TokioIo::new(stream), move |read: &[u8]| {
            noted.fetch_or(!read.is_empty(), Ordering::Release);
        }));
        #[cfg(feature = "http2")]
        if http2 {
            let mut builder = hyper::client::conn::http2::Builder::new(tasks.clone());
            builder
                .initial_stream_window_size(HTTP2_WINDOW)
                .initial_connection_window_size(HTTP2_WINDOW)
                .max_header_list_size(u32::try_from(MAX_RESPONSE_HEAD).unwrap_or(u32::MAX));
            let (sender, connection) = builder.handshake(io).await?;
            tasks.execute(connection);
            return Ok(Self { sender: Sender::Http2(sender), responding, _owner: owner });
        }
        #[cfg(not(feature = "http2"))]
        let _ = http2;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_RESPONSE_HEAD).max_headers(MAX_RESPONSE_HEADERS);
        let (sender, connection) = builder.handshake(io).await?;
        tasks.execute(connection);
        Ok(Self { sender: Sender::Http1(sender), responding, _owner: owner })
    }

    /// Waits until the next request can be sent; false if it cannot.
    pub(super) async fn is_ready(&mut self) -> bool {
        let ready = poll_fn(|cx| match &mut self.sender {
            Sender::Http1(sender) => sender.poll_ready(cx),
            #[cfg(feature = "http2")]
            Sender::Http2(sender) => sender.poll_ready(cx),
        });
        matches!(timeout(READY_TIME, ready).await, Ok(Ok(())))
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            #[cfg(feature = "http2")]
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Box<Failure>> {
        self.responding.store(false, Ordering::Release);
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                prepare_http1(&mut request);
                request.body_mut().release_if_empty();
                sender.try_send_request(request).await
            }
            // Its head may be sent before its body is asked for.
            #[cfg(feature = "http2")]
            Sender::Http2(sender) => {
                request.body_mut().release();
                sender.try_send_request(request).await
            }
        };
        sent.map_err(|error| Box::new(self.failure(error)))
    }

    fn failure(&self, mut error: TrySendError<Request<RequestBody>>) -> Failure {
        let unsent = error.take_message();
        if let Some(request) = &unsent {
            request.body().take_back();
        }
        let responded = match &self.sender {
            Sender::Http1(_) => self.responding.load(Ordering::Acquire),
            // Other frames may have arrived, but no head.
            #[cfg(feature = "http2")]
            Sender::Http2(_) => false,
        };
        Failure { error: error.into_error(), unsent, responded }
    }
}

/// Adds the `Host` field and leaves the path alone in the request's URI.
fn prepare_http1(request: &mut Request<RequestBody>) {
    let uri = request.uri();
    // The authority of a URI that holds credentials is not a host.
    let host = uri.authority().and_then(|authority| {
        let host = authority.as_str().rsplit('@').next()?;
        HeaderValue::from_str(host).ok()
    });
    let path = uri.path_and_query().cloned();
    if let Some(host) = host {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
}

/// Spawns the tasks of a connection, which end with their owner.
#[derive(Clone)]
pub(super) struct OwnedTasks(pub(super) watch::Receiver<()>);

impl<F: Future + Send + 'static> Executor<F> for OwnedTasks {
    fn execute(&self, task: F) {
        let mut ended = self.0.clone();
        // In a box, because the future below would contain it twice.
        let mut task = Box::pin(task);
        tokio::spawn(async move {
            // It fails when the owner is dropped.
            let mut dropped = pin!(ended.changed());
            let done = poll_fn(|cx| {
                if task.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                dropped.as_mut().poll(cx).map(|_| false)
            });
            if !done.await {
                // A task that takes longer is dropped, and its socket with it.
                let _ = timeout(CLOSING_TIME, task).await;
            }
        });
    }
}

/// The body of a response of [`Client`](crate::Client): holds the connection until it has ended.
pub struct ResponseStream {
    body: Incoming,
    lease: Option<Lease>,
}

/// A connection in use, its origin, and the pool that it returns to.
pub(super) struct Lease(pub(super) Connection, pub(super) Uri, pub(super) Option<Arc<Pool>>);

impl Lease {
    pub(super) fn attach(self, response: Response<Incoming>) -> Response<ResponseStream> {
        response.map(|body| ResponseStream { body, lease: Some(self) })
    }
}

impl Body for ResponseStream {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            // Dropped after an error.
            if let Some(Lease(connection, origin, Some(pool))) = self.lease.take() {
                if frame.is_none() {
                    pool.put(origin, connection);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use dropbox_sign_oauth::Replay;

    use super::*;

    #[test]
    fn an_http1_request_has_a_host_and_a_path() {
        for (uri, host, path) in [
            ("https://host:1/a?b", "host:1", "/a?b"),
            ("https://user:secret@[::1]:1", "[::1]:1", "/"),
        ] {
            let (body, _) = RequestBody::new(Vec::new(), Replay::Safe);
            let mut request = Request::get(uri).body(body).unwrap();
            prepare_http1(&mut request);
            assert_eq!(request.headers()["host"], host);
            assert_eq!(request.uri(), path);
        }
    }
}
