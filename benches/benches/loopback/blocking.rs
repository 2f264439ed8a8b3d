//! The blocking clients: our adapter on ureq, and ureq with JSON by hand.

use std::{
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{App, DEFAULT_DEADLINE, Token};
use dropbox_sign_oauth_benches::{
    BoxError, by_hand, fixture, ours,
    results::{Load, Round},
};
use dropbox_sign_oauth_ureq::Transport;
use http::Response;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    Extent,
    load::round,
    peers::{Connections, Target},
};

trait Peer: Sync {
    fn name(&self) -> &'static str;

    fn exchange(&self) -> Result<(), BoxError>;
}

struct Ours {
    transport: Transport,
    app: App,
    refresh_token: Token,
    connections: Connections,
}

impl Ours {
    fn new(target: &Target, connections: Connections) -> Result<Self, BoxError> {
        let mut builder = Transport::builder();
        if let Some(root) = &target.root {
            builder = builder.extra_root(root.clone());
        }
        Ok(Self {
            transport: builder.build()?,
            app: ours::app_at(&target.base()),
            refresh_token: Token::new(fixture::REFRESH_TOKEN)?,
            connections,
        })
    }
}

impl Peer for Ours {
    fn name(&self) -> &'static str {
        "dropbox-sign-oauth-ureq"
    }

    fn exchange(&self) -> Result<(), BoxError> {
        let tokens = match self.connections {
            Connections::Kept => self.transport.send(self.app.refresh(&self.refresh_token))?,
            Connections::Fresh => self.transport.send(self.app.generate(ours::code()))?,
        };
        drop(std::hint::black_box(tokens));
        Ok(())
    }
}

struct BareUreq {
    agent: Agent,
    url: String,
    connections: Connections,
    /// It costs ureq system calls, and so stands for itself.
    deadline: Option<Duration>,
}

impl BareUreq {
    fn new(target: &Target, connections: Connections, deadline: Option<Duration>) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(deadline)
            .proxy(None);
        if let Some(root) = &target.root {
            let root = Certificate::from_der(root).to_owned();
            let roots = RootCerts::new_with_certs(&[root]);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        if connections == Connections::Fresh {
            config = config
                .max_idle_connections(0)
                .max_idle_connections_per_host(0);
        }
        Self {
            agent: config.build().into(),
            url: target.url(connections),
            connections,
            deadline,
        }
    }
}

impl Peer for BareUreq {
    fn name(&self) -> &'static str {
        match self.deadline {
            None => "bare ureq",
            Some(_) => "bare ureq with a deadline",
        }
    }

    fn exchange(&self) -> Result<(), BoxError> {
        let request = match self.connections {
            Connections::Kept => by_hand::build_refresh(&self.url, fixture::REFRESH_TOKEN)?,
            Connections::Fresh => by_hand::build(&self.url, fixture::CODE, fixture::STATE)?,
        };
        let (head, mut body) = self.agent.run(request)?.into_parts();
        let body = body.read_to_vec()?;
        let tokens = by_hand::parse(&Response::from_parts(head, body))?;
        drop(std::hint::black_box(tokens));
        Ok(())
    }
}

/// Puts the same load on all in turn, round by round.
pub(crate) fn compare(
    target: &Target,
    connections: Connections,
    threads: usize,
    extent: &Extent,
) -> Result<Vec<Load>, BoxError> {
    let ours = Ours::new(target, connections)?;
    let bare = BareUreq::new(target, connections, None);
    let with_deadline = BareUreq::new(target, connections, Some(DEFAULT_DEADLINE));
    let peers: [&dyn Peer; 3] = [&ours, &bare, &with_deadline];
    let mut rows = peers.map(|peer| crate::row(target, connections, threads, peer.name()));
    for peer in peers {
        put(peer, threads, Duration::ZERO)?;
    }
    for number in 0..extent.rounds {
        for turn in 0..peers.len() {
            let index = (number + turn) % peers.len();
            rows[index]
                .rounds
                .push(put(peers[index], threads, extent.time)?);
        }
    }
    Ok(rows.into())
}

/// Keeps `threads` busy for `time`, and for at least one exchange each.
fn put(peer: &dyn Peer, threads: usize, time: Duration) -> Result<Round, BoxError> {
    let begun = Instant::now();
    let latencies = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| repeat(peer, begun, time)))
            .collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, BoxError>(latencies)
    })?;
    Ok(round(latencies, begun.elapsed()))
}

fn repeat(peer: &dyn Peer, begun: Instant, time: Duration) -> Result<Vec<Duration>, BoxError> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        peer.exchange()?;
        latencies.push(start.elapsed());
        if begun.elapsed() >= time {
            return Ok(latencies);
        }
    }
}
