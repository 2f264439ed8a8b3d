//! Every read and every write of a call fails once.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use dropbox_sign_oauth_hyper::{
    RequestBody, Transport,
    core::{Delivery, State},
};
use dropbox_sign_oauth_testkit::{sandbox::Sandbox, tls::client_config};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpStream;
use tower_service::Service;

/// How many more reads and writes succeed before all fail; shared by all connections.
#[derive(Clone, Default)]
struct Fuse(Arc<AtomicUsize>);

impl Fuse {
    /// Counts what has been done, not what was asked for.
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
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Faulty, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, fuse) = (self.0.call(uri), self.1.clone());
        Box::pin(async move { Ok(Faulty(connecting.await?, fuse)) })
    }
}

struct Faulty(TokioIo<TcpStream>, Fuse);

impl Connection for Faulty {
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

fn transport(
    sandbox: &Sandbox,
    fuse: &Fuse,
) -> Transport<
    impl Service<
        http::Request<RequestBody>,
        Response = http::Response<hyper::body::Incoming>,
        Error = hyper_util::client::legacy::Error,
    > + Clone,
> {
    let tls = client_config(sandbox.root_certificate());
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(FaultyConnector(tcp, fuse.clone()));
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector);
    Transport::builder()
        .deadline(Duration::from_secs(60))
        .build_with_service(client)
}

#[tokio::test]
async fn each_failure_of_io_is_known_for_what_it_is() {
    for sandbox in [
        Sandbox::start().unwrap(),
        Sandbox::builder().tls().start().unwrap(),
    ] {
        let fuse = Fuse::default();
        let transport = transport(&sandbox, &fuse);
        let mut deliveries = Vec::new();
        for k in 0.. {
            fuse.0.store(k, Ordering::SeqCst);
            let state = State::from_stored("900e06e2").unwrap();
            let issued = sandbox.issue_code(&state);
            let query = format!("code={issued}&state=900e06e2");
            let app = sandbox.app();
            let code = app.callback(&query, &state).unwrap();
            match transport.send(app.generate(code)).await {
                Ok(_) => break,
                Err(error) => deliveries.push(error.delivery()),
            }
            // Its own requests: one of the round before may come this late.
            let requests = sandbox.requests();
            let bodies = requests.iter().map(|it| String::from_utf8_lossy(&it.body));
            let seen = bodies.filter(|body| body.contains(&issued)).count();
            assert!(seen <= 1);
            if deliveries.last() == Some(&Delivery::NotSent) {
                assert_eq!(seen, 0);
            }
        }
        // First nothing was sent, and once something was, it is never called unsent again.
        assert!(deliveries.len() >= 2, "{deliveries:?}");
        assert!(deliveries.is_sorted_by_key(|delivery| *delivery == Delivery::Unknown));
        assert_eq!(deliveries.last(), Some(&Delivery::Unknown));
        let tls = sandbox.root_certificate().is_some();
        assert!(
            !tls || deliveries.contains(&Delivery::NotSent),
            "{deliveries:?}"
        );
    }
}
