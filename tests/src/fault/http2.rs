//! The frames of HTTP/2 (RFC 9113) that a server needs to respond to one request.

/// The stream of a client's first request.
pub const FIRST_STREAM: u32 = 1;

/// The error code of a graceful end (RFC 9113 §7).
pub const NO_ERROR: u32 = 0x0;
/// The error code of a stream that was not acted on.
pub const REFUSED_STREAM: u32 = 0x7;
/// The error code of a stream that is no longer needed.
pub const CANCEL: u32 = 0x8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = payload.len().to_be_bytes();
    [&[a, b, c, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// The server's preface: empty SETTINGS, and the acknowledgement of the client's.
#[must_use]
pub fn preface() -> Vec<u8> {
    [frame(0x4, 0, 0, &[]), frame(0x4, 0x1, 0, &[])].concat()
}

/// Returns a 200 with a JSON body: HEADERS with `END_HEADERS`, and DATA with `END_STREAM`. Names and
/// values of headers must be shorter than 127 bytes.
#[must_use]
pub fn json(stream: u32, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    // RFC 7541: `:status: 200` is entry 8 of the static table; the others are literals that are not
    // indexed.
    let mut block = vec![0x80 | 8];
    for (name, value) in [("content-type", "application/json")].iter().chain(headers) {
        block.push(0);
        for text in [name, value] {
            block.push(text.len().to_be_bytes()[size_of::<usize>() - 1]);
            block.extend(text.as_bytes());
        }
    }
    [frame(0x1, 0x4, stream, &block), frame(0x0, 0x1, stream, body)].concat()
}

/// Returns the `RST_STREAM` that ends a stream.
#[must_use]
pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(0x3, 0, stream, &code.to_be_bytes())
}

/// Returns a PING, to which the client responds.
#[must_use]
pub fn ping() -> Vec<u8> {
    frame(0x6, 0, 0, &[0; 8])
}

/// Returns the GOAWAY that says that no stream above `last` was or will be acted on.
#[must_use]
pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(0x7, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}
