//! The clients.

use std::{fmt, future::Future, hint::black_box, pin::Pin, sync::Arc};

use dropbox_sign_oauth::{App, DEFAULT_DEADLINE, Token};
use dropbox_sign_oauth_benches::{BoxError, by_hand, fixture, ours, peer};
use dropbox_sign_oauth_hyper::Transport;
use dropbox_sign_oauth_testkit::tls;
use dropbox_sign_oauth_ureq as adapter_ureq;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use oauth2::{RefreshToken, reqwest};
use rustls::pki_types::CertificateDer;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// The server, and how clients connect to it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) root: Option<CertificateDer<'static>>,
    /// Whether tokens are refreshed, or codes exchanged.
    pub(crate) refreshes: bool,
    /// Whether clients may reuse connections. Our adapters never do so for a code.
    pub(crate) pooled: bool,
}

impl Target {
    pub(crate) fn url(&self) -> String {
        format!("{}/oauth/token", self.base)
    }

    pub(crate) fn app(&self) -> Result<App, BoxError> {
        Ok(ours::builder(fixture::CLIENT_ID, &self.base).build()?)
    }

    /// The request, built by hand.
    pub(crate) fn request(&self) -> Result<Request<Vec<u8>>, BoxError> {
        if self.refreshes {
            by_hand::build_refresh(&self.url(), fixture::REFRESH_TOKEN)
        } else {
            by_hand::build(&self.url(), fixture::CODE, fixture::STATE)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.root.is_some() { "https" } else { "http" };
        let pooled = if self.pooled { "pooled" } else { "new" };
        write!(f, "{scheme}, {pooled}")
    }
}

/// Builds a request, sends it and parses the response.
pub(crate) type Exchange = Arc<dyn Fn() -> Exchanging + Send + Sync>;
type Exchanging = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// Returns the name and the exchange of each client. The first [`ASYNC`] do not block threads.
pub(crate) fn all(target: &Target) -> Result<[(&'static str, Exchange); 5], BoxError> {
    Ok([
        ("dropbox-sign-oauth-hyper", ours(target)?),
        ("bare hyper-util", bare_hyper(target)),
        ("oauth2 + reqwest", oauth2_reqwest(target)?),
        ("dropbox-sign-oauth-ureq", ours_blocking(target)?),
        ("bare ureq", bare_ureq(target)),
    ])
}

pub(crate) const ASYNC: usize = 3;

/// Makes the exchange of a client.
fn exchange<C, F>(client: C, run: impl Fn(Arc<C>) -> F + Send + Sync + 'static) -> Exchange
where
    C: Send + Sync + 'static,
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let client = Arc::new(client);
    Arc::new(move || Box::pin(run(Arc::clone(&client))))
}

pub(crate) fn transport(target: &Target) -> Result<Transport, BoxError> {
    let mut builder = Transport::builder();
    if let Some(root) = &target.root {
        builder = builder.extra_root(root.clone());
    }
    Ok(builder.build()?)
}

/// Our adapter for hyper.
fn ours(target: &Target) -> Result<Exchange, BoxError> {
    let token = Token::new(fixture::REFRESH_TOKEN)?;
    let token = target.refreshes.then_some(token);
    let client = (transport(target)?, target.app()?, token);
    Ok(exchange(client, |client| async move {
        let (transport, app, token) = &*client;
        drop(black_box(match token {
            Some(token) => transport.send(app.refresh(token)).await?,
            None => transport.send(app.generate(ours::code())).await?,
        }));
        Ok(())
    }))
}

/// hyper-util's client, and JSON by hand.
fn bare_hyper(target: &Target) -> Exchange {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls::client_config(target.root.clone()))
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    if !target.pooled {
        builder.pool_max_idle_per_host(0);
    }
    let client: Client<_, Full<Bytes>> = builder.build(connector);
    exchange((client, target.clone()), |client| async move {
        let (client, target) = &*client;
        let request = target.request()?.map(|body| Full::new(body.into()));
        let (head, body) = client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(black_box(by_hand::parse(&Response::from_parts(head, body))?));
        Ok(())
    })
}

/// oauth2 with reqwest, as its documentation recommends.
fn oauth2_reqwest(target: &Target) -> Result<Exchange, BoxError> {
    let mut http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    if let Some(root) = &target.root {
        http = http.add_root_certificate(reqwest::Certificate::from_der(root)?);
    }
    if !target.pooled {
        http = http.pool_max_idle_per_host(0);
    }
    let token = RefreshToken::new(fixture::REFRESH_TOKEN.into());
    let token = target.refreshes.then_some(token);
    let client = (http.build()?, peer::client(&target.url()), token);
    Ok(exchange(client, |client| async move {
        let (http, client, token) = &*client;
        drop(black_box(match token {
            Some(token) => peer::refresh(client, token).request_async(http).await?,
            None => peer::request(client, peer::code()).request_async(http).await?,
        }));
        Ok(())
    }))
}

/// Makes the exchange of a client that blocks its thread.
fn blocking(run: impl Fn() -> Result<(), BoxError> + Send + Sync + 'static) -> Exchange {
    exchange(run, |run| async move { tokio::task::spawn_blocking(move || run()).await? })
}

/// Our adapter for ureq.
fn ours_blocking(target: &Target) -> Result<Exchange, BoxError> {
    let mut builder = adapter_ureq::Transport::builder();
    if let Some(root) = &target.root {
        builder = builder.extra_root(root.clone());
    }
    let (transport, app) = (builder.build()?, target.app()?);
    let token = Token::new(fixture::REFRESH_TOKEN)?;
    let token = target.refreshes.then_some(token);
    Ok(blocking(move || {
        drop(black_box(match &token {
            Some(token) => transport.send(app.refresh(token))?,
            None => transport.send(app.generate(ours::code()))?,
        }));
        Ok(())
    }))
}

/// ureq with a deadline, and JSON by hand.
fn bare_ureq(target: &Target) -> Exchange {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(DEFAULT_DEADLINE))
        .proxy(None);
    if let Some(root) = &target.root {
        let root = Certificate::from_der(root).to_owned();
        let roots = RootCerts::new_with_certs(&[root]);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    if !target.pooled {
        config = config.max_idle_connections(0).max_idle_connections_per_host(0);
    }
    let (agent, target) = (Agent::new_with_config(config.build()), target.clone());
    blocking(move || {
        let (head, mut body) = agent.run(target.request()?)?.into_parts();
        let body = body.read_to_vec()?;
        drop(black_box(by_hand::parse(&Response::from_parts(head, body))?));
        Ok(())
    })
}
