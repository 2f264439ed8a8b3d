//! Name resolution within a time limit, on a limited number of threads.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, mpsc},
    time::Duration,
};

use http::Uri;
use ureq::{
    Error,
    config::Config,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

use crate::{spare, workers::Workers};

/// How many addresses ureq's `ResolvedSocketAddrs` holds; it panics on one more.
const MAX_ADDRESSES: usize = 16;

/// How many lookups of a transport run at a time, each on a thread of its own that cannot be
/// stopped. A lookup takes some 20 ms, so 16 threads serve hundreds of new connections a second;
/// a resolver that hangs holds 16 threads, however many calls give up waiting for it.
pub(crate) const MAX_LOOKUPS: usize = 16;

/// Looks up a host name.
pub(crate) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The system's resolver.
pub(crate) fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// Runs a [`Lookup`] on a thread of its own, so that one that hangs delays no call beyond its
/// timeout.
pub(crate) struct TimedResolver {
    lookup: Arc<Lookup>,
    threads: Arc<Workers>,
}

impl fmt::Debug for TimedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimedResolver")
    }
}

impl Resolver for TimedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("http") => 80,
            Some("socks5" | "socks5h") => 1080,
            _ => 443,
        });
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) if spare::is_offered() => vec![Ipv4Addr::UNSPECIFIED.into()],
            Err(_) => self.look_up(host.to_owned(), timeout)?,
        };
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        let mut resolved = self.empty();
        for address in config.ip_family().keep_wanted(addresses).take(MAX_ADDRESSES) {
            resolved.push(address);
        }
        if resolved.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(resolved)
    }
}

impl TimedResolver {
    pub(crate) fn new(lookup: Arc<Lookup>) -> Self {
        Self { lookup, threads: Workers::new("resolver", MAX_LOOKUPS, Duration::ZERO) }
    }

    fn look_up(&self, host: String, timeout: NextTimeout) -> Result<Vec<IpAddr>, Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let lookup = Arc::clone(&self.lookup);
        // The receiver is gone if the call has given up.
        let task = self.threads.run(move || drop(sender.send(lookup(&host))));
        match receiver.recv_timeout(*timeout.after) {
            Ok(addresses) => Ok(addresses?),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.threads.cancel(task);
                Err(Error::Timeout(timeout.reason))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the resolver panicked").into())
            }
        }
    }
}
