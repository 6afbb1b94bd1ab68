use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;
use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::actors::batch::COMPANY;
use crate::actors::supervisor::Tree;
use crate::actors::supervisor::picture::Picture;
use crate::domain::attempt::{AttemptKey, AttemptOutcome, AttemptRequest, Reservation, Reserved};
use crate::stores::embedded;
use crate::stores::error::{SettleError, StoreError};

/// The embedded store's counts, and how often it was asked.
struct Asked {
    store: Arc<dyn AttemptStore>,
    reserved: AtomicUsize,
    settled: AtomicUsize,
}

#[async_trait]
impl AttemptStore for Asked {
    async fn reserve_attempts(
        &self,
        requests: &[AttemptRequest],
    ) -> Result<Vec<Reserved>, StoreError> {
        self.reserved.fetch_add(1, Relaxed);
        self.store.reserve_attempts(requests).await
    }

    async fn settle_attempts(
        &self,
        ended: &[(Reservation, AttemptOutcome, u32)],
    ) -> Result<(), SettleError> {
        self.store.settle_attempts(ended).await?;
        self.settled.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// A store that the first time notes nothing of the first end, and does not tell of the second.
#[derive(Default)]
struct Shaky(Mutex<Vec<Vec<AttemptKey>>>);

#[async_trait]
impl AttemptStore for Shaky {
    async fn reserve_attempts(&self, _: &[AttemptRequest]) -> Result<Vec<Reserved>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle_attempts(
        &self,
        ended: &[(Reservation, AttemptOutcome, u32)],
    ) -> Result<(), SettleError> {
        let mut asked = self.0.lock().unwrap();
        asked.push(ended.iter().map(|(own, ..)| own.key).collect());
        if asked.len() > 1 {
            return Ok(());
        }
        Err(SettleError {
            undone: vec![0],
            source: StoreError::Timeout { store: "shaky" },
        })
    }
}

struct Bench {
    throttle: Throttle,
    asked: Arc<Asked>,
    tree: Tree,
    _folder: TempDir,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let truth = embedded::open(&folder.path().join("sentinel.redb"), &clock).unwrap();
    let asked = Arc::new(Asked {
        store: truth.attempts,
        reserved: AtomicUsize::new(0),
        settled: AtomicUsize::new(0),
    });
    let policy = ThrottlePolicy {
        user: 6,
        network: 100,
        window: Duration::from_mins(15),
    };
    let store = Arc::clone(&asked) as Arc<dyn AttemptStore>;
    let (throttle, child) = Throttle::new(store, policy, clock);
    let tree = Tree::start(vec![child], Picture::default()).await.unwrap();
    Bench {
        throttle,
        asked,
        tree,
        _folder: folder,
    }
}

impl Bench {
    /// So many logins of one user at once.
    async fn begin(&self, logins: usize, haste: Haste) -> Vec<Result<Attempt, ThrottleError>> {
        let network = Some(Network::of([192, 0, 2, 1].into()));
        let begin = |_| self.throttle.begin_login("jonas", network, haste);
        join_all((0..logins).map(begin)).await
    }
}

#[tokio::test]
async fn logins_that_have_time_and_their_failures_are_counted_as_one() {
    let bench = bench().await;
    let begun = bench.begin(6, Haste::InCompany).await;
    // The network, then the name: as for a single one.
    assert_eq!(bench.asked.reserved.load(Relaxed), 2);
    for attempt in begun {
        attempt.unwrap().failed();
    }
    let noted = async {
        while bench.asked.settled.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let noted = tokio::time::timeout(Duration::from_secs(10), noted).await;
    noted.expect("the failures were never noted");
    assert_eq!(bench.asked.settled.load(Relaxed), 1);
    // All six were noted by it, or it would be refused for a moment only.
    let refused = bench.begin(1, Haste::AtOnce).await.pop();
    let Some(Err(ThrottleError::Throttled(throttled))) = refused else {
        panic!("a seventh login was granted");
    };
    assert!(throttled.retry_after > Duration::from_mins(10));
}

#[tokio::test]
async fn a_failure_that_has_time_is_noted_before_the_end() {
    let bench = bench().await;
    let begun = bench.begin(1, Haste::InCompany).await;
    begun.into_iter().flatten().for_each(Attempt::failed);
    // The actor has it by then, and does not note it yet.
    tokio::time::sleep(COMPANY / 2).await;
    bench.tree.stop(Duration::from_secs(5)).await;
    assert_eq!(bench.asked.settled.load(Relaxed), 1);
}

#[tokio::test]
async fn an_end_that_may_have_been_noted_is_not_noted_again() {
    let store = Arc::new(Shaky::default());
    let ends_at = Clock::default().now();
    let ended = [1, 2, 3].map(|key| {
        let key = AttemptKey([key; 32]);
        (Reservation { key, ends_at }, AttemptOutcome::GivenBack)
    });
    flight::settle(Arc::clone(&store) as _, ended.to_vec()).await;
    let asked = store.0.lock().unwrap();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0].len(), 3);
    assert_eq!(asked[1], asked[0][..1]);
}
