//! The blocking clients: our adapter on ureq, and ureq with JSON by hand.

use std::{
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{App, Token};
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
    const NAME: &'static str;

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
    const NAME: &'static str = "dropbox-sign-oauth-ureq";

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
}

impl BareUreq {
    fn new(target: &Target, connections: Connections) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
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
        }
    }
}

impl Peer for BareUreq {
    const NAME: &'static str = "bare ureq";

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

/// Puts the same load on both in turn, round by round.
pub(crate) fn compare(
    target: &Target,
    connections: Connections,
    threads: usize,
    extent: &Extent,
) -> Result<Vec<Load>, BoxError> {
    let ours = Ours::new(target, connections)?;
    let bare = BareUreq::new(target, connections);
    let row = |subject| crate::row(target, connections, threads, subject);
    let mut rows = vec![row(Ours::NAME), row(BareUreq::NAME)];
    put(&ours, threads, Duration::ZERO)?;
    put(&bare, threads, Duration::ZERO)?;
    for number in 0..extent.rounds {
        for turn in 0..rows.len() {
            let index = (number + turn) % rows.len();
            let result = match index {
                0 => put(&ours, threads, extent.time),
                _ => put(&bare, threads, extent.time),
            };
            rows[index].rounds.push(result?);
        }
    }
    Ok(rows)
}

/// Keeps `threads` busy for `time`, and for at least one exchange each.
fn put<P: Peer>(peer: &P, threads: usize, time: Duration) -> Result<Round, BoxError> {
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

fn repeat<P: Peer>(peer: &P, begun: Instant, time: Duration) -> Result<Vec<Duration>, BoxError> {
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
