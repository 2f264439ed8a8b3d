//! The body of a request, which records whether it was sent.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use dropbox_sign_oauth::Replay;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use zeroize::Zeroizing;

/// No client has asked for the body.
const WAITING: u8 = 0;
/// [`Client`](crate::Client) has the request and has sent nothing of it.
const HELD: u8 = 1;
/// The body was read, or the head may have been sent.
const SENT: u8 = 2;
/// The call has ended; the body cannot be read any more.
const CLOSED: u8 = 3;

/// The body of a request. It can be read once, and only until its call ends.
///
/// It is the witness of sending: an HTTP/1.1 client reads the body before it writes the head, so a
/// request whose body was not read has provably not been sent. It cannot be cloned, so no
/// middleware can send it twice.
pub struct RequestBody {
    data: Option<Bytes>,
    gate: Arc<Gate>,
    replay: Replay,
    /// Recorded as sent before it is read.
    released: bool,
    /// The body of a second attempt.
    is_copy: bool,
}

/// The connection that a request is sent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// It was opened for this request.
    New = 1,
    /// It has carried other requests.
    Reused,
    /// It was opened ahead, for a code.
    Ahead,
}

#[derive(Debug, Default)]
struct Gate {
    state: AtomicU8,
    /// A [`Use`], or zero.
    connection: AtomicU8,
}

impl Gate {
    /// Changes the state to `to` if it is one of `from`.
    fn pass(&self, from: &[u8], to: u8) -> bool {
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                from.contains(&state).then_some(to)
            })
            .is_ok()
    }
}

/// The end of a [`RequestBody`] that its call keeps. Dropping it closes the body, so that a call
/// that was canceled does not send its request later.
#[derive(Debug)]
pub(crate) struct Witness {
    gate: Arc<Gate>,
    /// An empty body is not read, which proves nothing.
    empty: bool,
}

impl RequestBody {
    /// Returns whether the request may be sent more than once.
    #[must_use]
    pub fn replay(&self) -> Replay {
        self.replay
    }

    pub(crate) fn new(data: Vec<u8>, replay: Replay) -> (Self, Witness) {
        let gate = Arc::new(Gate::default());
        let witness = Witness { gate: Arc::clone(&gate), empty: data.is_empty() };
        let data = (!data.is_empty()).then(|| Bytes::from_owner(Zeroizing::new(data)));
        let body = Self { data, gate, replay, released: false, is_copy: false };
        (body, witness)
    }

    /// Records that a client which reports what it sends has the request.
    pub(crate) fn hold(&self) {
        self.gate.pass(&[WAITING], HELD);
    }

    /// Records which connection the request is sent on.
    pub(crate) fn note_use(&self, connection: Use) {
        self.gate.connection.store(connection as u8, Ordering::Relaxed);
    }

    /// Records that the head may be sent before the body is read.
    pub(crate) fn release(&mut self) {
        self.gate.pass(&[WAITING, HELD], SENT);
        self.released = true;
    }

    /// As [`release`](Self::release), for a body that is not read.
    pub(crate) fn release_if_empty(&mut self) {
        if self.data.is_none() {
            self.release();
        }
    }

    /// Records that a request that was released has not been sent after all.
    pub(crate) fn take_back(&self) {
        // The attempt before a copy may have been sent.
        if self.released && !self.is_copy {
            self.gate.pass(&[SENT], HELD);
        }
    }

    /// The same body, for a second attempt of a request that may be sent more than once.
    pub(crate) fn copy(&self) -> Self {
        Self {
            data: self.data.clone(),
            gate: Arc::clone(&self.gate),
            replay: self.replay,
            released: false,
            is_copy: true,
        }
    }

    /// Whether the data may be read now.
    fn open(&self) -> bool {
        let from: &[u8] =
            if self.released || self.is_copy { &[WAITING, HELD, SENT] } else { &[WAITING, HELD] };
        self.gate.pass(from, SENT)
    }
}

impl Witness {
    /// The connection that the request was sent on, if it is known.
    pub(crate) fn connection(&self) -> Option<&'static str> {
        let used = self.gate.connection.load(Ordering::Relaxed);
        ["new", "reused", "ahead"].get(usize::from(used).checked_sub(1)?).copied()
    }

    /// Closes the body of a call that failed. Returns whether the request has provably not been
    /// sent.
    pub(crate) fn close(&self) -> bool {
        match self.gate.state.swap(CLOSED, Ordering::AcqRel) {
            WAITING => !self.empty,
            state => state == HELD,
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.close();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CallEnded;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallEnded>>> {
        Poll::Ready(
            self.data
                .take()
                .map(|data| if self.open() { Ok(Frame::data(data)) } else { Err(CallEnded(())) }),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let len = self.data.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(len as u64)
    }
}

/// For clients whose bodies are `Full<Bytes>`: `request.map(Full::from)`. Middleware can clone and
/// resend such a body, so nothing can be proved of it, and a call that fails is *unknown*.
impl From<RequestBody> for Full<Bytes> {
    fn from(mut body: RequestBody) -> Self {
        match body.data.take() {
            Some(data) if body.open() => Self::new(data),
            _ => Self::default(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.data.as_ref().map_or(0, Bytes::len);
        write!(f, "RequestBody({len} bytes)")
    }
}

/// The call ended before its body was read, so the request must not be sent.
#[derive(Debug)]
pub struct CallEnded(());

impl fmt::Display for CallEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call ended before its body was read")
    }
}

impl Error for CallEnded {}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn body(data: &[u8]) -> (RequestBody, Witness) {
        RequestBody::new(data.to_vec(), Replay::Safe)
    }

    fn read<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Result<Bytes, B::Error>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("a body is always ready"),
        }
    }

    #[test]
    fn a_body_that_was_read_counts_as_sent() {
        let (mut body, witness) = body(b"secret");
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(format!("{body:?}"), "RequestBody(6 bytes)");
        assert_eq!(read(&mut body).unwrap().unwrap(), "secret");
        assert!(read(&mut body).is_none() && body.is_end_stream());
        assert!(!witness.close());
    }

    #[test]
    fn a_closed_body_cannot_be_read() {
        let (mut first, witness) = body(b"secret");
        assert!(witness.close());
        assert!(read(&mut first).unwrap().is_err());
        let (mut second, witness) = body(b"secret");
        drop(witness);
        assert!(read(&mut second).unwrap().is_err());
        let (third, witness) = body(b"secret");
        let mut copy = third.copy();
        drop((third, witness));
        assert!(read(&mut copy).unwrap().is_err());
    }

    #[test]
    fn an_empty_body_proves_nothing_unless_the_client_holds_it() {
        let (first, witness) = body(b"");
        assert!(first.is_end_stream());
        assert!(!witness.close());
        let (second, witness) = body(b"");
        second.hold();
        assert!(witness.close());
        let (mut third, witness) = body(b"");
        third.hold();
        third.release_if_empty();
        assert!(!witness.close());
    }

    #[test]
    fn a_released_body_counts_as_sent_until_it_is_taken_back() {
        for taken_back in [false, true] {
            let (mut body, witness) = body(b"secret");
            body.hold();
            body.release();
            if taken_back {
                body.take_back();
            }
            assert_eq!(witness.close(), taken_back);
        }
    }

    #[test]
    fn a_copy_can_be_read_after_the_original() {
        let (mut body, witness) = body(b"secret");
        let mut copy = body.copy();
        assert_eq!(read(&mut body).unwrap().unwrap(), "secret");
        copy.release();
        copy.take_back();
        assert_eq!(read(&mut copy).unwrap().unwrap(), "secret");
        assert!(!witness.close());
    }

    #[test]
    fn a_full_body_counts_as_sent() {
        let (body, witness) = body(b"secret");
        let mut full = Full::<Bytes>::from(body);
        assert!(!witness.close());
        assert_eq!(read(&mut full).unwrap().unwrap(), "secret");
    }
}
