//! What a connection is waiting for. The transport, the requests and the bodies count what they
//! see, so a request costs a few counters.
//!
//! What does not live here: how long a wait may be (`watchdog`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::limits::Limits;

/// What a peer has to take of a response to begin its wait anew; less is only a show of reading.
const STEP_BYTES: usize = 16 * 1024;

/// What may come with the beginning or the end of a request, or with a piece of its response: its head
/// and some frames that manage the connection.
const REQUEST_BYTES: usize = 32 * 1024;

/// What may come with a frame of a body, besides the body: the frame's head and its padding.
const FRAME_BYTES: usize = 265;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first byte of the first request.
    Opening,
    /// The rest of a request's head.
    Head,
    /// Ourselves.
    Busy,
    /// The peer, which is to take its response.
    Sending,
    /// The next request.
    Idle,
    /// The rest of what is on its way, after our good-bye.
    Leaving,
    /// Nothing: the peer sends frames that carry no request, or gives up what it asks for.
    Flooded,
}

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Requests whose bodies are waited for.
    awaited: AtomicUsize,
    is_http2: AtomicBool,
    started: AtomicUsize,
    ended: AtomicUsize,
    /// Responses that have something to send and wait for room.
    waiting_for_peer: AtomicUsize,
    /// Requests that were dropped without a response, less those that had one.
    given_up: AtomicUsize,
    /// Bytes read since a request last started or ended.
    received: AtomicUsize,
    /// Bytes read that no request or body accounts for.
    idle_bytes: AtomicUsize,
    /// Bytes written.
    sent: AtomicUsize,
    /// Pieces of responses that were given to be sent.
    pieces: AtomicUsize,
    is_write_blocked: AtomicBool,
    is_body_abandoned: AtomicBool,
    is_told_to_leave: AtomicBool,
    is_draining: AtomicBool,
}

impl Pulse {
    pub(super) fn note_http2(&self) {
        self.is_http2.store(true, Relaxed);
    }

    pub(super) fn note_read(&self, bytes: usize) {
        self.received.fetch_add(bytes, Relaxed);
        self.idle_bytes.fetch_add(bytes, Relaxed);
    }

    /// Notes bytes written; `None` when there was no room for any.
    pub(super) fn note_write(&self, bytes: Option<usize>) {
        self.is_write_blocked.store(bytes.is_none(), Relaxed);
        self.sent.fetch_add(bytes.unwrap_or_default(), Relaxed);
    }

    /// Notes that this much of a request's body was read.
    pub(super) fn note_body(&self, bytes: usize) {
        if bytes > 0 {
            self.account_for(bytes + FRAME_BYTES);
        }
    }

    // A part and not the whole: what was read in one go with a request may have been a flood.
    fn account_for(&self, bytes: usize) {
        let rest = |idle: usize| Some(idle.saturating_sub(bytes));
        // It always gives a count, so it never fails.
        let _ = self.idle_bytes.fetch_update(Relaxed, Relaxed, rest);
    }

    pub(super) fn note_flush(&self, is_blocked: bool) {
        self.is_write_blocked.store(is_blocked, Relaxed);
    }

    /// Notes that a request's body was dropped before its end.
    pub(super) fn note_abandoned_body(&self) {
        self.is_body_abandoned.store(true, Relaxed);
    }

    /// Whether the peer may still be sending what nobody will read. HTTP/2 refuses a stream by a
    /// frame instead.
    pub(super) fn has_unread_input(&self) -> bool {
        let is_within_head = !self.has_requests() && self.received.load(Relaxed) > 0;
        !self.is_http2.load(Relaxed) && (is_within_head || self.is_body_abandoned.load(Relaxed))
    }

    /// Notes that the server is about to stop.
    pub(super) fn note_notice(&self) {
        self.is_told_to_leave.store(true, Relaxed);
    }

    /// Notes that the server stops.
    pub(super) fn note_drain(&self) {
        self.is_draining.store(true, Relaxed);
    }

    /// Whether responses should tell the peer that this was the last one.
    pub(super) fn is_told_to_leave(&self) -> bool {
        self.is_told_to_leave.load(Relaxed)
    }

    /// Whether the server stops.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// Whether the peer has ever sent a whole head.
    pub(super) fn has_served(&self) -> bool {
        self.started.load(Relaxed) > 0
    }

    /// Whether cutting the connection would cost the peer no answer to what it has sent whole.
    pub(super) fn is_between_requests(&self) -> bool {
        self.in_flight() == self.awaited.load(Relaxed) && !self.is_write_blocked.load(Relaxed)
    }

    fn count_outcome(&self, is_answered: bool) {
        let count = |balance: usize| {
            Some(if is_answered {
                balance.saturating_sub(1)
            } else {
                balance + 1
            })
        };
        // It always gives a count, so it never fails.
        let _ = self.given_up.fetch_update(Relaxed, Relaxed, count);
    }

    fn has_requests(&self) -> bool {
        self.in_flight() > 0
    }

    fn in_flight(&self) -> usize {
        let started = self.started.load(Relaxed);
        started.wrapping_sub(self.ended.load(Relaxed))
    }

    /// Whether the peer costs more than it asks for. HTTP/1.1 has nothing to send but requests, and
    /// none can be given up without the connection.
    pub(super) fn is_flooded(&self, limits: &Limits) -> bool {
        self.is_http2.load(Relaxed)
            && (self.idle_bytes.load(Relaxed) > limits.idle_bytes
                || self.given_up.load(Relaxed) > limits.given_up)
    }

    /// What has been taken of what is being sent, in steps.
    pub(super) fn steps_sent(&self) -> usize {
        self.sent.load(Relaxed) / STEP_BYTES
    }

    /// The phase, and a mark: when either is another one, the wait has begun anew.
    pub(super) fn observe(&self) -> (Phase, usize) {
        let started = self.started.load(Relaxed);
        if self.is_write_blocked.load(Relaxed) {
            return (Phase::Sending, self.steps_sent());
        }
        if self.waiting_for_peer.load(Relaxed) > 0 {
            // Not the bytes sent: answers to a peer's PINGs would keep a response waiting for ever.
            return (Phase::Sending, self.pieces.load(Relaxed));
        }
        if self.has_requests() {
            return (Phase::Busy, started);
        }
        let received = self.received.load(Relaxed);
        let phase = match (self.is_http2.load(Relaxed), started, received) {
            (_, 0, 0) | (true, 0, _) => Phase::Opening,
            (false, _, 1..) => Phase::Head,
            _ => Phase::Idle,
        };
        (phase, started)
    }
}

/// A request whose body is waited for, while it is.
#[derive(Debug)]
pub(super) struct Awaited(Arc<Pulse>);

impl Awaited {
    pub(super) fn new(pulse: Arc<Pulse>) -> Self {
        pulse.awaited.fetch_add(1, Relaxed);
        Self(pulse)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Relaxed);
    }
}

/// One request, from its head to the end of its response.
#[derive(Debug)]
pub(super) struct InFlight {
    pulse: Arc<Pulse>,
    is_answered: bool,
    is_waiting_for_peer: bool,
}

impl InFlight {
    pub(super) fn start(pulse: Arc<Pulse>) -> Self {
        pulse.is_body_abandoned.store(false, Relaxed);
        pulse.received.store(0, Relaxed);
        pulse.account_for(REQUEST_BYTES);
        pulse.started.fetch_add(1, Relaxed);
        Self {
            pulse,
            is_answered: false,
            is_waiting_for_peer: false,
        }
    }

    /// Notes that there is a response.
    pub(super) fn answer(&mut self) {
        self.is_answered = true;
    }

    /// Notes that a piece of the response was given to be sent.
    pub(super) fn note_piece(&self) {
        self.pulse.account_for(REQUEST_BYTES);
        self.pulse.pieces.fetch_add(1, Relaxed);
    }

    /// The counts of its connection.
    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Notes that the response can go on only when the peer takes some of it.
    pub(super) fn wait_for_peer(&mut self) {
        if !self.is_waiting_for_peer {
            self.is_waiting_for_peer = true;
            self.pulse.waiting_for_peer.fetch_add(1, Relaxed);
        }
    }

    /// Notes that the response can go on only when the service gives more of it.
    pub(super) fn wait_for_service(&mut self) {
        if self.is_waiting_for_peer {
            self.is_waiting_for_peer = false;
            self.pulse.waiting_for_peer.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.wait_for_service();
        self.pulse.count_outcome(self.is_answered);
        self.pulse.received.store(0, Relaxed);
        self.pulse.account_for(REQUEST_BYTES);
        self.pulse.ended.fetch_add(1, Relaxed);
    }
}
