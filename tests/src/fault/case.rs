//! One row of the list: what is done to a transport, and what is right.

use std::time::Duration;

use super::{Outcome, Resolution};
use crate::{
    peer::{Script, Values},
    tls::Leaf,
};

/// What a server or the network does to a call, and the outcomes that are right.
pub(crate) struct Case {
    /// The part of the exchange that goes wrong.
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) origin: Origin,
    pub(super) play: Play,
    /// The script of the second and every further connection, if it differs from the first.
    pub(super) then: Option<Script>,
    /// The calls, in sequence and by the same client.
    pub(crate) calls: &'static [Kind],
    /// The pause between the calls, during which the client's runtime is not polled.
    pub(crate) idle: Duration,
    /// The right outcomes of the last call. The calls before it end in tokens.
    pub(crate) expected: &'static [Outcome],
    /// A text of the error's message, or of one of its sources; empty if none is expected.
    pub(crate) says: &'static str,
    /// The wait that the error requests, and whether that is checked.
    pub(crate) wait: Option<Duration>,
    pub(crate) checks_wait: bool,
    /// Whether only the deadline or the connect timeout ends the call.
    pub(crate) waits: bool,
    /// Whether the caller drops the call before it ends. Its outcome then counts as unknown.
    pub(crate) gives_up: bool,
}

/// Returns the variations of a script, which are played one after another. The values are passed
/// because bytes may depend on their lengths.
pub(super) type Play = Box<dyn Fn(&Values) -> Vec<Script> + Send + Sync>;

/// Where the calls of a case go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
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

/// What a call requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The exchange of a code: sent at most once, on a new connection.
    Generate,
    /// A refresh: may reuse a pooled connection, and be sent once more if that was closed.
    Refresh,
}

impl Case {
    pub(super) fn new(
        name: &'static str,
        expected: &'static [Outcome],
        play: impl Fn(&Values) -> Vec<Script> + Send + Sync + 'static,
    ) -> Self {
        Self {
            group: "",
            name,
            origin: Origin::Http,
            play: Box::new(play),
            then: None,
            calls: &[Kind::Generate],
            idle: Duration::ZERO,
            expected,
            says: "",
            wait: None,
            checks_wait: false,
            waits: false,
            gives_up: false,
        }
    }

    pub(super) fn at(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    pub(super) fn over_tls(self) -> Self {
        self.at(Origin::Https(Leaf::Valid))
    }

    pub(super) fn calls(self, calls: &'static [Kind]) -> Self {
        Self { calls, ..self }
    }

    pub(super) fn then(self, script: Script) -> Self {
        Self { then: Some(script), ..self }
    }

    pub(super) fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    pub(super) fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    pub(super) fn requests_wait(self, seconds: Option<u64>) -> Self {
        Self { wait: seconds.map(Duration::from_secs), checks_wait: true, ..self }
    }

    pub(super) fn waits(self) -> Self {
        Self { waits: true, ..self }
    }

    pub(super) fn gives_up(self) -> Self {
        Self { gives_up: true, ..self }
    }

    /// Returns the scripts of each variation, with the templates filled in.
    pub(crate) fn variations(&self, values: &Values) -> Vec<Vec<Script>> {
        let scripts = |first: Script| [first].into_iter().chain(self.then.clone());
        let variations = (self.play)(values).into_iter().map(scripts);
        variations.map(|scripts| scripts.map(|it| it.render(values)).collect()).collect()
    }

    /// The most requests that a server may receive: one for each call, and a second one for a
    /// refresh whose pooled connection was closed.
    pub(crate) fn max_requests(&self) -> usize {
        let reusing = self.calls.iter().skip(1);
        self.calls.len() + reusing.filter(|kind| **kind == Kind::Refresh).count()
    }
}
