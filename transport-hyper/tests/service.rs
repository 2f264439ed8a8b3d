//! What a service of the caller is told, and how it is bounded.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dropbox_sign_oauth_hyper::{
    App, CallError, MAX_RESPONSE_HEADERS, Replay, RequestBody, Transport,
};
use dropbox_sign_oauth_testkit::samples::{TOKENS, app_at, code, token};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::{sync::mpsc::unbounded_channel, task::unconstrained};
use tower::service_fn;

const DEADLINE: Duration = Duration::from_millis(30);

fn app() -> App {
    app_at("https://host.invalid")
}

fn tokens() -> Full<Bytes> {
    Full::from(TOKENS)
}

/// Whether an error is *unknown* for a request of this kind.
fn is_unknown(error: &CallError, expected: Replay) -> bool {
    matches!(error, CallError::Unknown { replay, .. } if *replay == expected)
}

/// A body of empty frames that is always ready. It ends long after the deadline, so that a test
/// that fails ends.
struct AlwaysReady(Instant);

impl AlwaysReady {
    fn new() -> Self {
        Self(Instant::now() + DEADLINE * 10)
    }
}

impl Body for AlwaysReady {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready((Instant::now() < self.0).then(|| Ok(Frame::data(Bytes::new()))))
    }
}

fn always_ready(_: Request<RequestBody>) -> Ready<Result<Response<AlwaysReady>, Infallible>> {
    ready(Ok(Response::new(AlwaysReady::new())))
}

#[tokio::test]
async fn a_body_that_is_always_ready_does_not_outlast_the_deadline() {
    let transport = Transport::builder().deadline(DEADLINE);
    let transport = transport.build_with_service(service_fn(always_ready));
    // Tokio does not interrupt it either.
    let error = unconstrained(transport.send(app().generate(code()))).await;
    let error = error.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    // The body of the request was not read, so it is not sent later.
    assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn other_tasks_run_while_a_body_is_always_ready() {
    let transport = Transport::builder().deadline(DEADLINE);
    let transport = transport.build_with_service(service_fn(always_ready));
    let other = tokio::spawn(async { Instant::now() });
    assert!(transport.send(app().generate(code())).await.is_err());
    let ended = Instant::now();
    assert!(other.await.unwrap() + DEADLINE / 2 < ended);
}

#[tokio::test]
async fn work_that_uses_up_the_budget_does_not_outlast_the_deadline() {
    let service = service_fn(|_: Request<RequestBody>| async {
        let (sender, mut receiver) = unbounded_channel();
        let end = Instant::now() + DEADLINE * 10;
        while Instant::now() < end {
            sender.send(()).unwrap();
            receiver.recv().await;
        }
        Err::<Response<Full<Bytes>>, _>(io::Error::other("too late"))
    });
    let transport = Transport::builder().deadline(DEADLINE);
    let transport = transport.build_with_service(service);
    let error = transport.send(app().generate(code())).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn a_service_is_told_what_must_not_be_sent_twice() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let service = service_fn(move |request: Request<RequestBody>| {
        let extension = request.extensions().get().copied();
        let replay = request.body().replay();
        note.lock().unwrap().push((replay, extension));
        ready(Ok::<_, Infallible>(Response::new(tokens())))
    });
    let transport = Transport::with_service(service);
    transport.send(app().generate(code())).await.unwrap();
    transport.send(app().refresh(&token())).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(Replay::Never, Some(Replay::Never)), (Replay::Safe, None)]);
}

#[tokio::test]
async fn a_request_is_not_sent_only_where_that_is_proven() {
    for reads in [false, true] {
        let service = service_fn(move |request: Request<RequestBody>| async move {
            if reads {
                request.into_body().collect().await.unwrap();
            }
            Err::<Response<Full<Bytes>>, _>(io::Error::other("failed"))
        });
        let transport = Transport::with_service(service);
        let error = transport.send(app().generate(code())).await.unwrap_err();
        if reads {
            assert!(is_unknown(&error, Replay::Never), "{error:?}");
        } else {
            assert!(matches!(error, CallError::NotSent(_)), "{error:?}");
        }
        // An empty body is not read, sent or not.
        let error = transport.send(app().account(&token())).await.unwrap_err();
        assert!(is_unknown(&error, Replay::Safe), "{error:?}");
    }
}

#[tokio::test]
async fn the_number_of_headers_is_limited() {
    for (headers, accepted) in [(MAX_RESPONSE_HEADERS, true), (MAX_RESPONSE_HEADERS + 1, false)] {
        let service = service_fn(move |request: Request<RequestBody>| async move {
            request.into_body().collect().await.unwrap();
            let mut response = Response::builder();
            for _ in 0..headers {
                response = response.header("x", "y");
            }
            Ok::<_, Infallible>(response.body(tokens()).unwrap())
        });
        match Transport::with_service(service).send(app().generate(code())).await {
            Ok(_) => assert!(accepted),
            Err(error) => assert!(!accepted && is_unknown(&error, Replay::Never), "{error:?}"),
        }
    }
}
