//! The default client: hyper's connections over rustls, with a small pool.
//!
//! hyper-util's pooling client does not serve here: it does not tell whether a request that failed
//! was on a reused connection and whether a response had begun, it opens connections in the
//! background, and its tasks can outlast their call for as long as the server likes.

mod connect;
mod connection;
mod pool;
mod proxy;
#[cfg(test)]
mod torture;

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use dropbox_sign_oauth::Replay;
use http::{Request, Response, Uri};
use hyper_util::client::legacy::connect::Connection as _;
use tower_service::Service;

pub use self::connection::ResponseStream;
use self::{
    connect::Connector,
    connection::{Connection, Lease},
    pool::Pool,
};
pub(crate) use self::{
    connect::{Settings, system_lookup},
    proxy::ProxySetting,
};
use crate::{body::RequestBody, builder::BuildError};

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The default client: a [`tower_service::Service`] that takes middleware.
///
/// A request that must not be sent twice ([`Replay::Never`]) gets a new connection, which is closed
/// after it. Other requests may reuse a pooled connection; if the server closed it before a byte
/// of the response arrived, the request is sent once more, on a new connection.
///
/// Each connection carries one request at a time, also with HTTP/2, and ends with its request if
/// that fails. Idle connections are closed within 90 seconds, or when the last clone is dropped.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    connector: Connector,
    pool: Arc<Pool>,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Result<Self, BuildError> {
        Ok(Self(Arc::new(Shared { connector: Connector::new(settings)?, pool: Arc::default() })))
    }
}

impl Service<Request<RequestBody>> for Client {
    type Response = Response<ResponseStream>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<ResponseStream>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.send(request).await })
    }
}

impl Shared {
    async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<ResponseStream>, BoxError> {
        request.body().hold();
        let origin = origin(request.uri())?;
        let pool = (request.body().replay() == Replay::Safe).then(|| Arc::clone(&self.pool));
        if let Some(pool) = &pool {
            if let Some(mut pooled) = pool.take(&origin).await {
                let again = copy(&request);
                match pooled.send(request).await {
                    Ok(response) => {
                        return Ok(Lease(pooled, origin, Some(Arc::clone(pool))).attach(response));
                    }
                    Err(failure) if failure.stale => request = again,
                    Err(failure) => return Err(failure.error.into()),
                }
            }
        }
        let stream = self.connector.connect(origin.clone()).await?;
        let http2 = stream.connected().is_negotiated_h2();
        let mut connection = Connection::open(stream, http2).await?;
        match connection.send(request).await {
            Ok(response) => Ok(Lease(connection, origin, pool).attach(response)),
            Err(failure) => Err(failure.error.into()),
        }
    }
}

/// Scheme and authority of `uri`: connections are pooled by it.
fn origin(uri: &Uri) -> Result<Uri, http::Error> {
    let mut origin = Uri::builder().path_and_query("/");
    if let Some(scheme) = uri.scheme() {
        origin = origin.scheme(scheme.clone());
    }
    if let Some(authority) = uri.authority() {
        origin = origin.authority(authority.clone());
    }
    origin.build()
}

/// The same request, to be sent after `request` failed.
fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(request.body().copy());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
