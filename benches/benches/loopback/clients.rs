//! The async clients.

use std::{fmt, future::Future, hint::black_box, pin::Pin, sync::Arc};

use bytes::Bytes;
use dropbox_sign_oauth::Token;
use dropbox_sign_oauth_benches::{BoxError, by_hand, fixture, ours, peer};
use dropbox_sign_oauth_hyper::Transport;
use dropbox_sign_oauth_testkit::tls;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use oauth2::{RefreshToken, reqwest};
use rustls::pki_types::CertificateDer;

/// The server, and how clients connect to it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) root: Option<CertificateDer<'static>>,
    /// Whether exchanges share connections. Our adapters always exchange a code on a new
    /// connection. So all clients refresh tokens on pooled connections, and exchange codes on new
    /// ones.
    pub(crate) pooled: bool,
}

impl Target {
    pub(crate) fn url(&self) -> String {
        format!("{}/oauth/token", self.base)
    }

    /// The request, built by hand.
    pub(crate) fn request(&self) -> Result<Request<Vec<u8>>, BoxError> {
        if self.pooled {
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

/// The names of [`all`].
pub(crate) const NAMES: [&str; 3] =
    ["dropbox-sign-oauth-hyper", "bare hyper-util", "oauth2 + reqwest"];

pub(crate) fn all(target: &Target) -> Result<[Exchange; 3], BoxError> {
    Ok([ours(target)?, bare_hyper(target), oauth2_reqwest(target)?])
}

/// Makes the exchange of a client.
fn exchange<C, F>(client: C, run: impl Fn(Arc<C>) -> F + Send + Sync + 'static) -> Exchange
where
    C: Send + Sync + 'static,
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let client = Arc::new(client);
    Arc::new(move || Box::pin(run(Arc::clone(&client))))
}

/// Our adapter for hyper.
fn ours(target: &Target) -> Result<Exchange, BoxError> {
    let mut builder = Transport::builder();
    if let Some(root) = &target.root {
        builder = builder.extra_root(root.clone());
    }
    let token = Token::new(fixture::REFRESH_TOKEN)?;
    let token = target.pooled.then_some(token);
    let client = (builder.build()?, ours::app_at(&target.base), token);
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
    let token = target.pooled.then_some(token);
    let client = (http.build()?, peer::client(&target.url()), token);
    Ok(exchange(client, |client| async move {
        let (http, client, token) = &*client;
        drop(black_box(if let Some(token) = token {
            let mut request = client.exchange_refresh_token(token);
            for (name, value) in peer::CREDENTIALS {
                request = request.add_extra_param(name, value);
            }
            request.request_async(http).await?
        } else {
            let request = peer::request(client, peer::code());
            request.request_async(http).await?
        }));
        Ok(())
    }))
}
