//! Counts and keeps the requests that a client sends, with as little of HTTP as that needs.

use super::script::find;

/// Parses the incoming bytes of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    parser: Parser,
    /// Bytes that are not parsed yet.
    pending: Vec<u8>,
    /// Requests whose method was seen. Those of tunnels (`CONNECT`) do not count.
    pub(super) begun: usize,
    /// Those of them that are POSTs.
    pub(super) posts: usize,
    /// Requests whose head is complete.
    pub(super) heads: usize,
    /// Requests that are complete.
    pub(super) complete: usize,
    /// The last complete head.
    pub(super) head: Vec<u8>,
    /// The body of the last request. Its length must be declared.
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
enum Parser {
    Method,
    Head,
    Body {
        left: usize,
    },
    /// Not HTTP, for instance a TLS handshake.
    Noise,
    Http2Preface,
    Http2Frame,
}

const POST: &[u8] = b"POST ";
const CONNECT: &[u8] = b"CONNE";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

const HTTP2_PREFACE: usize = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HTTP2_FRAME_HEADER: usize = 9;
const HTTP2_DATA: u8 = 0;
const HTTP2_HEADERS: u8 = 1;
const HTTP2_END_STREAM: u8 = 1;

impl Requests {
    pub(super) fn new(http2: bool) -> Self {
        Self {
            parser: if http2 { Parser::Http2Preface } else { Parser::Method },
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
        while let Some(next) = self.step() {
            self.parser = next;
        }
    }

    /// Parses the next element of the pending bytes, if it is complete, and returns what follows it.
    fn step(&mut self) -> Option<Parser> {
        let pending = &mut self.pending;
        match self.parser {
            Parser::Method if !pending.first()?.is_ascii_uppercase() => Some(Parser::Noise),
            // A request counts as soon as its method has arrived.
            Parser::Method => {
                let method = pending.get(..POST.len())?;
                self.begun += usize::from(method != CONNECT);
                self.posts += usize::from(method == POST);
                Some(Parser::Head)
            }
            Parser::Head => {
                let end = find(pending, END_OF_HEAD)? + END_OF_HEAD.len();
                self.head = pending.drain(..end).collect();
                self.body.clear();
                self.heads += 1;
                let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
                let mut lengths = head.lines().filter_map(|it| it.strip_prefix("content-length:"));
                let left = lengths.next().map_or(Ok(0), |length| length.trim().parse());
                Some(Parser::Body { left: left.unwrap_or(0) })
            }
            Parser::Body { left: 0 } => {
                self.complete += 1;
                Some(Parser::Method)
            }
            Parser::Body { left } => {
                let read = pending.len().min(left);
                self.body.extend(pending.drain(..read));
                (read > 0).then_some(Parser::Body { left: left - read })
            }
            Parser::Noise => {
                pending.clear();
                None
            }
            Parser::Http2Preface => {
                pending.get(..HTTP2_PREFACE)?;
                pending.drain(..HTTP2_PREFACE);
                Some(Parser::Http2Frame)
            }
            Parser::Http2Frame => {
                let [a, b, c, kind, flags] = *pending.first_chunk()?;
                let len = HTTP2_FRAME_HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
                pending.get(..len)?;
                pending.drain(..len);
                if kind == HTTP2_HEADERS {
                    self.begun += 1;
                    self.heads += 1;
                    // HPACK may hide the method; the clients of this crate send only POSTs.
                    self.posts += 1;
                }
                let ends = flags & HTTP2_END_STREAM != 0;
                let ends = ends && matches!(kind, HTTP2_HEADERS | HTTP2_DATA);
                self.complete += usize::from(ends);
                Some(Parser::Http2Frame)
            }
        }
    }
}
