//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::server::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::RequestBody;
use super::exchange;
use super::limits::Limits;
use super::parked::Parked;
use super::pulse::{Phase, Pulse};
use super::transport::{Channel, Socket, Transport};
use super::watchdog::Watchdog;
use super::{Stage, reached};

#[cfg(test)]
mod tests;

/// Bytes that all streams of a connection may send before they are read: the least that HTTP/2
/// allows (RFC 9113 §6.9.2).
const CONNECTION_WINDOW: u32 = 65_535;

/// The protocol's name in the handshake (RFC 9113 §3.1).
const ALPN_HTTP2: &[u8] = b"h2";

/// Why a connection ended other than by both sides' will.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// The handshake took too long.
    #[error("the TLS handshake did not finish in time")]
    HandshakeTooSlow,
    /// The peer speaks no TLS that we do.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The server stops, and the handshake would take too long.
    #[error("the server stops before the TLS handshake is over")]
    Stopping,
    /// The peer let us wait, or work for nothing.
    #[error("the peer cost too much: {0:?}")]
    Expired(Phase),
    /// The protocol was broken, or the connection.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// An open connection that speaks HTTP from here on.
pub(super) struct Connection {
    channel: Channel,
    is_http2: bool,
    limits: Limits,
    stages: watch::Receiver<Stage>,
}

impl Connection {
    /// Encrypts a socket if there is a configuration for that.
    pub(super) async fn open(
        socket: Socket,
        tls: Option<Arc<ServerConfig>>,
        limits: Limits,
        stages: watch::Receiver<Stage>,
    ) -> Result<Self, ConnectionError> {
        let (channel, is_http2) = match tls {
            None => (Channel::Plain(socket), false),
            Some(config) => {
                let handshake = TlsAcceptor::from(config).accept(socket);
                let stream = tokio::select! {
                    outcome = timeout(limits.handshake, handshake) => outcome
                        .map_err(|_elapsed| ConnectionError::HandshakeTooSlow)?
                        .map_err(ConnectionError::Handshake)?,
                    () = end_of_farewell(stages.clone(), limits.farewell) => {
                        return Err(ConnectionError::Stopping);
                    }
                };
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
                (Channel::Tls(Box::new(stream)), is_http2)
            }
        };
        Ok(Self {
            channel,
            is_http2,
            limits,
            stages,
        })
    }

    /// Serves requests until either side is done.
    pub(super) async fn serve<S, B>(
        self,
        service: S,
        (pulse, parked): (Arc<Pulse>, Parked),
    ) -> Result<(), ConnectionError>
    where
        S: tower_service::Service<
                Request<RequestBody>,
                Response = Response<B>,
                Error = Infallible,
                Future: Send,
            > + Clone
            + Send
            + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
    {
        let transport = TokioIo::new(Transport::new(self.channel, Arc::clone(&pulse)));
        let service = exchange::guard(service, self.limits, (Arc::clone(&pulse), parked));
        let watchdog = Watchdog::new(Arc::clone(&pulse), self.limits);
        if self.is_http2 {
            pulse.note_http2();
            let connection = http2_builder(&self.limits).serve_connection(transport, service);
            drive(connection, watchdog, self.stages, Farewell::Announced).await
        } else {
            let connection = http1_builder(&self.limits).serve_connection(transport, service);
            drive(connection, watchdog, self.stages, Farewell::Awaited).await
        }
    }
}

/// Ready a moment after the server has begun to stop.
async fn end_of_farewell(mut stages: watch::Receiver<Stage>, farewell: Duration) {
    reached(&mut stages, Stage::Closing).await;
    sleep(farewell).await;
}

/// How a connection without requests is ended when the server stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// By a frame that says which requests will still be answered (RFC 9113 §6.8).
    Announced,
    /// By waiting a moment: HTTP/1.1 cannot tell an idle peer that its next request comes too late.
    Awaited,
}

/// Polls a connection, watches its waits, and ends it when the server stops.
async fn drive<C>(
    connection: C,
    mut watchdog: Watchdog,
    mut stages: watch::Receiver<Stage>,
    farewell: Farewell,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let pulse = watchdog.pulse();
    let mut drain = pin!(async move {
        reached(&mut stages, Stage::Notice).await;
        pulse.note_notice();
        reached(&mut stages, Stage::Closing).await;
    });
    let mut is_draining = false;
    std::future::poll_fn(move |context| {
        if !is_draining && drain.as_mut().poll(context).is_ready() {
            is_draining = true;
            watchdog.drain();
            if farewell == Farewell::Announced {
                watchdog.leave();
                connection.as_mut().graceful_shutdown();
            }
        }
        loop {
            if let Poll::Ready(outcome) = connection.as_mut().poll(context) {
                return Poll::Ready(outcome.map_err(ConnectionError::Broken));
            }
            match ready!(watchdog.poll_expired(context)) {
                Phase::Idle => {}
                Phase::Opening if is_draining => {}
                phase => return Poll::Ready(Err(ConnectionError::Expired(phase))),
            }
            watchdog.leave();
            connection.as_mut().graceful_shutdown();
        }
    })
    .await
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // hyper's own timer would also end idle connections; the watchdog tells the two apart.
        .header_read_timeout(None)
        .max_header_size(usize::from(limits.head_bytes))
        // Not more than a head is read ahead of a body that nobody may want.
        .max_buf_size(usize::from(limits.head_bytes));
    builder
}

fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    // The streams' tasks end with their connection, which the server owns.
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::from(limits.head_bytes))
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_answer);
    builder
}
