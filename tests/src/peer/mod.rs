//! A scripted loopback server for tests that need control over bytes and timing.
//!
//! It knows nothing of OAuth. [`fault`](crate::fault) is a list of what it can do to a client.
//!
//! ```
//! use std::{io::{Read, Write}, net::TcpStream};
//! use dropbox_sign_oauth_testkit::peer::{Peer, Script, Values};
//!
//! let response = "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{greeting} and no mo";
//! let script = Script::new().read_request().send(response).reset();
//! let values = Values::new().with("greeting", "hello");
//! let peer = Peer::start([script.render(&values)], None)?;
//!
//! let mut client = TcpStream::connect(peer.address())?;
//! client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")?;
//! assert!(client.read_to_end(&mut Vec::new()).is_err());
//! assert_eq!(peer.tally().posts, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

#![expect(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "only tests call these functions, and fail where one returns an error or panics"
)]

mod address;
mod requests;
mod script;
mod server;
mod wire;

pub use address::{BlackHole, ClosedPort};
pub use script::{Script, Values};
pub use server::{Peer, Received, Tally, unread_capacity};
