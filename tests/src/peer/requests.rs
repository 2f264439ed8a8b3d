//! Counts and keeps the requests that a client sends, with as little of HTTP as that needs.

use super::script::{Protocol, find};

/// Parses the incoming bytes of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    parser: Parser,
    /// Bytes that are not parsed yet.
    pending: Vec<u8>,
    /// Requests whose first bytes were seen. Those of tunnels (`CONNECT`) do not count.
    pub(super) begun: usize,
    /// Those of them that are POSTs.
    pub(super) posts: usize,
    /// Requests whose head is complete.
    pub(super) heads: usize,
    /// Requests that are complete.
    pub(super) complete: usize,
    /// The last complete head.
    pub(super) head: Vec<u8>,
    /// The body of the request that is being read, or of the last one.
    pub(super) body: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Parser {
    Head {
        begun: bool,
    },
    Body {
        left: usize,
    },
    Chunked,
    /// Not HTTP, for instance a TLS handshake.
    Noise,
    Http2Preface,
    Http2Frame,
}

const POST: &[u8] = b"POST ";
const CONNECT: &[u8] = b"CONNE";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HTTP2_FRAME_HEADER: usize = 9;
const HTTP2_DATA: u8 = 0;
const HTTP2_HEADERS: u8 = 1;
const HTTP2_END_STREAM: u8 = 1;

impl Requests {
    pub(super) fn new(protocol: Protocol) -> Self {
        let parser = match protocol {
            Protocol::Http1 => Parser::Head { begun: false },
            Protocol::Http2 => Parser::Http2Preface,
        };
        Self {
            parser,
            pending: Vec::new(),
            begun: 0,
            posts: 0,
            heads: 0,
            complete: 0,
            head: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some((consumed, next)) = self.step() {
            let consumed = self.pending.drain(..consumed);
            match self.parser {
                Parser::Head { begun: true } => {
                    self.head = consumed.collect();
                    self.body.clear();
                }
                Parser::Body { .. } => self.body.extend(consumed),
                _ => {}
            }
            self.parser = next;
        }
    }

    /// Returns the length of the next complete element of the pending bytes, and what follows it.
    fn step(&mut self) -> Option<(usize, Parser)> {
        let pending = self.pending.as_slice();
        match self.parser {
            Parser::Head { begun: false }
                if pending.first().is_some_and(|b| !b.is_ascii_uppercase()) =>
            {
                Some((0, Parser::Noise))
            }
            Parser::Noise => (!pending.is_empty()).then_some((pending.len(), Parser::Noise)),
            Parser::Head { begun: false } => {
                // A request counts as soon as its method has arrived.
                if pending.len() < POST.len() {
                    return None;
                }
                self.begun += usize::from(!pending.starts_with(CONNECT));
                self.posts += usize::from(pending.starts_with(POST));
                Some((0, Parser::Head { begun: true }))
            }
            Parser::Head { begun: true } => {
                let len = find(pending, END_OF_HEAD)? + END_OF_HEAD.len();
                self.heads += 1;
                Some((len, self.body(&pending[..len])))
            }
            Parser::Body { left: 0 } => {
                self.complete += 1;
                Some((0, Parser::Head { begun: false }))
            }
            Parser::Body { left } => match pending.len().min(left) {
                0 => None,
                read => Some((read, Parser::Body { left: left - read })),
            },
            Parser::Chunked => {
                let len = find(pending, LAST_CHUNK)? + LAST_CHUNK.len();
                Some((len, Parser::Body { left: 0 }))
            }
            Parser::Http2Preface => pending
                .starts_with(HTTP2_PREFACE)
                .then_some((HTTP2_PREFACE.len(), Parser::Http2Frame)),
            Parser::Http2Frame => {
                let header = pending.get(..HTTP2_FRAME_HEADER)?;
                let [a, b, c, kind, flags] = *header.first_chunk()?;
                let payload = u32::from_be_bytes([0, a, b, c]) as usize;
                let len = HTTP2_FRAME_HEADER + payload;
                if pending.len() < len {
                    return None;
                }
                if kind == HTTP2_HEADERS {
                    self.begun += 1;
                    self.heads += 1;
                    // HPACK may hide the method; the clients of this crate send only POSTs.
                    self.posts += 1;
                }
                let ends = flags & HTTP2_END_STREAM != 0;
                if ends && matches!(kind, HTTP2_HEADERS | HTTP2_DATA) {
                    self.complete += 1;
                }
                Some((len, Parser::Http2Frame))
            }
        }
    }

    /// Returns how the body after `head` is framed.
    fn body(&self, head: &[u8]) -> Parser {
        debug_assert!(self.heads > self.complete);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let value = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
        };
        if value("transfer-encoding:") == Some("chunked") {
            return Parser::Chunked;
        }
        let length = value("content-length:").and_then(|value| value.parse().ok());
        Parser::Body { left: length.unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `(begun, posts, heads, complete)`, which must not depend on how the bytes are split.
    fn count(bytes: &[u8]) -> (usize, usize, usize, usize) {
        let mut counts = [1, 2, 7, bytes.len().max(1)].map(|chunk| {
            let mut requests = Requests::new(Protocol::Http1);
            bytes.chunks(chunk).for_each(|chunk| requests.feed(chunk));
            (requests.begun, requests.posts, requests.heads, requests.complete)
        });
        counts.sort_unstable();
        assert_eq!(counts.first(), counts.last());
        counts[0]
    }

    #[test]
    fn counts_requests() {
        for (bytes, counts) in [
            ("", (0, 0, 0, 0)),
            ("POST", (0, 0, 0, 0)),
            ("POST /", (1, 1, 0, 0)),
            ("\u{16}\u{3}\u{1}POST / HTTP/1.1\r\n\r\n", (0, 0, 0, 0)),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n12", (1, 1, 1, 0)),
            ("POST / HTTP/1.1\r\ncontent-length:3\r\n\r\n123GET / HTTP/1.1\r\n\r\n", (2, 1, 2, 2)),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nPOS\r\n0\r\n\r\nPOST /",
                (2, 2, 1, 1),
            ),
        ] {
            assert_eq!(count(bytes.as_bytes()), counts, "{bytes}");
        }
    }
}
