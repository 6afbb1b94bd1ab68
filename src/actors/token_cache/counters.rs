//! How verifications ended, for the metrics.

use metrics::Counter;

use super::live_token::LiveToken;
use crate::telemetry::metrics::VERIFICATIONS;

/// How verifications ended. Looked up once, since they are counted on every request.
#[derive(Clone)]
pub(super) struct Counters {
    live: Counter,
    refused: Counter,
    unavailable: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let counter = |outcome| metrics::counter!(VERIFICATIONS, "outcome" => outcome);
        Self {
            live: counter("live"),
            refused: counter("refused"),
            unavailable: counter("unavailable"),
        }
    }
}

impl Counters {
    pub(super) fn note<E>(&self, answer: &Result<Option<LiveToken>, E>) {
        match answer {
            Ok(Some(_)) => self.live.increment(1),
            Ok(None) => self.refused.increment(1),
            Err(_) => self.unavailable.increment(1),
        }
    }
}
