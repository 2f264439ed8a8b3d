//! The body of a request, which tells whether it was ever taken.

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
use hyper_util::client::legacy;
use zeroize::Zeroizing;

/// Nobody has asked for the body yet.
const WAITING: u8 = 0;
/// The body was handed over, and may be on its way.
const TAKEN: u8 = 1;
/// The call has ended, and the body will not be handed over any more.
const CLOSED: u8 = 2;

/// The body of a request, handed over at most once, and only while its call goes on.
///
/// That makes it a witness: HTTP/1.1 clients ask for the body before they write the head, so that a
/// call whose body was never asked for has provably not been sent. It cannot be cloned: no
/// middleware can send it twice.
pub struct RequestBody {
    data: Option<Bytes>,
    gate: Arc<Gate>,
    replay: Replay,
}

#[derive(Debug, Default)]
struct Gate(AtomicU8);

impl Gate {
    fn pass(&self, to: u8) -> bool {
        self.0
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The end of a [`RequestBody`] that its call keeps. Closes it when dropped, so that a call that
/// was given up does not send afterwards.
#[derive(Debug)]
pub(crate) struct Witness {
    gate: Arc<Gate>,
    /// An empty body is never asked for, and proves nothing.
    empty: bool,
}

impl RequestBody {
    /// Whether the request may be sent again.
    #[must_use]
    pub fn replay(&self) -> Replay {
        self.replay
    }

    pub(crate) fn new(data: Vec<u8>, replay: Replay) -> (Self, Witness) {
        let gate = Arc::new(Gate::default());
        let witness = Witness {
            gate: Arc::clone(&gate),
            empty: data.is_empty(),
        };
        let data = (!data.is_empty()).then(|| Bytes::from_owner(Zeroizing::new(data)));
        (Self { data, gate, replay }, witness)
    }
}

impl Witness {
    /// Closes the body of a call that failed with `error`, and says whether the request has
    /// provably not been sent.
    pub(crate) fn close(&self, error: &(dyn Error + 'static)) -> bool {
        let never_asked_for = self.gate.pass(CLOSED);
        if self.empty {
            // A GET: only hyper-util's own word is left, and no harm can come of it.
            error
                .downcast_ref::<legacy::Error>()
                .is_some_and(legacy::Error::is_connect)
        } else {
            never_asked_for
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.gate.pass(CLOSED);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = CallEnded;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallEnded>>> {
        Poll::Ready(self.data.take().map(|data| {
            if self.gate.pass(TAKEN) {
                Ok(Frame::data(data))
            } else {
                Err(CallEnded(()))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let len = self.data.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(len as u64)
    }
}

/// For clients whose bodies are `Full<Bytes>`. Such a body can be cloned and sent again by a
/// middleware, so nothing is provable of it: a call that fails is *unknown*.
impl From<RequestBody> for Full<Bytes> {
    fn from(mut body: RequestBody) -> Self {
        match body.data.take() {
            Some(data) if body.gate.pass(TAKEN) => Self::new(data),
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

/// The call ended before its body was asked for, so the body was not handed over.
#[derive(Debug)]
pub struct CallEnded(());

impl fmt::Display for CallEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call ended before its body was asked for")
    }
}

impl Error for CallEnded {}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn take<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Result<Bytes, B::Error>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("a body is always ready"),
        }
    }

    #[test]
    fn a_body_is_taken_once_and_tells() {
        let (mut body, witness) = RequestBody::new(b"secret".to_vec(), Replay::Never);
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(format!("{body:?}"), "RequestBody(6 bytes)");
        assert_eq!(take(&mut body).unwrap().unwrap(), "secret");
        assert!(take(&mut body).is_none() && body.is_end_stream());
        assert!(!witness.close(&CallEnded(())));
    }

    #[test]
    fn a_closed_body_is_not_taken() {
        let (mut body, witness) = RequestBody::new(b"secret".to_vec(), Replay::Never);
        assert!(witness.close(&CallEnded(())));
        assert!(take(&mut body).unwrap().is_err());
        let (mut body, witness) = RequestBody::new(b"secret".to_vec(), Replay::Never);
        drop(witness);
        assert!(take(&mut body).unwrap().is_err());
    }

    #[test]
    fn an_empty_body_proves_nothing() {
        let (body, witness) = RequestBody::new(Vec::new(), Replay::Safe);
        assert!(body.is_end_stream());
        assert!(!witness.close(&CallEnded(())));
    }

    #[test]
    fn a_full_body_counts_as_taken() {
        let (body, witness) = RequestBody::new(b"secret".to_vec(), Replay::Never);
        let mut full = Full::<Bytes>::from(body);
        assert!(!witness.close(&CallEnded(())));
        assert_eq!(take(&mut full).unwrap().unwrap(), "secret");
    }
}
