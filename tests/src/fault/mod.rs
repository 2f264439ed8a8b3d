//! Every known way in which a server or the network misbehaves, case by case.
//!
//! A case is data: a name, what the [peer](crate::peer) does, and the outcomes that are right.
//! [`conformance`](crate::conformance) plays all of them to a transport.

mod case;
mod cases;
pub mod http2;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, ToSocketAddrs},
};

pub(crate) use self::{
    case::{Case, Kind, Origin},
    cases::{BODY_LIMIT, cases},
};

/// The class of a call's outcome: what its caller has to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Tokens.
    Ok,
    /// Provably nothing of the request reached the server.
    NotSent,
    /// Some of the request may have reached the server, and no complete response arrived.
    Unknown,
    /// A response that does not match the documented schema.
    Malformed,
    /// A response above the limit.
    TooLarge,
    /// A redirect, not followed.
    Redirect,
    /// The server rejected the request.
    Rejected,
    /// The request was rate-limited.
    Throttled,
    /// The server failed.
    ServerFault,
    /// The response has another state than the request.
    StateMismatch,
    /// An error of a class that the conformance run does not know.
    Unclassified,
    /// A panic.
    Panicked,
    /// The call did not end.
    Hung,
}

/// How a client's resolver responds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Like the system's.
    System,
    /// The name does not exist.
    NotFound,
    /// Never.
    Hangs,
    /// With an address that is not of the loopback range but reaches this machine.
    Elsewhere,
}

impl Resolution {
    /// Returns the resolver's result for `host`, or `None` if it never returns.
    #[must_use]
    pub fn addresses(self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        Some(match self {
            Self::Hangs => return None,
            Self::System => (host, 0)
                .to_socket_addrs()
                .map(|addresses| addresses.map(|address| address.ip()).collect()),
            Self::NotFound => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            Self::Elsewhere => Ok(vec![Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()]),
        })
    }
}
