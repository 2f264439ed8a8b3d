//! The frames of HTTP/2 (RFC 9113) that a server needs to respond to one request.

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The stream of a client's first request.
pub const FIRST_STREAM: u32 = 1;

/// The error code of a graceful end (RFC 9113 §7).
pub const NO_ERROR: u32 = 0x0;
/// The error code of a stream that was not acted on.
pub const REFUSED_STREAM: u32 = 0x7;
/// The error code of a stream that is no longer needed.
pub const CANCEL: u32 = 0x8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload");
    let [_, length @ ..] = len.to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The server's preface: empty settings, and the acknowledgement of the client's.
#[must_use]
pub fn preface() -> Vec<u8> {
    [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()
}

/// Returns a 200 with a JSON body. Names and values of headers must be shorter than 127 bytes.
///
/// # Panics
/// If one is longer than 255 bytes.
#[must_use]
pub fn json(stream: u32, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    // RFC 7541: `:status: 200` is entry 8 of the static table; the others are literals that are not
    // indexed.
    let mut block = vec![0x80 | 8];
    for (name, value) in [("content-type", "application/json")].iter().chain(headers) {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    [frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, END_STREAM, stream, body)].concat()
}

/// Returns the frame that ends a stream.
#[must_use]
pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Returns a frame that the client responds to.
#[must_use]
pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

/// Returns the frame that says that no stream above `last` was or will be acted on.
#[must_use]
pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}
