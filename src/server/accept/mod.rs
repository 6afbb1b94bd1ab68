//! The accept loop: takes connections while there is room, and lets them finish at the end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Body;
use hyper::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::body::RequestBody;
use super::connection::{Connection, ConnectionError};
use super::limits::Limits;
use super::listener::Listener;
use super::parked::Parked;
use super::pulse::Pulse;
use super::tls::Certificates;
use super::transport::Socket;
use super::{Peer, Stage};

#[cfg(test)]
mod tests;

/// Pause after the system refused to give a connection: it needs a moment to find files again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks for a connection to cut, while somebody is at the door.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(100);

/// A listener with all that is needed to serve it.
#[derive(Debug)]
pub struct Server {
    /// Where connections come from.
    pub listener: Listener,
    /// How they are encrypted; `None` is plain HTTP/1.1.
    pub tls: Option<Arc<Certificates>>,
    /// How much a peer may cost.
    pub limits: Limits,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight was answered.
    Whole,
    /// The time was over; this many connections were cut.
    Cut(usize),
}

/// A connection and its other end.
type Arrival = (Socket, Option<SocketAddr>);

/// What connections share.
struct Hall<F> {
    tls: Option<Arc<Certificates>>,
    limits: Limits,
    parked: Parked,
    make_service: Arc<F>,
    stage: watch::Sender<Stage>,
    connections: JoinSet<()>,
    /// Connections that may not have made a request yet, the oldest first.
    newcomers: VecDeque<Guest>,
    /// Connections that have made a request.
    regulars: VecDeque<Guest>,
}

/// A connection as the door sees it.
type Guest = (AbortHandle, Arc<Pulse>);

impl Server {
    /// Serves until `shutdown` is ready, and then for as long as it says: that is for balancers,
    /// to send their requests elsewhere. Then it accepts no more, lets requests in flight finish
    /// within the drain limit, and returns. `make_service` is called once for each connection.
    /// Dropping the future cuts every connection.
    pub async fn serve<F, S, B>(
        self,
        make_service: F,
        shutdown: impl Future<Output = Duration>,
    ) -> Drained
    where
        F: Fn(Peer) -> S + Send + Sync + 'static,
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
        let listener = self.listener;
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let mut hall = Hall {
            tls: self.tls,
            limits: self.limits,
            parked: Parked::new(&self.limits),
            make_service: Arc::new(make_service),
            stage: watch::Sender::new(Stage::Open),
            connections: JoinSet::new(),
            newcomers: VecDeque::new(),
            regulars: VecDeque::new(),
        };
        let stage = hall.stage.clone();
        let mut closing = pin!(async move {
            let notice = shutdown.await;
            stage.send_replace(Stage::Notice);
            sleep(notice).await;
        });
        let mut at_the_door = None;
        loop {
            tokio::select! {
                biased;
                () = &mut closing => break,
                Some(ended) = hall.connections.join_next() => report(ended),
                Ok(permit) = Arc::clone(&room).acquire_owned(), if at_the_door.is_some() => {
                    if let Some(arrival) = at_the_door.take() {
                        hall.admit(arrival, permit);
                    }
                }
                // Those who were busy when it came may be idle by now.
                () = sleep(LOOK_FOR_ROOM), if at_the_door.is_some() => hall.make_room(),
                arrival = listener.accept(), if at_the_door.is_none() => match arrival {
                    Ok(arrival) => {
                        if room.available_permits() == 0 {
                            hall.make_room();
                        }
                        at_the_door = Some(arrival);
                    }
                    Err(error) => pause(&error).await,
                },
            }
        }
        // Who has connected already has been promised an answer by the system.
        while let Ok(permit) = Arc::clone(&room).try_acquire_owned()
            && let Some(arrival) = at_the_door.take().or_else(|| next_at_once(&listener))
        {
            hall.admit(arrival, permit);
        }
        drop(listener);
        hall.close().await
    }
}

impl<F> Hall<F> {
    fn admit<S, B>(&mut self, (socket, address): Arrival, permit: OwnedSemaphorePermit)
    where
        F: Fn(Peer) -> S + Send + Sync + 'static,
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
        let tls = self.tls.as_ref().map(|certificates| certificates.config());
        let is_tls = tls.is_some();
        let opening = Connection::open(socket, tls, self.limits, self.stage.subscribe());
        let make_service = Arc::clone(&self.make_service);
        let pulse = Arc::new(Pulse::default());
        let parked = self.parked.clone();
        let counts = Arc::clone(&pulse);
        let task = self.connections.spawn(async move {
            let _permit = permit;
            let outcome = async {
                let connection = opening.await?;
                let service = make_service(Peer { address, is_tls });
                connection.serve(service, (counts, parked)).await
            };
            if let Err(error) = outcome.await {
                log(&error);
            }
        });
        self.sort_guests();
        self.newcomers.push_back((task, pulse));
    }

    /// Cuts the connection that has been open longest without making a request: at the cap, silent
    /// peers must not keep others out until their deadlines. If all have made one, it cuts one that
    /// waits for its next, or for the body of one: a request now and then is no better a reason to keep
    /// others out. One that waits for an answer is left alone.
    fn make_room(&mut self) {
        self.sort_guests();
        if let Some((task, _)) = self.newcomers.pop_front() {
            task.abort();
            return;
        }
        for _ in 0..self.regulars.len() {
            let Some(guest) = self.regulars.pop_front() else {
                return;
            };
            if guest.0.is_finished() {
                continue;
            }
            if guest.1.is_between_requests() {
                guest.0.abort();
                return;
            }
            self.regulars.push_back(guest);
        }
    }

    /// Moves from the front who is no newcomer any more. Deadlines see to it that the front moves.
    fn sort_guests(&mut self) {
        let is_known = |(task, pulse): &Guest| task.is_finished() || pulse.has_served();
        while let Some(guest) = self.newcomers.pop_front_if(|guest| is_known(guest)) {
            if !guest.0.is_finished() {
                self.regulars.push_back(guest);
            }
        }
        // Not for each connection, which would look at all of them each time.
        if self.regulars.len() > 2 * self.limits.connections {
            self.regulars.retain(|(task, _)| !task.is_finished());
        }
    }

    async fn close(mut self) -> Drained {
        self.stage.send_replace(Stage::Closing);
        let all_ended = async {
            while let Some(ended) = self.connections.join_next().await {
                report(ended);
            }
        };
        if timeout(self.limits.drain, all_ended).await.is_ok() {
            return Drained::Whole;
        }
        let cut = self.connections.len();
        self.connections.shutdown().await;
        Drained::Cut(cut)
    }
}

/// A connection that is there without waiting.
fn next_at_once(listener: &Listener) -> Option<Arrival> {
    listener.accept().now_or_never()?.ok()
}

/// Lets a moment pass, unless only that one connection was at fault.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput
    ) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted at the moment");
    sleep(ACCEPT_PAUSE).await;
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a panic");
    }
}

/// What peers do wrong is theirs to mend, so it is for debugging alone.
fn log(error: &ConnectionError) {
    let cause = error.source().map(ToString::to_string);
    tracing::debug!(%error, cause, "a connection ended early");
}
