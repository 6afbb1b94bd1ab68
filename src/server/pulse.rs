//! What a connection is waiting for, and for how long it may.
//!
//! The transport, the requests and the bodies count what they see; the watchdog looks at the
//! counts whenever the connection has been polled. So a request costs a few counters, and the
//! clock is read once when the wait has changed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::Limits;

/// Length of the preface with which an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;

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
}

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    is_http2: AtomicBool,
    started: AtomicUsize,
    ended: AtomicUsize,
    /// Responses that have something to send and wait for room.
    waiting_for_peer: AtomicUsize,
    /// Bytes read since a request last started or ended.
    received: AtomicUsize,
    /// Writes that took something.
    writes: AtomicUsize,
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
    }

    pub(super) fn note_write(&self, is_blocked: bool) {
        self.is_write_blocked.store(is_blocked, Relaxed);
        if !is_blocked {
            self.writes.fetch_add(1, Relaxed);
        }
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

    /// Whether responses should tell the peer that this was the last one.
    pub(super) fn is_told_to_leave(&self) -> bool {
        self.is_told_to_leave.load(Relaxed)
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// Whether the peer has ever sent a whole head.
    pub(super) fn has_served(&self) -> bool {
        self.started.load(Relaxed) > 0
    }

    fn has_requests(&self) -> bool {
        self.started.load(Relaxed) != self.ended.load(Relaxed)
    }

    /// The phase, and a mark: when either is another one, the wait has begun anew.
    fn observe(&self) -> (Phase, usize) {
        let started = self.started.load(Relaxed);
        if self.is_write_blocked.load(Relaxed) || self.waiting_for_peer.load(Relaxed) > 0 {
            return (Phase::Sending, self.writes.load(Relaxed));
        }
        if self.has_requests() {
            return (Phase::Busy, started);
        }
        let received = self.received.load(Relaxed);
        let phase = match (self.is_http2.load(Relaxed), started, received) {
            (_, 0, 0) => Phase::Opening,
            (false, _, 1..) | (true, 0, 1..PREFACE_BYTES) => Phase::Head,
            _ => Phase::Idle,
        };
        (phase, started)
    }
}

/// One request, from its head to the end of its response.
#[derive(Debug)]
pub(super) struct InFlight {
    pulse: Arc<Pulse>,
    is_waiting_for_peer: bool,
}

impl InFlight {
    pub(super) fn start(pulse: Arc<Pulse>) -> Self {
        pulse.is_body_abandoned.store(false, Relaxed);
        pulse.received.store(0, Relaxed);
        pulse.started.fetch_add(1, Relaxed);
        Self {
            pulse,
            is_waiting_for_peer: false,
        }
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
        self.pulse.received.store(0, Relaxed);
        self.pulse.ended.fetch_add(1, Relaxed);
    }
}

/// Tells when a connection has waited too long.
#[derive(Debug)]
pub(super) struct Watchdog {
    pulse: Arc<Pulse>,
    limits: Limits,
    /// `None` until the first look.
    seen: Option<(Phase, usize)>,
    is_leaving: bool,
    deadline: Instant,
    /// Sleeps until the deadline or an earlier moment: moving it for each request would cost more
    /// than waking up once too often.
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(pulse: Arc<Pulse>, limits: Limits) -> Self {
        let deadline = Instant::now() + limits.request_head;
        Self {
            pulse,
            limits,
            seen: None,
            is_leaving: false,
            deadline,
            sleep: Box::pin(sleep_until(deadline)),
        }
    }

    /// The counts that it looks at.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Ready with the phase that has lasted too long.
    pub(super) fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<Phase> {
        loop {
            let seen = self.look();
            let (phase, _) = seen;
            if self.seen != Some(seen) {
                self.seen = Some(seen);
                self.deadline = Instant::now() + self.limit(phase);
                if self.deadline < self.sleep.deadline() {
                    self.sleep.as_mut().reset(self.deadline);
                }
            }
            ready!(self.sleep.as_mut().poll(context));
            let now = Instant::now();
            if now >= self.deadline {
                if phase != Phase::Busy {
                    return Poll::Ready(phase);
                }
                // Our own work has its own deadlines; this was only a look.
                self.deadline = now + self.limit(Phase::Busy);
            }
            self.sleep.as_mut().reset(self.deadline);
        }
    }

    /// From now on, waits for no further request longer than a farewell takes.
    pub(super) fn drain(&mut self) {
        self.pulse.is_draining.store(true, Relaxed);
        self.seen = None;
    }

    /// From now on, waits for no request, only for what is still being sent.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.seen = None;
    }

    fn look(&self) -> (Phase, usize) {
        match self.pulse.observe() {
            // HTTP/2 may hold the end of a response back until the peer has room for it.
            (Phase::Opening | Phase::Idle, _) if self.is_leaving => {
                (Phase::Leaving, self.pulse.writes.load(Relaxed))
            }
            seen => seen,
        }
    }

    fn limit(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Opening | Phase::Idle | Phase::Leaving if self.pulse.is_draining() => {
                self.limits.farewell
            }
            Phase::Opening | Phase::Head => self.limits.request_head,
            Phase::Busy | Phase::Sending | Phase::Leaving => self.limits.response_stall,
            Phase::Idle => self.limits.idle,
        }
    }
}
