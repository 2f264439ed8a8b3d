//! A small HTTP server on this machine for the callback.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

use dropbox_sign_oauth::{App, AuthorizationCode, CallbackError, RedirectUri, State};

use crate::{Failure, output::step};

/// The size limit of a request head, in bytes.
const MAX_HEAD: u64 = 64 * 1024;

// The status and text of each page.
const APPROVED: [&str; 2] = ["200 OK", "Approved. You can close this page."];
const DENIED: [&str; 2] = ["200 OK", "Not approved. You can close this page."];
const IGNORED: [&str; 2] = ["400 Bad Request", "This callback belongs to another login."];
const NOT_FOUND: [&str; 2] = ["404 Not Found", "Not found. The callback is /callback."];

type Decision = Result<AuthorizationCode, CallbackError>;

/// Listens on `port` of 127.0.0.1, or on a free port if `port` is 0. Returns the listener and the
/// callback URI.
pub(crate) fn bind(port: u16) -> Result<(TcpListener, RedirectUri), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
    let uri = format!("http://{}/callback", listener.local_addr()?);
    Ok((listener, RedirectUri::new(&uri)?))
}

/// Handles callbacks in the background, and sends the first decision with this `state` to the
/// receiver. Callbacks with another state may be forged, so they do not end the login.
pub(crate) fn listen(listener: TcpListener, app: &App, state: &State) -> Receiver<Decision> {
    let (sender, decision) = mpsc::channel();
    let (app, state) = (app.clone(), state.clone());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sender, app, state) = (sender.clone(), app.clone(), state.clone());
            // One thread per connection: browsers also open connections that they do not use.
            thread::spawn(move || {
                if let Some(decision) = handle(&stream, &app, &state) {
                    // Only the first decision is received.
                    let _ = sender.send(decision);
                }
            });
        }
    });
    decision
}

/// Reads a request, checks it if it is a callback, and responds with a page.
fn handle(mut stream: &TcpStream, app: &App, state: &State) -> Option<Decision> {
    let lines = BufReader::new(stream.take(MAX_HEAD)).lines();
    let mut head = lines.map_while(Result::ok).take_while(|l| !l.is_empty());
    let request_line = head.next()?;
    // The rest of the head is read too, because closing a connection with unread data resets it.
    head.for_each(drop);

    let target = request_line.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let ([status, text], decision) = if path == "/callback" {
        match app.callback(query, state) {
            Ok(code) => (APPROVED, Some(Ok(code))),
            Err(error @ (CallbackError::Denied(_) | CallbackError::InvalidCode(_))) => {
                (DENIED, Some(Err(error)))
            }
            Err(error) => {
                let _ = step("Callback", format_args!("ignored: {error}"));
                (IGNORED, None)
            }
        }
    } else {
        (NOT_FOUND, None)
    };
    // The URL contains the code, so it must not be cached or sent as a referrer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    decision
}
