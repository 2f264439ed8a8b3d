//! The server's end of a connection: TCP, perhaps in TLS, perhaps in TLS again.

use std::{
    io, mem,
    net::Shutdown,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// The same socket again.
    tcp: socket2::Socket,
}

impl Wire {
    /// Wraps a connection that is reset after `lifetime` bytes.
    pub(super) fn new(tcp: TcpStream, lifetime: Option<usize>) -> io::Result<Self> {
        let socket = SockRef::from(&tcp).try_clone()?;
        let left = lifetime.unwrap_or(usize::MAX);
        Ok(Self { stream: Box::new(Mortal { tcp, left }), tcp: socket })
    }

    pub(super) async fn start_tls(&mut self, tls: &TlsAcceptor) -> io::Result<()> {
        let stream = mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.stream = Box::new(tls.accept(stream).await?);
        Ok(())
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes).await?;
        self.stream.flush().await?;
        Ok(written)
    }

    /// Writes a few bytes below TLS.
    pub(super) fn write_below_tls(&self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.send(bytes).map(drop)
    }

    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    pub(super) fn fin(&self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }

    /// Resets the connection when it is dropped.
    pub(super) fn reset(&self) -> io::Result<()> {
        self.tcp.set_linger(Some(Duration::ZERO))
    }
}

/// A connection that fails, and is reset, when it has transferred the bytes that are left.
struct Mortal {
    tcp: TcpStream,
    left: usize,
}

impl Mortal {
    fn check_alive(&self) -> io::Result<()> {
        if self.left > 0 {
            return Ok(());
        }
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_alive()?;
        let mut part = buffer.take(self.left);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buffer.initialize_unfilled_to(count);
        buffer.advance(count);
        self.left -= count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_alive()?;
        let part = &bytes[..bytes.len().min(self.left)];
        let count = ready!(Pin::new(&mut self.tcp).poll_write(cx, part))?;
        self.left -= count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
