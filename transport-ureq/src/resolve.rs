//! Name resolution within a time limit, on a limited number of threads.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
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
    running: Arc<Running>,
}

/// Counts the lookups that are running.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One of the [`MAX_LOOKUPS`] places, free again when it is dropped.
struct Place(Arc<Running>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_one();
    }
}

impl Running {
    /// Waits for a free place; `None` after `timeout`.
    fn place(self: &Arc<Self>, timeout: Duration) -> Option<Place> {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(count, timeout, |count| *count >= MAX_LOOKUPS);
        let (mut count, result) = waited.unwrap_or_else(PoisonError::into_inner);
        if result.timed_out() {
            return None;
        }
        *count += 1;
        Some(Place(Arc::clone(self)))
    }
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
        Self { lookup, running: Arc::default() }
    }

    fn look_up(&self, host: String, timeout: NextTimeout) -> Result<Vec<IpAddr>, Error> {
        let started = Instant::now();
        let timed_out = || Error::Timeout(timeout.reason);
        let place = self.running.place(*timeout.after).ok_or_else(timed_out)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let lookup = Arc::clone(&self.lookup);
        thread::Builder::new().name("resolver".into()).spawn(move || {
            let _place = place;
            // The receiver is gone if the call has given up.
            drop(sender.send(lookup(&host)));
        })?;
        let left = timeout.after.saturating_sub(started.elapsed());
        match receiver.recv_timeout(left) {
            Ok(addresses) => Ok(addresses?),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(timed_out()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the resolver panicked").into())
            }
        }
    }
}
