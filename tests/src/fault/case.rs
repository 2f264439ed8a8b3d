//! One row of the list: what is done to a transport, and what is right.

use std::{fmt, time::Duration};

use super::{
    outcome::Outcome,
    script::{Script, Values},
};
use crate::tls::Leaf;

/// A way in which a server, or the network, treats a call, and what is right then.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// The part of the exchange that goes wrong.
    pub group: Group,
    /// The name, of which there is one.
    pub name: &'static str,
    /// Where the calls go.
    pub origin: Origin,
    /// What the server does there.
    pub play: Play,
    /// The calls, one after the other and by the same client.
    pub calls: &'static [Kind],
    /// The outcomes of the last call that are right; the calls before it end in tokens.
    pub expected: &'static [Outcome],
    /// What else is right of the last call.
    pub details: Vec<Detail>,
    /// Whether nothing but the deadline, or the connect timeout, may end the call.
    pub waits: bool,
    /// Whether the caller drops the call before it ends: its outcome then counts as unknown.
    pub gives_up: bool,
    /// Whether there is a second server, to be left alone, at the address `{trap}`.
    pub has_trap: bool,
}

/// The part of the exchange that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    Connect,
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
        f.pad(match self {
            Self::Connect => "connect",
            Self::Exchange => "exchange",
            Self::Head => "head",
            Self::Body => "body",
            Self::Status => "status",
            Self::Json => "json",
            Self::Http2 => "http/2",
            Self::Torture => "torture",
        })
    }
}

/// Where a case's calls go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A server, over plain HTTP.
    Http,
    /// A server, over TLS, with a certificate of the authority that the client trusts.
    Https(Leaf),
    /// A server, over TLS, with a valid certificate of another authority.
    HttpsUntrusted,
    /// A server that speaks HTTP/2 alone, over TLS, with a valid certificate.
    Http2,
    /// A server that is called over TLS, and plays its script without.
    HttpsWithoutTls,
    /// A port on which nothing listens.
    Refused,
    /// A port at which every SYN is lost.
    BlackHole,
    /// A name that does not resolve.
    Unresolved(Resolution),
    /// A server, over plain HTTP and by an address that does not say that it is on this machine.
    NotLoopback,
}

/// How a client's resolver answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// As the system's does.
    System,
    /// There is no such name.
    NotFound,
    /// Never.
    Hangs,
}

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The exchange of a code, which is never sent twice.
    Generate,
    /// A refresh, which may ride on a kept connection.
    Refresh,
}

/// What a server does.
#[derive(Clone, Debug)]
pub enum Play {
    /// A script for each connection, the last one also for every further connection. Empty if no
    /// server is called.
    Once(Vec<Script>),
    /// The same for each of many variations, which are played one after the other: the nth, or
    /// `None` if there are no more. It gets the values as its bytes may depend on their lengths.
    Variations(fn(usize, &Values) -> Option<Vec<Script>>),
}

impl Play {
    /// The scripts of the nth variation, with the templates filled in.
    #[must_use]
    pub fn variation(&self, n: usize, values: &Values) -> Option<Vec<Script>> {
        let scripts = match self {
            Self::Once(scripts) => (n == 0).then(|| scripts.clone()),
            Self::Variations(variation) => variation(n, values),
        };
        Some(
            scripts?
                .iter()
                .map(|script| script.render(values))
                .collect(),
        )
    }
}

/// What is right of a call besides its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// The message, or the one of an error behind it, has this text.
    Says(&'static str),
    /// The error asks to wait for so long, or for no time that it knows.
    Wait(Option<Duration>),
}

impl Case {
    pub(super) fn new(group: Group, name: &'static str, expected: &'static [Outcome]) -> Self {
        Self {
            group,
            name,
            origin: Origin::Http,
            play: Play::Once(Vec::new()),
            calls: &[Kind::Generate],
            expected,
            details: Vec::new(),
            waits: false,
            gives_up: false,
            has_trap: false,
        }
    }

    pub(super) fn at(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    pub(super) fn plays(self, scripts: impl Into<Vec<Script>>) -> Self {
        let play = Play::Once(scripts.into());
        Self { play, ..self }
    }

    pub(super) fn varies(self, variation: fn(usize, &Values) -> Option<Vec<Script>>) -> Self {
        let play = Play::Variations(variation);
        Self { play, ..self }
    }

    pub(super) fn calls(self, calls: &'static [Kind]) -> Self {
        Self { calls, ..self }
    }

    pub(super) fn says(mut self, text: &'static str) -> Self {
        self.details.push(Detail::Says(text));
        self
    }

    pub(super) fn asks_to_wait(mut self, seconds: Option<u64>) -> Self {
        self.details
            .push(Detail::Wait(seconds.map(Duration::from_secs)));
        self
    }

    pub(super) fn waits(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }

    pub(super) fn gives_up(self) -> Self {
        Self {
            gives_up: true,
            ..self
        }
    }

    pub(super) fn with_trap(self) -> Self {
        Self {
            has_trap: true,
            ..self
        }
    }
}
