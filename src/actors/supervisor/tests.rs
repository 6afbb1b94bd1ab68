use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use ractor::ActorProcessingErr;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::*;
use crate::actors::batch::{Batch, Landed, launch};
use crate::actors::handle::{AskError, Call, within};

const BOUND: usize = 100;
const LONG: Duration = Duration::from_secs(5);

/// A store that answers when it is let, and counts what it is asked.
#[derive(Clone)]
struct Gate {
    open: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

enum BatcherMessage {
    Ask(Call<(), ()>),
    Landed(Landed<()>),
}

impl Kind for BatcherMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ask(_) => "ask",
            Self::Landed(_) => "landed",
        }
    }
}

/// A batcher as ours are.
#[derive(Clone)]
struct BatcherActor;

impl Actor for BatcherActor {
    type Msg = BatcherMessage;
    type State = (Batch<Call<(), ()>>, Gate);
    type Arguments = Gate;

    async fn pre_start(
        &self,
        _myself: ActorRef<BatcherMessage>,
        gate: Gate,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((Batch::new(), gate))
    }

    async fn handle(
        &self,
        myself: ActorRef<BatcherMessage>,
        message: BatcherMessage,
        (batch, gate): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            BatcherMessage::Ask(call) => batch.push(call),
            BatcherMessage::Landed(landed) => batch.land(landed)?,
        }
        if let Some(mut calls) = batch.take_off(usize::MAX) {
            calls.retain(|call| !call.is_stale());
            let gate = gate.clone();
            let flight = async move {
                gate.begun.fetch_add(calls.len(), Ordering::SeqCst);
                let opened = gate.open.acquire().await;
                for call in calls {
                    call.answer(());
                }
                // What is put back is put back after the answer.
                tokio::task::yield_now().await;
                drop(opened);
                gate.left.fetch_add(1, Ordering::SeqCst);
            };
            launch(myself, flight, BatcherMessage::Landed);
        }
        Ok(())
    }
}

async fn batcher(is_open: bool) -> (Handle<BatcherMessage>, Tree, Gate) {
    let gate = Gate {
        open: Arc::new(Semaphore::new(usize::from(is_open))),
        begun: Arc::default(),
        left: Arc::default(),
    };
    let (handle, published) = Handle::new(BOUND);
    let child = Child::new(
        "batcher",
        (BatcherActor, gate.clone()),
        (&handle, published),
    );
    let tree = Tree::start(vec![child], Picture::default()).await.unwrap();
    (handle, tree, gate)
}

async fn ask(
    handle: &Handle<BatcherMessage>,
    budget: Duration,
) -> (Result<(), AskError>, Duration) {
    let asked = Instant::now();
    let answer = handle.ask((), within(budget), BatcherMessage::Ask).await;
    (answer, asked.elapsed())
}

#[tokio::test]
async fn ten_times_the_bound_is_shed_at_once_and_room_comes_back_with_the_answers() {
    let (handle, tree, gate) = batcher(false).await;
    let all = join_all((0..10 * BOUND).map(|_| ask(&handle, LONG)));
    let answers = async {
        let in_flight = || tree.picture().actors()[0].in_flight;
        while in_flight() < BOUND {
            tokio::task::yield_now().await;
        }
        gate.open.add_permits(1);
    };
    let (answers, ()) = tokio::join!(all, answers);
    let (done, shed): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(a, _)| a.is_ok());
    assert_eq!((done.len(), shed.len()), (BOUND, 9 * BOUND));
    for (answer, took) in shed {
        assert_eq!(answer, Err(AskError::Overloaded));
        assert!(took < Duration::from_millis(20), "{took:?}");
    }
    assert_eq!(tree.picture().actors()[0].in_flight, 0);
    assert_eq!(ask(&handle, LONG).await.0, Ok(()));
}

#[tokio::test]
async fn what_expired_while_it_waited_is_never_begun() {
    let (handle, _tree, gate) = batcher(false).await;
    let first = ask(&handle, LONG);
    let late = async {
        while gate.begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let late = join_all((1..BOUND).map(|_| ask(&handle, Duration::from_millis(20)))).await;
        gate.open.add_permits(1);
        late
    };
    let (first, late) = tokio::join!(first, late);
    assert_eq!(first.0, Ok(()));
    assert!(
        late.iter()
            .all(|(answer, _)| *answer == Err(AskError::Timeout))
    );
    assert_eq!(ask(&handle, LONG).await.0, Ok(()));
    assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_call_that_met_a_panic_hears_of_it_and_those_behind_it_may_ask_again() {
    let (handle, tree, gate) = batcher(false).await;
    let plan = tree
        .plan_panic("batcher", Moment::Before("ask"), 1)
        .unwrap();
    let asked = handle.asked();
    let (met, behind) = tokio::join!(ask(&handle, LONG), ask(&handle, LONG));
    assert_eq!(met.0, Err(AskError::Panicked));
    assert_eq!(behind.0, Err(AskError::Gone));
    drop(plan);
    gate.open.add_permits(1);
    handle.wait_for_successor(asked, within(LONG)).await;
    assert_eq!(ask(&handle, LONG).await.0, Ok(()));
    let picture = &tree.picture().actors()[0];
    assert_eq!((picture.restarts, picture.in_flight), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_is_never_given_the_actor_that_died() {
    for _ in 0..300 {
        let (handle, tree, gate) = batcher(false).await;
        gate.open.add_permits(8);
        let _plan = tree.plan_panic("batcher", Moment::Before("ask"), 1);
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let handle = handle.clone();
            callers.spawn(async move {
                let asked = handle.asked();
                match ask(&handle, LONG).await.0 {
                    Err(AskError::Gone) => {
                        handle.wait_for_successor(asked, within(LONG)).await;
                        ask(&handle, LONG).await.0
                    }
                    answer => answer,
                }
            });
        }
        let answers = callers.join_all().await;
        let gone = answers.iter().filter(|own| **own == Err(AskError::Gone));
        assert_eq!(gone.count(), 0);
    }
}

#[tokio::test]
async fn the_end_of_a_tree_waits_for_what_goes_on_after_the_answer() {
    for _ in 0..50 {
        let (handle, tree, gate) = batcher(true).await;
        assert_eq!(ask(&handle, LONG).await.0, Ok(()));
        tree.stop(LONG).await;
        assert_eq!(gate.left.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn the_end_of_a_tree_does_not_wait_for_ever() {
    let (handle, tree, _gate) = batcher(false).await;
    let asked = ask(&handle, Duration::from_millis(300));
    let stopped = async {
        tokio::task::yield_now().await;
        let began = Instant::now();
        tree.stop(Duration::from_millis(100)).await;
        began.elapsed()
    };
    let (_cut, took) = tokio::join!(tokio::time::timeout(LONG, asked), stopped);
    assert!(took < Duration::from_secs(1), "{took:?}");
}
