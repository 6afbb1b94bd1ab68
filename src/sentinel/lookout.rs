//! What is looked at while the server runs and nobody asks: jumps of the clock, and certificates
//! whose end comes near.

use std::time::Duration;

use time::Duration as SignedDuration;
use tokio::time::sleep;

use crate::clock::{Clock, JumpWatch};
use crate::server::tls::Certificates;
use crate::telemetry::metrics::CLOCK_JUMPS;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until it is dropped.
pub(super) async fn look_out(clock: &Clock, certificates: Option<&Certificates>) {
    let mut jumps = JumpWatch::new(clock);
    loop {
        sleep(LOOK_EVERY).await;
        if let Some(jump) = jumps.jump() {
            note_jump(jump);
        }
        for warning in certificates.into_iter().flat_map(Certificates::news) {
            tracing::warn!("{warning}");
        }
    }
}

fn note_jump(jump: SignedDuration) {
    let seconds = jump.whole_seconds().unsigned_abs();
    let direction = if jump.is_negative() {
        tracing::error!(
            seconds,
            "the clock jumped back: tokens live longer by that; keep clocks in step"
        );
        "back"
    } else {
        tracing::error!(
            seconds,
            "the clock jumped ahead, or the machine slept: tokens end earlier by that"
        );
        "ahead"
    };
    metrics::counter!(CLOCK_JUMPS, "direction" => direction).increment(1);
}
