//! Names to addresses, in time, and only addresses that the rule for plain http allows.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, mpsc},
    thread,
};

use dropbox_sign_oauth::PlainHttp;
use http::{Uri, uri::Scheme};
use ureq::{
    Error,
    config::Config,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// How many addresses ureq's `ResolvedSocketAddrs` holds; one more makes it panic.
const MAX_ADDRESSES: usize = 16;

/// Looks a host name up.
pub(crate) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The system's resolver.
pub(crate) fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// Resolves names by a [`Lookup`] on a thread of its own, so that one that hangs holds up no call
/// beyond its time.
pub(crate) struct TimedResolver {
    pub(crate) lookup: Arc<Lookup>,
    pub(crate) plain_http: PlainHttp,
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
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let port = uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.look_up(host.to_owned(), timeout)?,
        };
        // `localhost` is checked by what it resolves to: a hosts file can say anything.
        if plain
            && self.plain_http == PlainHttp::LoopbackOnly
            && !addresses.iter().all(IpAddr::is_loopback)
        {
            let message = "the host of a plain http address is not this machine";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message).into());
        }
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        let mut resolved = self.empty();
        for address in config
            .ip_family()
            .keep_wanted(addresses)
            .take(MAX_ADDRESSES)
        {
            resolved.push(address);
        }
        if resolved.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(resolved)
    }
}

impl TimedResolver {
    fn look_up(&self, host: String, timeout: NextTimeout) -> Result<Vec<IpAddr>, Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let lookup = Arc::clone(&self.lookup);
        thread::Builder::new()
            .name("resolver".into())
            // The receiver is gone if the call has given up.
            .spawn(move || drop(sender.send(lookup(&host))))?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(addresses) => Ok(addresses?),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the resolver panicked").into())
            }
        }
    }
}
