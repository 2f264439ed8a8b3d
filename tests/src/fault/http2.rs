//! The frames of HTTP/2 (RFC 9113) that a server needs to respond to one request.

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The stream of a client's first request.
pub(super) const FIRST_STREAM: u32 = 1;

pub(super) const NO_ERROR: u32 = 0x0;
pub(super) const REFUSED_STREAM: u32 = 0x7;
pub(super) const CANCEL: u32 = 0x8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload");
    let [_, length @ ..] = len.to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The server's preface: empty settings, and the acknowledgement of the client's.
pub(super) fn preface() -> Vec<u8> {
    [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()
}

/// Returns a 200 with a JSON body.
pub(super) fn json(stream: u32, body: &[u8]) -> Vec<u8> {
    const CONTENT_TYPE: &[u8] = b"application/json";
    // RFC 7541: `:status: 200` is entry 8 of the static table, and `content-type` entry 31, here
    // the name of a literal that is not indexed.
    let length = u8::try_from(CONTENT_TYPE.len()).expect("a short value");
    let block = [&[0x80 | 8, 0x0f, 31 - 15, length], CONTENT_TYPE].concat();
    [
        frame(HEADERS, END_HEADERS, stream, &block),
        frame(DATA, END_STREAM, stream, body),
    ]
    .concat()
}

pub(super) fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// Returns the frame that says that no stream above `last` was or will be acted on.
pub(super) fn goaway(last: u32, code: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}
