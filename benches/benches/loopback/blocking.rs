//! The blocking clients, and the load on them.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{DEFAULT_DEADLINE, Token};
use dropbox_sign_oauth_benches::{BoxError, by_hand, fixture, ours};
use dropbox_sign_oauth_ureq::Transport;
use http::Response;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    Extent,
    clients::Target,
    load::{Load, Round, alternate},
};

/// Builds a request, sends it and parses the response.
type Exchange<'t> = Box<dyn Fn() -> Result<(), BoxError> + Sync + 't>;

/// Our adapter for ureq.
fn ours(target: &Target) -> Result<Exchange<'_>, BoxError> {
    let mut builder = Transport::builder();
    if let Some(root) = &target.root {
        builder = builder.extra_root(root.clone());
    }
    let transport = builder.build()?;
    let app = ours::app_at(&target.base);
    let refresh_token = Token::new(fixture::REFRESH_TOKEN)?;
    Ok(Box::new(move || {
        let tokens = if target.pooled {
            transport.send(app.refresh(&refresh_token))?
        } else {
            transport.send(app.generate(ours::code()))?
        };
        drop(black_box(tokens));
        Ok(())
    }))
}

/// ureq, and JSON by hand.
fn bare(target: &Target, deadline: Option<Duration>) -> Exchange<'_> {
    let mut config =
        Agent::config_builder().http_status_as_error(false).timeout_global(deadline).proxy(None);
    if let Some(root) = &target.root {
        let root = Certificate::from_der(root).to_owned();
        let roots = RootCerts::new_with_certs(&[root]);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    if !target.pooled {
        config = config.max_idle_connections(0).max_idle_connections_per_host(0);
    }
    let agent: Agent = config.build().into();
    Box::new(move || {
        let (head, mut body) = agent.run(target.request()?)?.into_parts();
        let body = body.read_to_vec()?;
        let tokens = by_hand::parse(&Response::from_parts(head, body))?;
        drop(black_box(tokens));
        Ok(())
    })
}

pub(crate) fn compare(
    target: &Target,
    threads: usize,
    extent: &Extent,
) -> Result<Vec<Load>, BoxError> {
    let names = ["dropbox-sign-oauth-ureq", "bare ureq", "bare ureq with a deadline"];
    let clients = [ours(target)?, bare(target, None), bare(target, Some(DEFAULT_DEADLINE))];
    alternate(names, extent, |index, time| load(&clients[index], threads, time))
}

/// Exchanges in `threads` threads for `time`, at least once each.
fn load(exchange: &Exchange<'_>, threads: usize, time: Duration) -> Result<Round, BoxError> {
    let begun = Instant::now();
    let repeat = || {
        let mut latencies = Vec::new();
        loop {
            let start = Instant::now();
            exchange()?;
            latencies.push(start.elapsed());
            if begun.elapsed() >= time {
                return Ok::<_, BoxError>(latencies);
            }
        }
    };
    let latencies = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(repeat)).collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, BoxError>(latencies)
    })?;
    Ok(Round::new(latencies, begun.elapsed()))
}
