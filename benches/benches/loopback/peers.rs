//! The async clients: our adapter, and what people would use instead.

use std::{fmt, future::Future, net::SocketAddr};

use bytes::Bytes;
use dropbox_sign_oauth::{App, Token};
use dropbox_sign_oauth_benches::{BoxError, by_hand, fixture, ours, peer};
use dropbox_sign_oauth_hyper::Transport;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use oauth2::{RefreshToken, reqwest};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Where a client sends to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) scheme: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) root: Option<CertificateDer<'static>>,
}

impl Target {
    pub(crate) fn http(address: SocketAddr) -> Self {
        Self {
            scheme: "http",
            address,
            root: None,
        }
    }

    pub(crate) fn https(address: SocketAddr, root: CertificateDer<'static>) -> Self {
        Self {
            scheme: "https",
            address,
            root: Some(root),
        }
    }

    pub(crate) fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The endpoint as the work for these connections addresses it.
    pub(crate) fn url(&self, connections: Connections) -> String {
        match connections {
            Connections::Kept => format!("{}/oauth/token?refresh", self.base()),
            Connections::Fresh => format!("{}/oauth/token", self.base()),
        }
    }
}

/// Whether exchanges share connections.
///
/// Our adapters decide by the operation: a refresh may ride on a kept connection, a code gets one
/// of its own. So everybody refreshes on kept connections, and exchanges codes on fresh ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    Kept,
    Fresh,
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Fresh => "fresh",
        })
    }
}

/// A client that carries exchanges; a clone shares its connections.
pub(crate) trait Peer: Clone + Send + 'static {
    const NAME: &'static str;

    /// What is done before the clock runs.
    fn prepare(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send {
        async { Ok(()) }
    }

    /// One exchange, from the values to the tokens.
    fn exchange(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// Our adapter on hyper.
#[derive(Clone)]
pub(crate) struct Ours {
    transport: Transport,
    app: App,
    refresh_token: Token,
    connections: Connections,
}

impl Ours {
    pub(crate) fn new(target: &Target, connections: Connections) -> Result<Self, BoxError> {
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
    const NAME: &'static str = "dropbox-sign-oauth-hyper";

    async fn exchange(&mut self) -> Result<(), BoxError> {
        let tokens = match self.connections {
            Connections::Kept => {
                let operation = self.app.refresh(&self.refresh_token);
                self.transport.send(operation).await?
            }
            Connections::Fresh => {
                let operation = self.app.generate(ours::code());
                self.transport.send(operation).await?
            }
        };
        drop(std::hint::black_box(tokens));
        Ok(())
    }
}

/// hyper-util's client, and JSON by hand.
#[derive(Clone)]
pub(crate) struct BareHyper {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    connections: Connections,
}

impl BareHyper {
    pub(crate) fn new(target: &Target, connections: Connections) -> Result<Self, BoxError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_config(target)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        if connections == Connections::Fresh {
            builder.pool_max_idle_per_host(0);
        }
        Ok(Self {
            client: builder.build(connector),
            url: target.url(connections),
            connections,
        })
    }
}

impl Peer for BareHyper {
    const NAME: &'static str = "bare hyper-util";

    async fn exchange(&mut self) -> Result<(), BoxError> {
        let request = match self.connections {
            Connections::Kept => by_hand::build_refresh(&self.url, fixture::REFRESH_TOKEN)?,
            Connections::Fresh => by_hand::build(&self.url, fixture::CODE, fixture::STATE)?,
        };
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let tokens = by_hand::parse(&Response::from_parts(head, body))?;
        drop(std::hint::black_box(tokens));
        Ok(())
    }
}

/// The roots that every client here trusts.
fn client_config(target: &Target) -> Result<ClientConfig, BoxError> {
    let mut roots = RootCertStore::empty();
    if let Some(root) = &target.root {
        roots.add(root.clone())?;
    }
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// oauth2 with reqwest.
#[derive(Clone)]
pub(crate) struct Oauth2 {
    client: peer::Client,
    http: reqwest::Client,
    refresh_token: RefreshToken,
    connections: Connections,
}

impl Oauth2 {
    pub(crate) fn new(target: &Target, connections: Connections) -> Result<Self, BoxError> {
        // As oauth2's documentation asks for.
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(root) = &target.root {
            http = http.add_root_certificate(reqwest::Certificate::from_der(root)?);
        }
        if connections == Connections::Fresh {
            http = http.pool_max_idle_per_host(0);
        }
        Ok(Self {
            client: peer::client(&target.url(connections)),
            http: http.build()?,
            refresh_token: RefreshToken::new(fixture::REFRESH_TOKEN.into()),
            connections,
        })
    }
}

impl Peer for Oauth2 {
    const NAME: &'static str = "oauth2 + reqwest";

    async fn exchange(&mut self) -> Result<(), BoxError> {
        let tokens = match self.connections {
            Connections::Kept => {
                let request = self.client.exchange_refresh_token(&self.refresh_token);
                let request = peer::CREDENTIALS
                    .into_iter()
                    .fold(request, |request, (name, value)| {
                        request.add_extra_param(name, value)
                    });
                request.request_async(&self.http).await?
            }
            Connections::Fresh => {
                let request = peer::request(&self.client, peer::code());
                request.request_async(&self.http).await?
            }
        };
        drop(std::hint::black_box(tokens));
        Ok(())
    }
}

/// A socket, and bytes that are ready: what the server can do at most.
pub(crate) struct Raw {
    address: SocketAddr,
    connections: Connections,
    stream: Option<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(target: &Target, connections: Connections) -> Result<Self, BoxError> {
        let request = by_hand::build(&target.url(connections), fixture::CODE, fixture::STATE)?;
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            request.uri().path(),
            target.address,
            request.body().len()
        )
        .into_bytes();
        for (name, value) in request.headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(request.body());
        Ok(Self {
            address: target.address,
            connections,
            stream: None,
            request: bytes,
            answer: Vec::with_capacity(2048),
        })
    }

    async fn connect(&self) -> Result<TcpStream, BoxError> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A clone has a connection of its own.
impl Clone for Raw {
    fn clone(&self) -> Self {
        Self {
            address: self.address,
            connections: self.connections,
            stream: None,
            request: self.request.clone(),
            answer: Vec::with_capacity(2048),
        }
    }
}

impl Peer for Raw {
    const NAME: &'static str = "raw socket (ceiling)";

    async fn prepare(&mut self) -> Result<(), BoxError> {
        if self.connections == Connections::Kept {
            self.stream = Some(self.connect().await?);
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<(), BoxError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        stream.write_all(&self.request).await?;
        self.answer.clear();
        // The answer is one object.
        while !self.answer.ends_with(b"}") {
            if stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the answer broke off".into());
            }
        }
        if self.connections == Connections::Kept {
            self.stream = Some(stream);
        }
        Ok(())
    }
}
