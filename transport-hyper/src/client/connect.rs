//! Opens connections: proxy, name resolution, TCP and TLS within one timeout.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dropbox_sign_oauth::PlainHttp;
use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connection as _, HttpConnector, dns::Name},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tower_service::Service;

use super::{
    BoxError, BoxFuture,
    connection::{Connection, Io},
    proxy::{Proxies, ProxySetting},
};
use crate::builder::{BuildError, Kind};

/// The most lookups by the system's resolver at a time, in the whole process.
///
/// A lookup blocks a thread and cannot be canceled; a call that ends before its lookup leaves the
/// thread behind.
const MAX_LOOKUPS: usize = 16;

static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

/// Resolves a host name.
pub(crate) type Lookup = dyn Fn(String) -> BoxFuture<io::Result<Vec<IpAddr>>> + Send + Sync;

/// Resolves a host name by the system's resolver.
pub(crate) fn system_lookup(host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
    Box::pin(blocking_lookup(&LOOKUPS, move || {
        let addresses = (host, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    }))
}

/// Runs `lookup` on the blocking pool; its permit is held until it has ended.
async fn blocking_lookup<T: Send + 'static>(
    permits: &'static Semaphore,
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = permits.acquire().await.map_err(io::Error::other)?;
    let lookup = move || {
        let _permit = permit;
        lookup()
    };
    tokio::task::spawn_blocking(lookup).await?
}

/// How a [`Client`](super::Client) connects.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) plain_http: PlainHttp,
    /// Roots beside the default ones.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Verify by the platform's verifier instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub(crate) platform_verifier: bool,
    /// The caller's TLS configuration, instead of roots and verifier.
    pub(crate) tls_config: Option<ClientConfig>,
    /// Offer HTTP/2 beside HTTP/1.1.
    #[cfg(feature = "http2")]
    pub(crate) http2: bool,
    pub(crate) proxy: ProxySetting,
    pub(crate) lookup: Arc<Lookup>,
}

impl Settings {
    fn tls_config(&self) -> Result<ClientConfig, BuildError> {
        #[cfg(feature = "platform-verifier")]
        let own_verifier = self.platform_verifier || !self.extra_roots.is_empty();
        #[cfg(not(feature = "platform-verifier"))]
        let own_verifier = !self.extra_roots.is_empty();
        match &self.tls_config {
            Some(_) if own_verifier => Err(BuildError(Kind::Conflict)),
            Some(config) => {
                let mut config = config.clone();
                // Negotiated as `http2` says.
                config.alpn_protocols.clear();
                Ok(config)
            }
            None => {
                let config = self.default_tls_config();
                config.map_err(|error| BuildError(Kind::Tls(error)))
            }
        }
    }

    fn default_tls_config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let extra_roots = self.extra_roots.iter().cloned();
        #[cfg(feature = "platform-verifier")]
        if self.platform_verifier {
            let verifier =
                rustls_platform_verifier::Verifier::new_with_extra_roots(extra_roots, provider)?;
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth());
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra_roots {
            roots.add(root)?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// A TCP connection, to a proxy perhaps in TLS.
pub(super) type Leg = MaybeHttpsStream<TokioIo<TcpStream>>;

pub(super) struct Connector {
    tls: HttpsConnector<Route>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Self, BuildError> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(Arc::clone(&settings.lookup)));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among the addresses of a name, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        let config = settings.tls_config()?;
        let builder = || HttpsConnectorBuilder::new().with_tls_config(config.clone());
        let route = Route {
            proxies: Arc::new(Proxies::new(&settings.proxy)?),
            to_proxy: builder().https_or_http().enable_http1().wrap_connector(tcp.clone()),
            tcp,
            plain_http: settings.plain_http,
        };
        let builder = builder().https_or_http().enable_http1();
        #[cfg(feature = "http2")]
        let tls = if settings.http2 {
            builder.enable_http2().wrap_connector(route)
        } else {
            builder.wrap_connector(route)
        };
        #[cfg(not(feature = "http2"))]
        let tls = builder.wrap_connector(route);
        Ok(Self { tls, timeout: settings.connect_timeout })
    }

    /// Opens a connection.
    pub(super) fn open(&self, origin: Uri) -> BoxFuture<Result<Connection, BoxError>> {
        let connecting = timeout(self.timeout, ready_call(self.tls.clone(), origin));
        Box::pin(async move {
            let stream = connecting.await.map_err(io::Error::from)??;
            let http2 = stream.connected().is_negotiated_h2();
            let stream: Box<dyn Io> = match stream {
                // Much smaller.
                MaybeHttpsStream::Http(MaybeHttpsStream::Http(tcp)) => Box::new(tcp),
                tls => Box::new(tls),
            };
            Ok(Connection::open(stream, http2).await?)
        })
    }
}

/// Calls `service` when it is ready.
async fn ready_call<S: Service<Uri>>(mut service: S, uri: Uri) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(uri).await
}

/// Connects to the server, or through the proxy; plain http only where the rule allows it.
#[derive(Clone)]
struct Route {
    tcp: HttpConnector<Resolver>,
    to_proxy: HttpsConnector<HttpConnector<Resolver>>,
    proxies: Arc<Proxies>,
    plain_http: PlainHttp,
}

impl Route {
    async fn connect(self, uri: Uri) -> Result<Leg, BoxError> {
        let is_plain = uri.scheme() == Some(&Scheme::HTTP);
        let other_host = Uri::from_static("http://host.invalid");
        if let Some(proxy) = self.proxies.intercept(&uri) {
            if is_plain {
                // The proxy's `localhost` is another host.
                self.plain_http.check(&other_host)?;
            }
            let leg = ready_call(self.to_proxy, proxy.uri().clone()).await?;
            return proxy.tunnel(leg, &uri).await;
        }
        let stream = ready_call(self.tcp, uri).await?;
        // `localhost` is checked by its address: a hosts file can say anything.
        if is_plain && !stream.inner().peer_addr()?.ip().is_loopback() {
            self.plain_http.check(&other_host)?;
        }
        Ok(MaybeHttpsStream::Http(stream))
    }
}

impl Service<Uri> for Route {
    type Response = Leg;
    type Error = BoxError;
    type Future = BoxFuture<Result<Leg, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Resolves names by a [`Lookup`].
#[derive(Clone)]
pub(super) struct Resolver(Arc<Lookup>);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let addresses = (self.0)(name.as_str().to_owned());
        Box::pin(async move {
            // The connector replaces port zero with the URI's.
            let addresses = addresses.await?.into_iter();
            let addresses: Vec<_> = addresses.map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn bounds_the_number_of_lookups_that_hang() {
        static PERMITS: Semaphore = Semaphore::const_new(2);
        let brief = Duration::from_millis(20);
        let mut releases = Vec::new();
        for started in [true, true, false, false] {
            let (release, hang) = mpsc::channel::<()>();
            let (start, has_started) = mpsc::channel();
            let lookup = move || {
                start.send(()).ok();
                hang.recv().ok();
                Ok(())
            };
            let lookup = blocking_lookup(&PERMITS, lookup);
            assert!(timeout(brief, lookup).await.is_err());
            assert_eq!(has_started.recv().is_ok(), started);
            releases.push(release);
        }
        releases.clear();
        assert!(blocking_lookup(&PERMITS, || Ok(())).await.is_ok());
    }
}
