//! For how long a connection may wait: looks at its counts whenever it has been polled. The clock is
//! read once when the wait has changed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::Limits;
use super::pulse::{Phase, Pulse};

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
        self.pulse.note_drain();
        self.seen = None;
    }

    /// From now on, waits for no request, only for what is still being sent.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.seen = None;
    }

    fn look(&self) -> (Phase, usize) {
        match self.pulse.observe() {
            _ if self.pulse.is_flooded(&self.limits) => (Phase::Flooded, 0),
            // HTTP/2 may hold the end of a response back until the peer has room for it.
            (Phase::Opening | Phase::Idle, _) if self.is_leaving => {
                (Phase::Leaving, self.pulse.steps_sent())
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
            Phase::Flooded => Duration::ZERO,
        }
    }
}
