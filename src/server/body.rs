//! Bodies of requests, which have a deadline, and of responses, which are watched.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::parked::{Parked, Place, Unread};
use super::pulse::{Awaited, InFlight, Pulse};

/// The body of a request. It fails when it has not arrived whole within the deadline; HTTP/1.1 then
/// closes the connection behind the response, HTTP/2 resets the stream.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    limit: Duration,
    /// From the first wait for the peer on; most bodies come with their head and need none.
    wait: Option<Wait>,
    pulse: Arc<Pulse>,
    /// Until it has come whole.
    unread: Option<Unread>,
}

/// The wait for a peer to send a body.
#[derive(Debug)]
struct Wait {
    deadline: Pin<Box<Sleep>>,
    place: Place,
    _awaited: Awaited,
}

impl Wait {
    /// Ready when it has lasted too long: for the deadline, or for the others that wait.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Pending => self.place.poll_needed(context),
            Poll::Ready(()) => Poll::Ready(()),
        }
    }
}

/// Why the body of a request ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It did not arrive in time, which is less where many are waited for. Its source tells so to
    /// services, which know nothing of us.
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration, #[source] io::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the body could not be read")]
    Broken(#[source] hyper::Error),
}

impl BodyError {
    fn too_slow(limit: Duration) -> Self {
        Self::TooSlow(limit, io::ErrorKind::TimedOut.into())
    }
}

/// The body of a response, or none where HTTP itself refused the request.
#[derive(Debug)]
pub(super) struct ResponseBody<B> {
    inner: Option<B>,
    in_flight: InFlight,
}

impl RequestBody {
    /// The body that comes on `pulse`'s connection; `None` where too many have not come whole.
    pub(super) fn admit(
        incoming: Incoming,
        limit: Duration,
        (pulse, parked): (&Arc<Pulse>, &Parked),
    ) -> Option<Self> {
        let unread = if incoming.is_end_stream() {
            None
        } else {
            Some(parked.admit()?)
        };
        Some(Self {
            incoming,
            limit,
            wait: None,
            pulse: Arc::clone(pulse),
            unread,
        })
    }

    fn too_slow(&self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(Some(Err(BodyError::too_slow(self.limit))))
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() {
            self.wait = self.unread.as_ref().map(|unread| Wait {
                deadline: Box::pin(sleep(self.limit)),
                place: unread.enter(),
                _awaited: Awaited::new(Arc::clone(&self.pulse)),
            });
        }
        let wait = self.wait.as_mut();
        wait.map_or(Poll::Pending, |wait| wait.poll_over(context))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // A peer that always has one more byte ready must not escape the deadline.
        if let Some(wait) = &mut self.wait
            && wait.deadline.as_mut().poll(context).is_ready()
        {
            return self.too_slow();
        }
        // What has come is taken, although others need the place.
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            ready!(self.poll_over(context));
            return self.too_slow();
        };
        if frame.is_none() || self.incoming.is_end_stream() {
            self.wait = None;
            self.unread = None;
        }
        if let Some(Ok(frame)) = &frame {
            self.pulse.note_body(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame.map(|outcome| outcome.map_err(BodyError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.unread.is_some() {
            self.pulse.note_abandoned_body();
        }
    }
}

impl<B> ResponseBody<B> {
    /// The body of `in_flight`'s response; `None` is an empty one.
    pub(super) fn new(inner: Option<B>, mut in_flight: InFlight) -> Self {
        in_flight.answer();
        in_flight.wait_for_peer();
        Self { inner, in_flight }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(inner).poll_frame(context);
        if frame.is_pending() {
            self.in_flight.wait_for_service();
        } else {
            self.in_flight.note_piece();
            self.in_flight.wait_for_peer();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
