//! Collects a response from its head and the chunks of its body, up to a limit.

use alloc::vec::Vec;
use core::fmt;

use http::{Response, header, response::Parts};
use zeroize::Zeroizing;

use crate::{error::Error, response, transport::DEFAULT_BODY_LIMIT};

/// The first allocation for a body whose length is not declared, in bytes: an honest token
/// response fits.
const FIRST_CAPACITY: usize = 1024;

/// The most that is allocated on the word of a header alone, in bytes: a limit that is set higher is
/// reached by what arrives.
const MAX_RESERVED: usize = DEFAULT_BODY_LIMIT;

/// The body of a response, as bytes. `Debug` shows its length alone, and it is wiped on drop.
#[derive(Default)]
pub struct ResponseBody(Zeroizing<Vec<u8>>);

impl ResponseBody {
    /// Appends `chunk`; growth copies by hand, so that the old buffer can be wiped.
    fn extend(&mut self, chunk: &[u8]) {
        let len = self.0.len().saturating_add(chunk.len());
        if len > self.0.capacity() {
            let doubled = self.0.capacity().saturating_mul(2);
            self.grow(len.max(doubled).max(FIRST_CAPACITY));
        }
        self.0.extend_from_slice(chunk);
    }

    fn grow(&mut self, capacity: usize) {
        let mut grown = Zeroizing::new(Vec::with_capacity(capacity));
        grown.extend_from_slice(&self.0);
        self.0 = grown;
    }
}

impl AsRef<[u8]> for ResponseBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBody({} bytes)", self.0.len())
    }
}

/// Collects the response to one request, counting its body as it arrives.
///
/// Give it the head, then [`reserve`](Self::reserve), then each chunk to [`push`](Self::push), and
/// [`finish`](Self::finish). When a step fails, or the transport does, stop reading and return
/// [`interrupted`](Self::interrupted): a status that means an error stays one, whatever became of
/// its body.
///
/// ```
/// use dropbox_sign_oauth::{DEFAULT_BODY_LIMIT, Error, ResponseBody, ResponseCollector};
///
/// fn collect<'c>(
///     response: http::Response<impl Iterator<Item = &'c [u8]>>,
/// ) -> Result<http::Response<ResponseBody>, Error> {
///     let (head, chunks) = response.into_parts();
///     let mut collector = ResponseCollector::new(head, DEFAULT_BODY_LIMIT);
///     let mut read = || {
///         collector.reserve()?;
///         for chunk in chunks {
///             collector.push(chunk)?;
///         }
///         Ok(())
///     };
///     match read() {
///         Ok(()) => Ok(collector.finish()),
///         Err(cause) => collector.interrupted(cause),
///     }
/// }
///
/// let chunks = [&b"{\"access_"[..], b"token\":\"\"}"];
/// let response = collect(http::Response::new(chunks.into_iter()))?;
/// assert_eq!(response.body().as_ref(), b"{\"access_token\":\"\"}");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ResponseCollector {
    head: Parts,
    body: ResponseBody,
    limit: usize,
}

impl ResponseCollector {
    /// Begins with a response's head. `limit` is the most bytes of body that are kept,
    /// [`DEFAULT_BODY_LIMIT`](crate::DEFAULT_BODY_LIMIT) if there is no reason for another.
    #[must_use]
    pub fn new(head: Parts, limit: usize) -> Self {
        let body = ResponseBody::default();
        Self { head, body, limit }
    }

    /// Makes room for the length that the head declares, before a byte is read.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if `Content-Length` is above the limit.
    pub fn reserve(&mut self) -> Result<(), Error> {
        let declared = self.head.headers.get(header::CONTENT_LENGTH);
        let declared = declared
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<u64>().ok());
        let Some(declared) = declared else {
            return Ok(());
        };
        match usize::try_from(declared) {
            Ok(declared) if declared <= self.limit => {
                self.body.grow(declared.min(MAX_RESERVED));
                Ok(())
            }
            _ => Err(Error::TooLarge { limit: self.limit }),
        }
    }

    /// Takes the next chunk of the body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the body exceeds the limit with it; the chunk is not kept, and
    /// reading should stop.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if chunk.len() > self.limit.saturating_sub(self.body.0.len()) {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.body.extend(chunk);
        Ok(())
    }

    /// The whole response, when the body has ended as it should.
    #[must_use]
    pub fn finish(self) -> Response<ResponseBody> {
        Response::from_parts(self.head, self.body)
    }

    /// What there is when the body could not be read to its end because of `cause`.
    ///
    /// # Errors
    /// `cause` itself if the response promised tokens (200 or 201). With any other status the
    /// response is given with as much of its body as there is: the status says enough.
    pub fn interrupted<E>(self, cause: E) -> Result<Response<ResponseBody>, E> {
        if response::is_success(self.head.status) {
            Err(cause)
        } else {
            Ok(self.finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    fn collector(status: u16, length: Option<&str>, limit: usize) -> ResponseCollector {
        let mut response = Response::builder().status(status);
        if let Some(length) = length {
            response = response.header(header::CONTENT_LENGTH, length);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        ResponseCollector::new(head, limit)
    }

    #[test]
    fn a_body_up_to_the_limit_is_kept() {
        for chunk in 1..=10 {
            let mut collector = collector(200, None, 10);
            collector.reserve().unwrap();
            for chunk in b"0123456789".chunks(chunk) {
                collector.push(chunk).unwrap();
            }
            collector.push(b"").unwrap();
            assert!(matches!(
                collector.push(b"x"),
                Err(Error::TooLarge { limit: 10 })
            ));
            assert_eq!(collector.finish().body().as_ref(), b"0123456789");
        }
    }

    #[test]
    fn a_declared_length_is_checked_before_reading() {
        for (length, accepted) in [
            ("0", true),
            ("10", true),
            ("11", false),
            ("1000000000000", false),
            ("18446744073709551615", false),
            ("99999999999999999999999", true), // not a number we can read: the chunks are counted
            ("garbage", true),
        ] {
            let mut collector = collector(200, Some(length), 10);
            assert_eq!(collector.reserve().is_ok(), accepted, "{length}");
        }
    }

    #[test]
    fn growth_is_bounded_by_what_arrives() {
        let mut collector = collector(200, Some("9300000000000000000"), usize::MAX);
        collector.reserve().unwrap();
        assert!(collector.body.0.capacity() <= MAX_RESERVED);
        for _ in 0..100 {
            collector.push(&vec![b'x'; 1000]).unwrap();
        }
        assert!(collector.body.0.capacity() <= 2 * 100_000);
        assert_eq!(collector.finish().body().as_ref(), vec![b'x'; 100_000]);
    }

    #[test]
    fn an_interruption_does_not_hide_a_status() {
        for (status, kept) in [
            (200, false),
            (201, false),
            (204, true),
            (307, true),
            (400, true),
        ] {
            let mut collector = collector(status, None, 10);
            collector.push(b"{\"err").unwrap();
            match collector.interrupted("reset") {
                Ok(response) if kept => assert_eq!(response.body().as_ref(), b"{\"err"),
                Err("reset") if !kept => {}
                other => panic!("{status}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_body_is_not_shown() {
        let mut collector = collector(200, None, 10);
        collector.push(b"s3cret").unwrap();
        let shown = format!("{collector:?} {:?}", collector.body);
        assert!(shown.ends_with("ResponseBody(6 bytes)"), "{shown}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("115"),
            "{shown}"
        );
    }
}
