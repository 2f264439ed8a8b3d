//! Responses that break off or are too large.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth_hyper::{
    CallError, Error, MAX_RESPONSE_HEAD, MAX_RESPONSE_HEADERS, Replay, Transport,
};
use support::{Accepted, Peer, SHORT, TOKENS, code, is_unknown, json};

const DEADLINE: Duration = Duration::from_secs(2);

/// How a response ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Reset,
    Silence,
}

impl End {
    fn apply(self, accepted: &mut Accepted) {
        match self {
            Self::Fin => accepted.fin(),
            Self::Reset => {
                // Not before the client has read.
                thread::sleep(SHORT / 3);
                accepted.reset();
            }
            Self::Silence => accepted.wait(),
        }
    }
}

/// Exchanges a code with a server that sends `response`.
async fn exchange(peer: Peer) -> Result<(), CallError> {
    let transport = peer.trusted(Transport::builder().deadline(DEADLINE));
    let transport = transport.build().unwrap();
    let tokens = transport.send(peer.app().generate(code())).await?;
    assert_eq!(tokens.access_token.expose(), "NWNiOTMx");
    Ok(())
}

#[tokio::test]
async fn a_complete_object_is_enough() {
    let length = TOKENS.len();
    let chunk = format!("{length:x}\r\n{TOKENS}");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}");
    let mut cases = Vec::new();
    for response in [
        format!("HTTP/1.0 200 OK\r\n\r\n{TOKENS}"),
        format!("{head}Connection: close\r\n\r\n{TOKENS}\r\n"),
        format!("{head}Content-Length: {}\r\n\r\n{TOKENS}", length + 9),
        chunked.clone(),
        format!("{chunked}\r\n"),
        format!("{chunked}\r\nzz\r\n"),
        format!("{chunked}\r\n0\r\n"),
    ] {
        for end in [End::Fin, End::Reset, End::Silence] {
            for complete in [true, false] {
                let mut sent = response.clone();
                if !complete {
                    sent.truncate(sent.find('}').unwrap());
                }
                let handle = move |accepted: &mut Accepted| {
                    accepted.read_request();
                    accepted.send(&sent);
                    end.apply(accepted);
                };
                let peer = if matches!(end, End::Fin) {
                    Peer::start_tls(&[], handle)
                } else {
                    Peer::start(handle)
                };
                let case = format!("{response} {end:?}");
                cases.push((case, complete, tokio::spawn(exchange(peer))));
            }
        }
    }
    for (case, complete, exchange) in cases {
        match exchange.await.unwrap() {
            Ok(()) => assert!(complete, "{case}"),
            Err(error) => assert!(
                !complete && is_unknown(&error, Replay::Never),
                "{case}: {error:?}"
            ),
        }
    }
}

/// A response with this many headers, the `Content-Length` included, and a head of `size` bytes.
fn with_headers(count: usize, size: Option<usize>) -> String {
    let headers = "X: y\r\n".repeat(count - 2);
    let length = TOKENS.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}X-Last: ");
    let padding = size.map_or(0, |size| size - head.len() - "\r\n\r\n".len());
    format!("{head}{}\r\n\r\n{TOKENS}", "x".repeat(padding))
}

#[tokio::test]
async fn the_head_is_limited() {
    for (response, accepted) in [
        (with_headers(MAX_RESPONSE_HEADERS, None), true),
        (with_headers(MAX_RESPONSE_HEADERS + 1, None), false),
        (with_headers(4, Some(MAX_RESPONSE_HEAD)), true),
        (with_headers(4, Some(MAX_RESPONSE_HEAD + 1)), false),
    ] {
        let head = response.find("\r\n\r\n").unwrap() + 4;
        let peer = Peer::start(move |accepted| {
            accepted.read_request();
            accepted.send(&response);
            accepted.wait();
        });
        match exchange(peer).await {
            Ok(()) => assert!(accepted, "{head}"),
            Err(error) => assert!(!accepted && is_unknown(&error, Replay::Never), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_too_large_at_once() {
    let peer = Peer::start(|accepted| {
        accepted.read_request();
        accepted.send(json(200, "").replace("Length: 0", "Length: 1000000000000"));
        accepted.wait();
    });
    let started = Instant::now();
    match exchange(peer).await {
        Err(CallError::Answered(Error::TooLarge { .. })) => {}
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < DEADLINE);
}
