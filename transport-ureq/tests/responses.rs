//! Responses that break off or never end, beyond those of the conformance run.

mod support;

use std::{io, thread, time::Duration};

use dropbox_sign_oauth_ureq::CallError;
use support::{Peer, Server, TOKENS, builder, generate, ok};

type Play = fn(&mut Peer, &str) -> io::Result<()>;

/// The ways in which a response is interrupted after its body. The last member says whether TLS is
/// needed.
const INTERRUPTED: [(&str, Play, bool); 8] = [
    (
        "HTTP/1.0 without a length, and no close_notify",
        |peer, body| peer.send(format!("HTTP/1.0 200 OK\r\n\r\n{body}")),
        true,
    ),
    (
        "HTTP/1.0 without a length, reset",
        |peer, body| {
            peer.send(format!("HTTP/1.0 200 OK\r\n\r\n{body}"))?;
            thread::sleep(Duration::from_millis(50));
            peer.reset()
        },
        false,
    ),
    (
        "Content-Length too large, reset",
        |peer, body| {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{body}"
            ))?;
            thread::sleep(Duration::from_millis(50));
            peer.reset()
        },
        false,
    ),
    (
        "body that drips until the deadline",
        |peer, body| {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n{body}"
            ))?;
            loop {
                peer.send(" ")?;
                thread::sleep(Duration::from_millis(10));
            }
        },
        false,
    ),
    (
        "broken chunk size in the same packet",
        |peer, body| peer.send(chunked(body, "\r\nZZ\r\n")),
        false,
    ),
    (
        "no line end after a chunk's data",
        |peer, body| peer.send(chunked(body, "!!!!\r\n")),
        false,
    ),
    (
        "broken TLS record after the body",
        |peer, body| {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{body}"
            ))?;
            peer.send_raw(&[23, 3, 3, 0, 20])?;
            peer.send_raw(&[0; 20])
        },
        true,
    ),
    (
        "plain text after the body instead of a TLS record",
        |peer, body| {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{body}"
            ))?;
            peer.send_raw(b"HTTP/1.1 500 Plain text\r\n\r\n")
        },
        true,
    ),
];

/// A response with `body` in one chunk, and what follows its data.
fn chunked(body: &str, after: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}{after}")
}

/// The deadline of a case.
fn deadline(name: &str) -> Duration {
    if name.ends_with("until the deadline") {
        Duration::from_secs(1)
    } else {
        DEADLINE
    }
}

/// Long enough for a loaded machine.
const DEADLINE: Duration = Duration::from_secs(20);

fn exchange(
    tls: bool,
    deadline: Duration,
    play: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
) -> Result<(), CallError> {
    let server = Server::with_tls(tls, move |_, peer| {
        peer.read_request()?;
        play(peer)
    });
    let transport = builder().deadline(deadline).body_limit(8192);
    let transport = transport.build().unwrap();
    let result = generate(&transport, &server.base()).map(drop);
    assert_eq!(server.requests().len(), 1);
    result
}

#[test]
fn accepts_complete_object_of_interrupted_response() {
    for (name, play, needs_tls) in INTERRUPTED {
        for tls in [true, false] {
            if tls || !needs_tls {
                let result = exchange(tls, deadline(name), move |peer| play(peer, TOKENS));
                assert!(result.is_ok(), "{name}, tls {tls}: {result:?}");
            }
        }
    }
}

#[test]
fn incomplete_object_of_interrupted_response_is_unknown() {
    let (half, _) = TOKENS.split_at(TOKENS.len() - 1);
    for (name, play, needs_tls) in INTERRUPTED {
        for tls in [true, false] {
            if tls || !needs_tls {
                let result = exchange(tls, deadline(name), move |peer| play(peer, half));
                assert!(
                    matches!(result, Err(CallError::Unknown { .. })),
                    "{name}, tls {tls}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn reads_chunked_bodies() {
    let (start, end) = TOKENS.split_at(20);
    for response in [
        chunked(TOKENS, "\r\n0\r\n\r\n"),
        chunked(TOKENS, "\r\n0\r\n"),
        chunked(
            TOKENS,
            "\r\n0\r\nX-Trailer: of more than thirty-two bytes in all\r\n\r\n",
        ),
        chunked(
            start,
            &format!("\r\n{:x};ext=1\r\n{end}\r\n0\r\n\r\n", end.len()),
        ),
    ] {
        let result = exchange(false, DEADLINE, {
            let response = response.clone();
            move |peer| peer.send(&response)
        });
        assert!(result.is_ok(), "{response}: {result:?}");
    }
}

#[test]
fn limits_size_of_response_head() {
    for (value, is_ok) in [(16_000, true), (17_000, false)] {
        let extra = "x".repeat(value);
        let response = ok(TOKENS).replacen("\r\n", &format!("\r\nX-Extra: {extra}\r\n"), 1);
        let result = exchange(false, DEADLINE, move |peer| peer.send(&response));
        match result {
            Ok(()) => assert!(is_ok, "{value}"),
            Err(CallError::Unknown { .. }) => assert!(!is_ok, "{value}"),
            other => panic!("{value}: {other:?}"),
        }
    }
}

#[test]
fn endless_responses_end_before_the_deadline() {
    let plays: [Play; 2] = [
        |peer, _| {
            loop {
                peer.send("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100))?;
            }
        },
        |peer, body| {
            peer.send(chunked(body, "\r\n0\r\n"))?;
            loop {
                peer.send("X-Trailer: endless\r\n".repeat(100))?;
            }
        },
    ];
    for play in plays {
        let error = exchange(false, DEADLINE, move |peer| play(peer, "{")).unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        assert!(!error.is_timeout(), "{error:?}");
    }
}
