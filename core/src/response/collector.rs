//! Collects the bounded body of a response.

use alloc::vec::Vec;
use core::fmt;

use http::{Response, header, response::Parts};
use zeroize::Zeroizing;

use super::{error::Error, is_success};
use crate::json;

/// The largest size of a response body in bytes: 64 KiB, a hundred times the size of a usual token
/// response.
pub const DEFAULT_BODY_LIMIT: usize = 64 * 1024;

/// The first allocation for a body of undeclared length, in bytes: enough for a usual token
/// response.
const FIRST_CAPACITY: usize = 1024;

/// The largest allocation that a `Content-Length` alone can cause, in bytes. Beyond it, the buffer
/// grows as data arrives.
const MAX_RESERVED: usize = DEFAULT_BODY_LIMIT;

/// The body of a response. `Debug` shows only its length, and the buffer is wiped on drop.
#[derive(Default)]
pub struct ResponseBody(Zeroizing<Vec<u8>>);

impl ResponseBody {
    /// Appends `chunk`. Copies to a new buffer instead of reallocating, so that the old one is
    /// wiped.
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

#[doc = include_str!("collector.md")]
#[derive(Debug)]
pub struct ResponseCollector {
    head: Parts,
    body: ResponseBody,
    limit: usize,
    is_too_large: bool,
}

impl ResponseCollector {
    /// Returns the collector of a response with this head. The body may have up to `limit` bytes,
    /// usually [`DEFAULT_BODY_LIMIT`](crate::DEFAULT_BODY_LIMIT).
    #[must_use]
    pub fn new(head: Parts, limit: usize) -> Self {
        Self { head, body: ResponseBody::default(), limit, is_too_large: false }
    }

    /// Reserves space for the declared length of the body.
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
            _ => Err(self.too_large()),
        }
    }

    /// Appends the next chunk of the body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the body exceeds the limit with this chunk. The chunk is dropped.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if chunk.len() > self.limit.saturating_sub(self.body.0.len()) {
            return Err(self.too_large());
        }
        self.body.extend(chunk);
        Ok(())
    }

    fn too_large(&mut self) -> Error {
        self.is_too_large = true;
        Error::TooLarge { limit: self.limit }
    }

    /// Returns the whole response after the regular end of its body.
    #[must_use]
    pub fn finish(self) -> Response<ResponseBody> {
        Response::from_parts(self.head, self.body)
    }

    /// Ends a response whose body broke off because of `cause`. Returns it if the part that arrived
    /// is enough:
    ///
    /// - An error status is always enough.
    /// - A 200 or 201 is enough if its body is already a complete JSON object. More data could not
    ///   change the meaning of the object.
    ///
    /// # Errors
    /// `cause` for any other 200 or 201, and for one that exceeded the limit.
    pub fn interrupted<E>(self, cause: E) -> Result<Response<ResponseBody>, E> {
        if is_success(self.head.status) && (self.is_too_large || !self.is_complete()) {
            Err(cause)
        } else {
            Ok(self.finish())
        }
    }

    fn is_complete(&self) -> bool {
        core::str::from_utf8(self.body.as_ref()).is_ok_and(json::is_complete_object)
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
    fn accepts_a_body_up_to_the_limit() {
        for chunk in 1..=10 {
            let mut collector = collector(200, None, 10);
            collector.reserve().unwrap();
            for chunk in b"0123456789".chunks(chunk) {
                collector.push(chunk).unwrap();
            }
            collector.push(b"").unwrap();
            assert!(matches!(collector.push(b"x"), Err(Error::TooLarge { limit: 10 })));
            assert_eq!(collector.finish().body().as_ref(), b"0123456789");
        }
    }

    #[test]
    fn checks_a_declared_length_before_reading() {
        for (length, accepted) in [
            ("0", true),
            ("10", true),
            ("11", false),
            ("1000000000000", false),
            ("18446744073709551615", false),
            ("99999999999999999999999", true), // above `u64`: the chunks are counted
            ("garbage", true),
        ] {
            let mut collector = collector(200, Some(length), 10);
            assert_eq!(collector.reserve().is_ok(), accepted, "{length}");
        }
    }

    #[test]
    fn allocates_only_for_data_that_arrives() {
        let mut collector = collector(200, Some("9300000000000000000"), usize::MAX);
        collector.reserve().unwrap();
        assert_eq!(collector.body.0.capacity(), 65_536);
        for _ in 0..100 {
            collector.push(&vec![b'x'; 1000]).unwrap();
        }
        assert!(collector.body.0.capacity() <= 2 * 100_000);
        assert_eq!(collector.finish().body().as_ref(), vec![b'x'; 100_000]);
    }

    #[test]
    fn allocates_once_for_a_small_or_declared_body() {
        for (length, capacity) in [(None, FIRST_CAPACITY), (Some("10"), 10)] {
            let mut collector = collector(200, length, 10);
            collector.reserve().unwrap();
            collector.push(b"0123456789").unwrap();
            assert_eq!(collector.body.0.capacity(), capacity);
        }
    }

    #[test]
    fn keeps_error_statuses_and_complete_objects_of_broken_bodies() {
        for (status, body, kept) in [
            (200, "{\"a", false),
            (201, "", false),
            (200, "{\"a\":1} ", true),
            (201, "{}", true),
            (200, "[]", false),
            (200, "{}{", false),
            (204, "{\"err", true),
            (307, "", true),
            (400, "{\"err", true),
        ] {
            let mut collector = collector(status, None, 10);
            collector.push(body.as_bytes()).unwrap();
            match collector.interrupted("reset") {
                Ok(response) if kept => assert_eq!(response.body().as_ref(), body.as_bytes()),
                Err("reset") if !kept => {}
                other => panic!("{status} {body}: {other:?}"),
            }
        }
    }

    #[test]
    fn rejects_a_body_above_the_limit_even_after_a_complete_object() {
        let mut collector = collector(200, None, 10);
        collector.push(b"{}").unwrap();
        let cause = collector.push(b"         ").unwrap_err();
        assert_eq!(collector.interrupted(cause).unwrap_err(), Error::TooLarge { limit: 10 });
    }

    #[test]
    fn debug_does_not_show_a_body() {
        let mut collector = collector(200, None, 10);
        collector.push(b"s3cret").unwrap();
        let shown = format!("{collector:?} {:?}", collector.body);
        assert!(shown.ends_with("ResponseBody(6 bytes)"), "{shown}");
        assert!(!shown.contains("s3cret") && !shown.contains("115"), "{shown}");
    }
}
