//! Connections whose reads and writes fail after a number of successes.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

/// The number of reads and writes that succeed before all fail, over all connections.
#[derive(Clone, Default)]
pub(crate) struct Fuse(Arc<AtomicUsize>);

impl Fuse {
    pub(crate) fn set(&self, successes: usize) {
        self.0.store(successes, Ordering::SeqCst);
    }

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
pub(crate) struct FaultyConnector(pub(crate) HttpConnector, pub(crate) Fuse);

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

pub(crate) struct Faulty(TokioIo<TcpStream>, Fuse);

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
