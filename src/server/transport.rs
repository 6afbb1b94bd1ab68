//! The bytes of a connection: TCP or a Unix socket, encrypted or not, counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::pulse::Pulse;

/// How long a closed connection is still read from.
const LINGER: Duration = Duration::from_secs(1);

/// How much is read from a closed connection.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// A connection as the system gives it.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection as HTTP sees it.
#[derive(Debug)]
pub(super) enum Channel {
    Plain(Socket),
    /// Boxed, for it is large beside a socket.
    Tls(Box<TlsStream<Socket>>),
}

/// A channel whose traffic is counted.
#[derive(Debug)]
pub(super) struct Transport {
    channel: Channel,
    pulse: Arc<Pulse>,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    deadline: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Transport {
    pub(super) fn new(channel: Channel, pulse: Arc<Pulse>) -> Self {
        Self {
            channel,
            pulse,
            linger: None,
        }
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        self.pulse.note_write(match written {
            Poll::Pending => None,
            Poll::Ready(outcome) => Some(*outcome.as_ref().unwrap_or(&0)),
        });
    }

    /// Reads and forgets until the peer closes, within bounds.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger {
            deadline: Box::pin(sleep(LINGER)),
            bytes_left: LINGER_BYTES,
        });
        let mut room = [0; 4096];
        while linger.deadline.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut room);
            let outcome = ready!(Pin::new(&mut self.channel).poll_read(context, &mut buffer));
            let bytes = buffer.filled().len();
            if outcome.is_err() || bytes == 0 || bytes > linger.bytes_left {
                break;
            }
            linger.bytes_left -= bytes;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut self.channel).poll_read(context, buffer));
        self.pulse.note_read(buffer.filled().len() - before);
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.channel).poll_write(context, bytes);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.channel).poll_write_vectored(context, slices);
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.channel.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.channel).poll_flush(context);
        self.pulse.note_flush(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.channel).poll_shutdown(context))?;
        }
        // Closing with input unread makes the system send a reset, which can overtake the last
        // response (RFC 9112 §9.6): a peer that is still sending would not see its 413.
        if self.linger.is_some() || self.pulse.has_unread_input() {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(inner) => Pin::new(inner).poll_read(context, buffer),
            Self::Unix(inner) => Pin::new(inner).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(inner) => Pin::new(inner).poll_write(context, bytes),
            Self::Unix(inner) => Pin::new(inner).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(inner) => Pin::new(inner).poll_write_vectored(context, slices),
            Self::Unix(inner) => Pin::new(inner).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(inner) => inner.is_write_vectored(),
            Self::Unix(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(inner) => Pin::new(inner).poll_flush(context),
            Self::Unix(inner) => Pin::new(inner).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(inner) => Pin::new(inner).poll_shutdown(context),
            Self::Unix(inner) => Pin::new(inner).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_read(context, buffer),
            Self::Tls(inner) => Pin::new(inner).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_write(context, bytes),
            Self::Tls(inner) => Pin::new(inner).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_write_vectored(context, slices),
            Self::Tls(inner) => Pin::new(inner).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(inner) => inner.is_write_vectored(),
            Self::Tls(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_flush(context),
            Self::Tls(inner) => Pin::new(inner).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_shutdown(context),
            Self::Tls(inner) => Pin::new(inner).poll_shutdown(context),
        }
    }
}
