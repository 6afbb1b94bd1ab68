//! An honest client beside an attack: what it is answered, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::target::{Target, ask};

/// Between two requests of an honest client.
const PACE: Duration = Duration::from_millis(10);

/// What a busy machine may add to a time that was measured on it: the attackers run on the same two
/// processors, and the build is for debugging.
pub(crate) const SLACK: Duration = Duration::from_millis(250);

/// The longest that accepting may stall.
const STALL: Duration = Duration::from_secs(1);

/// What an honest client met.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Times of verifications over a connection that was there before.
    kept: Vec<Duration>,
    /// Times of verifications over new connections, the handshake included.
    fresh: Vec<Duration>,
    /// Answers other than 204, and connections that broke.
    pub(crate) failures: Vec<String>,
}

/// Verifies for a while.
pub(crate) async fn watch_for(target: &Arc<Target>, time: Duration) -> Health {
    let watch = Watch::begin(target);
    sleep(time).await;
    watch.end().await
}

/// A client that verifies, over one connection and over new ones, until it is told to stop. It has
/// tasks of its own, so that the test's attack does not hold it up.
pub(crate) struct Watch {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Health>,
}

impl Watch {
    pub(crate) fn begin(target: &Arc<Target>) -> Self {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for over in [Over::Kept, Over::Fresh] {
            tasks.spawn(verify(Arc::clone(target), stop.subscribe(), over));
        }
        Self { stop, tasks }
    }

    pub(crate) async fn end(self) -> Health {
        self.stop.send_replace(true);
        let mut whole = Health::default();
        for part in self.tasks.join_all().await {
            whole.kept.extend(part.kept);
            whole.fresh.extend(part.fresh);
            whole.failures.extend(part.failures);
        }
        whole
    }
}

/// Which connection a request goes over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Kept,
    Fresh,
}

async fn verify(target: Arc<Target>, stop: watch::Receiver<bool>, over: Over) -> Health {
    let request = target.verification();
    let mut health = Health::default();
    let mut kept = None;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !*stop.borrow() {
        pace.tick().await;
        let began = Instant::now();
        let outcome = async {
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => target.connect().await?,
            };
            let reply = ask(&mut *stream, &request).await?;
            kept = (over == Over::Kept).then_some(stream);
            Ok::<_, std::io::Error>(reply.status)
        };
        match outcome.await {
            Ok(204) => {}
            other => health.failures.push(format!("{other:?}")),
        }
        let times = if over == Over::Kept {
            &mut health.kept
        } else {
            &mut health.fresh
        };
        times.push(began.elapsed());
    }
    health
}

impl Health {
    /// What a verification over a kept connection usually took.
    pub(crate) fn median(&self) -> Duration {
        percentile(&self.kept, 50)
    }

    /// The longest that any answer took.
    pub(crate) fn slowest(&self) -> Duration {
        percentile(&[self.kept.as_slice(), self.fresh.as_slice()].concat(), 100)
    }

    /// Right answers.
    pub(crate) fn answers(&self) -> usize {
        self.kept.len() + self.fresh.len() - self.failures.len()
    }

    /// Holds the times beside an attack to those `before` it: every answer right, the 99th percentile
    /// at most doubled, and no new connection let waiting for a second.
    #[track_caller]
    pub(crate) fn check_unharmed(&self, before: &Self) {
        let failures = [before.failures.as_slice(), self.failures.as_slice()].concat();
        assert!(failures.is_empty(), "{failures:?}");
        let (usual, beside) = (percentile(&before.kept, 99), percentile(&self.kept, 99));
        assert!(
            beside <= usual * 2 + SLACK,
            "p99 {beside:?}, {usual:?} before"
        );
        let slowest = percentile(&self.fresh, 100);
        assert!(slowest < STALL + SLACK, "a new connection took {slowest:?}");
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let (kept, fresh) = (&self.kept, &self.fresh);
        format!(
            "{} verifications: p50 {:.1?}, p99 {:.1?}, most {:.1?}; {} new connections: \
             p50 {:.1?}, p99 {:.1?}, most {:.1?}; {} failures",
            kept.len(),
            percentile(kept, 50),
            percentile(kept, 99),
            percentile(kept, 100),
            fresh.len(),
            percentile(fresh, 50),
            percentile(fresh, 99),
            percentile(fresh, 100),
            self.failures.len()
        )
    }
}

/// The least time that so many percent do not exceed.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}
