//! The default client: hyper's connections over rustls, with a small pool.
//!
//! hyper-util's pooling client does not serve here: it does not tell whether a request that failed
//! was on a reused connection and whether a response had begun, it opens connections in the
//! background, and its tasks can outlast their call for as long as the server likes.

mod connect;
mod connection;
mod pool;
mod proxy;
mod spare;
#[cfg(test)]
mod torture;

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dropbox_sign_oauth::{App, PlainHttp, Replay};
use http::{
    Request, Response, Uri,
    uri::{InvalidUriParts, PathAndQuery},
};
use tokio::time::timeout;
use tower_service::Service;

pub use self::connection::ResponseStream;
use self::{
    connect::Connector,
    connection::{Connection, Lease},
    pool::Pool,
    spare::Spares,
};
pub(crate) use self::{
    connect::{Settings, system_lookup},
    proxy::ProxySetting,
};
use crate::{
    body::{RequestBody, Use},
    builder::BuildError,
};

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Opens a connection.
type Open = dyn Fn(Uri) -> BoxFuture<Result<Connection, BoxError>> + Send + Sync;

/// The default client: a [`tower_service::Service`] that takes middleware.
///
/// A request that must not be sent twice ([`Replay::Never`]) gets a connection that has sent
/// nothing before, and that is closed after it. Other requests may reuse a pooled connection; if the
/// server closed it before a byte of the response arrived, the request is sent once more, on a new
/// connection.
///
/// Opening a connection takes most of the time of a code exchange. Therefore connections are opened
/// ahead, at most two to a server, if codes are less than ten seconds apart, and by
/// [`connect_ahead`](Self::connect_ahead). Such a connection is at most four seconds old when it is
/// used. If the server has closed it by then, the request is sent on a new one.
///
/// Each connection carries one request at a time, also with HTTP/2, and ends with its request if
/// that fails. Idle connections are closed within 90 seconds, or when the last clone is dropped.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    open: Arc<Open>,
    connect_timeout: Duration,
    plain_http: PlainHttp,
    pool: Arc<Pool>,
    spares: Spares,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Result<Self, BuildError> {
        let connector = Connector::new(settings)?;
        Ok(Self(Arc::new(Shared {
            open: Arc::new(move |origin| connector.open(origin)),
            connect_timeout: settings.connect_timeout,
            plain_http: settings.plain_http,
            pool: Arc::default(),
            spares: Spares::default(),
        })))
    }

    /// As [`Transport::connect_ahead`](crate::Transport::connect_ahead).
    pub fn connect_ahead(&self, app: &App) {
        let token = app.endpoints().token();
        if let (Ok(()), Ok(origin)) = (self.0.plain_http.check(token), origin(token)) {
            self.0.spares.open(&self.0.open, &origin);
        }
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
        Box::pin(Arc::clone(&self.0).send(request))
    }
}

impl Shared {
    async fn send(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Response<ResponseStream>, BoxError> {
        request.body().hold();
        let uri = request.uri().clone();
        let origin = origin(&uri)?;
        let pool = (request.body().replay() == Replay::Safe).then(|| Arc::clone(&self.pool));
        let (mut connection, mut used) = self.connect(&origin, pool.as_deref()).await?;
        loop {
            request.body().note_use(used);
            let (head, body) = request.into_parts();
            let again =
                (used == Use::Reused).then(|| Request::from_parts(head.clone(), body.copy()));
            let failure = match connection.send(Request::from_parts(head, body)).await {
                Ok(response) => {
                    if pool.is_none() {
                        self.spares.responded(origin.clone());
                    }
                    return Ok(Lease(connection, origin, pool).attach(response));
                }
                Err(failure) => *failure,
            };
            let again = failure.unsent.or(again.filter(|_| !failure.responded));
            request = again.filter(|_| used != Use::New).ok_or(failure.error)?;
            *request.uri_mut() = uri.clone();
            (connection, used) = ((self.open)(origin.clone()).await?, Use::New);
        }
    }

    /// Takes a connection from `pool`, or for a code, one that was opened ahead. Opens one if there
    /// is none.
    async fn connect(
        &self,
        origin: &Uri,
        pool: Option<&Pool>,
    ) -> Result<(Connection, Use), BoxError> {
        let connect = async {
            let open = match pool {
                Some(pool) => (pool.take(origin).await, Use::Reused),
                None => (self.spares.take(&self.open, origin).await, Use::Ahead),
            };
            match open {
                (Some(connection), used) => Ok((connection, used)),
                (None, _) => Ok(((self.open)(origin.clone()).await?, Use::New)),
            }
        };
        timeout(self.connect_timeout, connect).await.map_err(io::Error::from)?
    }
}

/// Scheme and authority of `uri`: connections are pooled by it.
fn origin(uri: &Uri) -> Result<Uri, InvalidUriParts> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
