//! Between the server and warp: tells the filters where a request came from, and the server when
//! to end.

use std::task::{Context, Poll};

use tokio::signal::unix::{SignalKind, signal};
use tower_service::Service;
use warp::http::Request;

use super::serving::Stop;
use crate::http::extract::connection::Connection;
use crate::server::Peer;

/// A warp service that notes the connection of each request.
#[derive(Clone)]
pub(super) struct Noted<S> {
    service: S,
    connection: Connection,
}

impl<S> Noted<S> {
    /// The service of one connection.
    pub(super) fn new(service: S, peer: Peer) -> Self {
        let address = peer.address.map(|address| address.ip().to_canonical());
        Self {
            service,
            connection: Connection {
                peer: address,
                is_tls: peer.is_tls,
            },
        }
    }
}

impl<S, B> Service<Request<B>> for Noted<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.connection);
        self.service.call(request)
    }
}

/// Ready at the first SIGTERM or SIGINT. The latter comes from a terminal, where nobody wants to
/// wait for a balancer.
pub(super) async fn ended_by_signal() -> Stop {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be received: only a kill ends this process");
        return std::future::pending().await;
    };
    let stop = tokio::select! {
        _signal = terminate.recv() => Stop::WithNotice,
        _signal = interrupt.recv() => Stop::WithoutNotice,
    };
    tracing::info!("told to stop: draining");
    stop
}
