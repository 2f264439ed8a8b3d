//! Every read and every write of an exchange fails once.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use dropbox_sign_oauth_testkit::{
    conformance::torture,
    peer::{Peer, Script},
    samples::{TOKENS, ok},
    tls::{Authority, Leaf, client_config},
};
use http::{Request, Response, Uri};
use http_body::Body;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection as Connects, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpStream;
use tower::{ServiceExt, service_fn};
use tower_service::Service;

use super::{
    BoxError, BoxFuture,
    connection::{Connection, Lease},
};
use crate::{RequestBody, Transport};

/// The number of reads and writes that succeed before all fail, over all connections.
#[derive(Clone, Default)]
struct Fuse(Arc<AtomicUsize>);

impl Fuse {
    /// Counts the calls that were ready.
    fn burn<T>(&self, poll: impl FnOnce() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let left = self.0.load(Ordering::SeqCst);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let result = poll();
        if result.is_ready() {
            self.0.store(left - 1, Ordering::SeqCst);
        }
        result
    }
}

#[derive(Clone)]
struct FaultyConnector(HttpConnector, Fuse);

impl Service<Uri> for FaultyConnector {
    type Response = Faulty;
    type Error = BoxError;
    type Future = BoxFuture<Result<Faulty, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, fuse) = (self.0.call(uri), self.1.clone());
        Box::pin(async move { Ok(Faulty(connecting.await?, fuse)) })
    }
}

struct Faulty(TokioIo<TcpStream>, Fuse);

impl Connects for Faulty {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let fuse = self.1.clone();
        fuse.burn(|| Pin::new(&mut self.0).poll_read(cx, buf))
    }
}

impl Write for Faulty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let fuse = self.1.clone();
        fuse.burn(|| Pin::new(&mut self.0).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn check<S, B>(peer: &Peer, base: &str, fuse: &Fuse, service: S)
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: Body<Error: Into<BoxError>>,
{
    let transport = Transport::builder().deadline(Duration::from_secs(60));
    let transport = transport.build_with_service(service);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let not_sent = torture(peer, base, |successes, operation| {
        fuse.0.store(successes, Ordering::SeqCst);
        runtime.block_on(transport.send(operation))
    });
    assert!(base.starts_with("http:") || not_sent.contains(&true));
}

#[test]
fn each_failure_of_io_is_classified() {
    let authority = Authority::new();
    let script = || Script::new().read_request().send(ok(TOKENS));
    let plain = Peer::start([script()], None).unwrap();
    let tls = Peer::start([script()], Some(authority.server_config(Leaf::Valid))).unwrap();
    for (peer, base) in [(&plain, plain.http()), (&tls, tls.https())] {
        let fuse = Fuse::default();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_config([authority.root()]))
            .https_or_http()
            .enable_http1()
            .wrap_connector(FaultyConnector(tcp, fuse.clone()));
        // A client of the caller.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector.clone());
        check(peer, &base, &fuse, client);
        // The connections of the default client.
        let client = service_fn(move |request: Request<RequestBody>| {
            let connector = connector.clone();
            async move {
                request.body().hold();
                let origin = request.uri().clone();
                let stream = connector.oneshot(origin.clone()).await?;
                let mut connection = Connection::open(Box::new(stream), false).await?;
                let response = connection.send(request).await;
                let response = response.map_err(|failure| failure.error)?;
                Ok::<_, BoxError>(Lease(connection, origin, None).attach(response))
            }
        });
        check(peer, &base, &fuse, client);
    }
}
