//! A server that misbehaves in every known way, case by case.
//!
//! It knows bytes and timing, and nothing of OAuth. A [`Case`] is data: a name, what the server
//! does, and which outcomes are right. [`cases`] has all of them; [`conformance`](crate::conformance)
//! plays them to a transport, and a test of one's own can play a [`Script`]:
//!
//! ```
//! use std::{io::{Read, Write}, net::TcpStream};
//! use dropbox_sign_oauth_testkit::fault::{Script, Server, Values};
//!
//! let answer = "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{greeting} and no mo";
//! let script = Script::new().read_request().send(answer).reset();
//! let values = Values::new().with("greeting", "hello");
//! let server = Server::start(vec![script.render(&values)], None)?;
//!
//! let mut client = TcpStream::connect(server.address())?;
//! client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")?;
//! assert!(client.read_to_end(&mut Vec::new()).is_err());
//! assert_eq!(server.tally().posts, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod address;
mod case;
mod cases;
mod http2;
mod outcome;
mod request;
mod script;
mod server;

pub use address::{BlackHole, ClosedPort};
pub use case::{Case, Detail, Group, Kind, Origin, Play, Resolution};
pub use cases::{BODY_LIMIT, cases};
pub use outcome::Outcome;
pub use script::{Script, Values};
pub use server::{Server, Tally, unread_capacity};
