//! The few frames of HTTP/2 (RFC 9113) that a server needs.

use std::io::{self, Read};

use socket2::SockRef;

use super::Accepted;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const CLIENT_PREFACE_LEN: usize = 24;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Exchanges the prefaces.
pub(crate) fn handshake(accepted: &mut Accepted) {
    let mut preface = [0; CLIENT_PREFACE_LEN];
    let _ = accepted.stream.read_exact(&mut preface);
    accepted.send([frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat());
}

/// Reads frames until a request has ended, and returns its stream.
pub(crate) fn read_request(accepted: &mut Accepted) -> io::Result<u32> {
    loop {
        let mut head = [0; 9];
        accepted.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        accepted.stream.read_exact(&mut payload)?;
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            accepted.record("request");
            return Ok(u32::from_be_bytes(stream));
        }
    }
}

/// A 200 with this many more headers; entry 8 of the static table (RFC 7541) is `:status: 200`.
pub(crate) fn json(stream: u32, headers: usize, body: &str) -> Vec<u8> {
    let mut block = vec![0x80 | 8];
    for _ in 0..headers {
        // A literal that is not indexed: `x: y`.
        block.extend([0, 1, b'x', 1, b'y']);
    }
    [
        frame(HEADERS, END_HEADERS, stream, &block),
        frame(DATA, END_STREAM, stream, body.as_bytes()),
    ]
    .concat()
}

/// No stream above `last` was acted on.
pub(crate) fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// Sends PINGs and reads nothing, so that the client can send no more, until it closes.
pub(crate) fn flood(accepted: &mut Accepted) {
    let _ = SockRef::from(&accepted.socket()).set_recv_buffer_size(4096);
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    while accepted.stream.write_all(&pings).is_ok() {}
}
