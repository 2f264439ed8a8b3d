//! One row of the list: what is done to a transport, and what is right.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, ToSocketAddrs},
    time::Duration,
};

use super::outcome::Outcome;
use crate::{
    peer::{Script, Values},
    tls::Leaf,
};

/// What a server or the network does to a call, and the outcomes that are right.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// The part of the exchange that goes wrong.
    pub group: Group,
    /// The unique name.
    pub name: &'static str,
    /// Where the calls go.
    pub origin: Origin,
    /// What the server does.
    pub play: Play,
    /// The calls, in sequence and by the same client.
    pub calls: &'static [Kind],
    /// The pause between the calls, during which the client's runtime is not polled.
    pub idle: Duration,
    /// The right outcomes of the last call. The calls before it end in tokens.
    pub expected: &'static [Outcome],
    /// What else is right of the last call.
    pub details: Vec<Detail>,
    /// Whether only the deadline or the connect timeout ends the call.
    pub waits: bool,
    /// Whether the caller drops the call before it ends. Its outcome then counts as unknown.
    pub gives_up: bool,
    /// Whether there is a second server at the address `{trap}`, to which nothing may be sent.
    pub has_trap: bool,
}

/// The part of the exchange that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    Connect,
    Proxy,
    Exchange,
    Head,
    Body,
    Status,
    Json,
    Http2,
    Torture,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// Where the calls of a case go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A peer over plain HTTP.
    Http,
    /// A peer over TLS, with a certificate of the authority that the client trusts.
    Https(Leaf),
    /// A peer over TLS, with a valid certificate of another authority.
    HttpsUntrusted,
    /// A peer that speaks only HTTP/2, over TLS, with a valid certificate.
    Http2,
    /// A peer that is called over TLS and plays its script without.
    HttpsWithoutTls,
    /// A port on which nothing listens.
    Refused,
    /// A port at which every SYN is lost.
    BlackHole,
    /// A name that does not resolve.
    Unresolved(Resolution),
    /// A peer over plain HTTP, at an address that is not of the loopback range.
    NotLoopback,
    /// A peer over plain HTTP, at a name that resolves to such an address.
    Localhost,
    /// A server over TLS, through a peer that plays both the proxy and the server. This is the
    /// proxy's URI up to its address, as in `http://user:password@`. The server's own address must
    /// not be called.
    Proxy(&'static str),
    /// A server over plain HTTP, through a peer that plays both.
    ProxyToHttp,
    /// A server over TLS, through a proxy at a port on which nothing listens.
    ProxyRefused(&'static str),
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

/// What a call requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The exchange of a code: sent at most once, on a new connection.
    Generate,
    /// A refresh: may reuse a pooled connection, and be sent once more if that was closed.
    Refresh,
}

/// What a peer does.
#[derive(Clone, Debug)]
pub enum Play {
    /// A script for each connection, the last one also for every further connection. Empty if no
    /// peer is called.
    Once(Vec<Script>),
    /// The scripts of the nth variation, or `None` after the last. The variations are played in
    /// sequence. The values are passed because bytes may depend on their lengths.
    Variations(fn(usize, &Values) -> Option<Vec<Script>>),
}

impl Play {
    /// Returns the scripts of the nth variation, with the templates filled in.
    #[must_use]
    pub fn variation(&self, n: usize, values: &Values) -> Option<Vec<Script>> {
        let scripts = match self {
            Self::Once(scripts) => (n == 0).then(|| scripts.clone()),
            Self::Variations(variation) => variation(n, values),
        };
        Some(scripts?.iter().map(|s| s.render(values)).collect())
    }
}

/// What is right of a call besides its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// The message of the error, or of one of its sources, contains this text.
    Says(&'static str),
    /// The wait that the error requests, if any.
    Wait(Option<Duration>),
}

impl Case {
    pub(super) fn new(
        group: Group,
        name: &'static str,
        expected: &'static [Outcome],
        scripts: impl IntoIterator<Item = Script>,
    ) -> Self {
        Self {
            group,
            name,
            origin: Origin::Http,
            play: Play::Once(scripts.into_iter().collect()),
            calls: &[Kind::Generate],
            idle: Duration::ZERO,
            expected,
            details: Vec::new(),
            waits: false,
            gives_up: false,
            has_trap: false,
        }
    }

    pub(super) fn at(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    pub(super) fn over_tls(self) -> Self {
        self.at(Origin::Https(Leaf::Valid))
    }

    pub(super) fn varies(mut self, play: fn(usize, &Values) -> Option<Vec<Script>>) -> Self {
        self.play = Play::Variations(play);
        self
    }

    pub(super) fn calls(mut self, calls: &'static [Kind]) -> Self {
        self.calls = calls;
        self
    }

    pub(super) fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    pub(super) fn says(mut self, text: &'static str) -> Self {
        self.details.push(Detail::Says(text));
        self
    }

    pub(super) fn requests_wait(mut self, seconds: Option<u64>) -> Self {
        let wait = seconds.map(Duration::from_secs);
        self.details.push(Detail::Wait(wait));
        self
    }

    pub(super) fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    pub(super) fn gives_up(mut self) -> Self {
        self.gives_up = true;
        self
    }

    pub(super) fn with_trap(mut self) -> Self {
        self.has_trap = true;
        self
    }

    /// The most requests that a server may receive: one for each call, and a second one for a
    /// refresh whose pooled connection was closed.
    pub(crate) fn max_requests(&self) -> usize {
        let reusing = self.calls.iter().skip(1);
        let resends = reusing.filter(|kind| **kind == Kind::Refresh).count();
        self.calls.len() + resends
    }
}
