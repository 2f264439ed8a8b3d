//! The default client: hyper-util's, with rustls.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dropbox_sign_oauth::{PlainHttp, Replay};
use http::{Request, Response, Uri, uri::Scheme};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::body::RequestBody;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The largest head of a response, in bytes; honest ones have less than one KiB.
const MAX_HEAD: usize = 16 * 1024;

/// How much of a body an HTTP/2 server may send ahead of what is read, in bytes: the protocol's own
/// first value, where hyper's is two megabytes.
#[cfg(feature = "http2")]
const HTTP2_WINDOW: u32 = 65_535;

/// Looks a host name up.
pub(crate) type Lookup = dyn Fn(String) -> BoxFuture<io::Result<Vec<IpAddr>>> + Send + Sync;

/// The system's resolver.
pub(crate) fn system_lookup(host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
    Box::pin(async move {
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    })
}

/// How a [`Client`] connects.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) plain_http: PlainHttp,
    /// Roots beside the others.
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    /// Judge by the platform's verifier instead of `webpki-roots`.
    #[cfg(feature = "platform-verifier")]
    pub(crate) platform_verifier: bool,
    /// Offer HTTP/2 beside HTTP/1.1.
    #[cfg(feature = "http2")]
    pub(crate) http2: bool,
    pub(crate) lookup: Arc<Lookup>,
}

impl Settings {
    fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
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
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for root in extra_roots {
            roots.add(root)?;
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    fn connector(&self) -> Result<Connector, rustls::Error> {
        let lookup = Resolver(Arc::clone(&self.lookup));
        let mut http = HttpConnector::new_with_resolver(lookup);
        http.enforce_http(false);
        http.set_nodelay(true);
        // Shared out among the addresses of a name, so that a dead one leaves time for the next.
        http.set_connect_timeout(Some(self.connect_timeout));
        let tcp = Tcp {
            connector: http,
            plain_http: self.plain_http,
        };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(self.client_config()?)
            .https_or_http()
            .enable_http1();
        #[cfg(feature = "http2")]
        let tls = if self.http2 {
            https.enable_http2().wrap_connector(tcp)
        } else {
            https.wrap_connector(tcp)
        };
        #[cfg(not(feature = "http2"))]
        let tls = https.wrap_connector(tcp);
        Ok(Connector {
            tls,
            timeout: self.connect_timeout,
        })
    }
}

/// The default client, a [`tower_service::Service`] on which middleware can be put.
///
/// It keeps connections for requests that may be sent again. One whose body says
/// [`Never`](Replay::Never) gets a connection of its own: a kept one may just have been closed by the
/// server.
#[derive(Clone)]
pub struct Client(Arc<Clients>);

/// hyper-util has no setting per request for which connection it takes, so there are two clients.
struct Clients {
    kept: legacy::Client<Connector, RequestBody>,
    fresh: legacy::Client<Connector, RequestBody>,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Result<Self, rustls::Error> {
        let connector = settings.connector()?;
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(MAX_HEAD)
            // A call sends once; hyper would send again what a dying connection gave back.
            .retry_canceled_requests(false);
        #[cfg(feature = "http2")]
        builder
            .http2_initial_stream_window_size(HTTP2_WINDOW)
            .http2_initial_connection_window_size(HTTP2_WINDOW);
        let kept = builder.build(connector.clone());
        let fresh = builder.pool_max_idle_per_host(0).build(connector);
        Ok(Self(Arc::new(Clients { kept, fresh })))
    }
}

impl Service<Request<RequestBody>> for Client {
    type Response = Response<Incoming>;
    type Error = legacy::Error;
    type Future = legacy::ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        match request.body().replay() {
            Replay::Safe => self.0.kept.request(request),
            _ => self.0.fresh.request(request),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Makes connections: name resolution, TCP and TLS within one time.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: HttpsConnector<Tcp>,
    timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<Tcp> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = BoxFuture<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Readiness is awaited in the future, within its time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut tls = self.tls.clone();
        let connected = async move {
            poll_fn(|cx| tls.poll_ready(cx)).await?;
            tls.call(uri).await
        };
        let connected = tokio::time::timeout(self.timeout, connected);
        Box::pin(async move { connected.await.map_err(|_| ConnectTimedOut)? })
    }
}

/// No connection was made in time.
#[derive(Debug)]
pub(crate) struct ConnectTimedOut;

impl fmt::Display for ConnectTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time for connecting is over")
    }
}

impl std::error::Error for ConnectTimedOut {}

/// Makes TCP connections, for plain http only to where the rule allows.
#[derive(Clone)]
pub(crate) struct Tcp {
    connector: HttpConnector<Resolver>,
    plain_http: PlainHttp,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let guarded =
            self.plain_http == PlainHttp::LoopbackOnly && uri.scheme() == Some(&Scheme::HTTP);
        let connected = self.connector.call(uri);
        Box::pin(async move {
            let stream = connected.await?;
            // `localhost` is checked by where it leads: a hosts file can say anything.
            if guarded && !stream.inner().peer_addr()?.ip().is_loopback() {
                let message = "the host of a plain http address is not this machine";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, message).into());
            }
            Ok(stream)
        })
    }
}

/// Resolves names by a [`Lookup`].
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Lookup>);

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
            // The connector puts the port of the URI in the place of zero.
            let addresses = addresses.await?.into_iter();
            let addresses: Vec<_> = addresses.map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}
