//! What a service of the caller's is asked, and bounded by.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use dropbox_sign_oauth_hyper::{
    RequestBody, Transport,
    core::{App, AuthorizationCode, CallError, CauseKind, Replay, State, Token},
};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::service_fn;

fn app() -> App {
    App::new(
        "cc91c61d00f8bb2ece1428035716b",
        "1d14434088507ffa390e6f5528465",
    )
    .unwrap()
}

fn code() -> AuthorizationCode {
    AuthorizationCode::new("1b0d28d90c86c141", State::from_stored("900e06e2").unwrap()).unwrap()
}

/// A body of frames without data that is always ready, but for tokio, which makes whoever reads from
/// a channel pause now and then. It ends after so many frames that no deadline of the test holds.
struct Busy {
    sender: UnboundedSender<()>,
    receiver: UnboundedReceiver<()>,
    left: usize,
}

impl Busy {
    fn new() -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            sender,
            receiver,
            left: 3_000_000,
        }
    }
}

impl Body for Busy {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sender.send(()).unwrap();
        ready!(self.receiver.poll_recv(cx));
        self.left = self.left.saturating_sub(1);
        Poll::Ready((self.left > 0).then(|| Ok(Frame::data(Bytes::new()))))
    }
}

#[tokio::test]
async fn a_body_that_is_never_done_does_not_outlast_the_deadline() {
    let deadline = Duration::from_millis(1);
    let answer =
        |_: Request<RequestBody>| async { Ok::<_, Infallible>(Response::new(Busy::new())) };
    let transport: Transport<_, RequestBody> = Transport::builder()
        .deadline(deadline)
        .build_with_service(service_fn(answer));
    // The body was not asked for, so that it is not sent any more.
    match transport.send(app().generate(code())).await {
        Err(CallError::NotSent(cause)) => {
            assert!(matches!(cause.kind(), CauseKind::Deadline(it) if it == deadline));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_is_told_what_must_not_be_sent_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let service = service_fn(move |request: Request<RequestBody>| {
        let extension = request.extensions().get().copied();
        note.lock()
            .unwrap()
            .push((request.body().replay(), extension));
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}")))) }
    });
    let transport: Transport<_, RequestBody> = Transport::builder().build_with_service(service);
    assert!(transport.send(app().generate(code())).await.is_err());
    let token = Token::new("hNTI2MTFm").unwrap();
    assert!(transport.send(app().refresh(&token)).await.is_err());
    assert_eq!(
        *seen.lock().unwrap(),
        [(Replay::Never, Some(Replay::Never)), (Replay::Safe, None)]
    );
}
