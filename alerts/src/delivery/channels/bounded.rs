//! A connection that reads no more than it is allowed: a server cannot fill the memory with a reply
//! that has no end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead as FuturesRead, AsyncWrite as FuturesWrite};
use lettre::transport::smtp::Error as SmtpError;
#[expect(
    deprecated,
    reason = "lettre has no other way to encrypt a connection of ours from its first byte"
)]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::{AsyncTokioStream, TlsParameters};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that a server may send in one step: before a mail, and about it. An answer has some
/// hundred; lettre reads one from its begin again with each of its lines.
const MAX_REPLY_BYTES: usize = 8 * 1_024;
/// Bytes of a TLS handshake with its chain of certificates, and of the answer after it.
const MAX_HANDSHAKE_BYTES: usize = 40 * 1_024;

/// Bytes that a server may still send.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_REPLY_BYTES)))
    }

    /// Begins a step.
    pub(super) fn renew(&self) {
        self.0.store(MAX_REPLY_BYTES, Ordering::Relaxed);
    }

    /// Begins a step that is a handshake.
    pub(super) fn renew_for_handshake(&self) {
        self.0.store(MAX_HANDSHAKE_BYTES, Ordering::Relaxed);
    }
}

/// A TCP connection that reads within a budget.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: TcpStream,
    budget: Budget,
}

impl Bounded {
    pub(super) fn new(stream: TcpStream, budget: Budget) -> Self {
        Self { stream, budget }
    }

    /// The connection, encrypted from its first byte on.
    #[expect(deprecated, reason = "as above")]
    pub(super) async fn encrypt(self, parameters: TlsParameters) -> Result<Encrypted, SmtpError> {
        let peer = AsyncTokioStream::peer_addr(&self);
        let mut stream = AsyncNetworkStream::use_existing_tokio1(Box::new(self));
        stream.upgrade_tls(parameters).await?;
        Ok(Encrypted {
            stream,
            peer: peer.ok(),
        })
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.budget.0.load(Ordering::Relaxed);
        if left == 0 {
            let reason = "the server's reply exceeds the maximum size";
            return Poll::Ready(Err(io::Error::other(reason)));
        }
        let room = left.min(buffer.remaining());
        let mut some = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let read = Pin::new(&mut self.stream).poll_read(context, &mut some);
        let count = some.filled().len();
        buffer.advance(count);
        self.budget.0.fetch_sub(count, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

/// The same under TLS.
#[expect(deprecated, reason = "as above")]
pub(super) struct Encrypted {
    stream: AsyncNetworkStream,
    peer: Option<SocketAddr>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        let read = ready!(FuturesRead::poll_read(
            Pin::new(&mut self.stream),
            context,
            room
        ))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        FuturesWrite::poll_write(Pin::new(&mut self.stream), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        FuturesWrite::poll_flush(Pin::new(&mut self.stream), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        FuturesWrite::poll_close(Pin::new(&mut self.stream), context)
    }
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        let unknown = || io::Error::new(io::ErrorKind::NotConnected, "no peer");
        self.peer.ok_or_else(unknown)
    }
}
