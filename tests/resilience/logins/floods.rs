//! Wrong passwords, far more than can be hashed: shed at once, while verification goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::LANES;
use crate::alone::serial;
use crate::peers::scaled;
use crate::probe::{SLACK, Watch, percentile, watch_for};
use crate::target::{Reply, Target, ask};
use crate::vitals::{KIB, MIB};

/// The counter of hashes begun.
const HASHES: &str = "password_hashes_total";
/// Who is told no after so long has waited for a turn that did not come.
const LATE: Duration = Duration::from_secs(4);
/// Logins of a short run.
const LOGINS: usize = 1_000;
/// Logins that may wait.
const QUEUE: usize = 4;
/// More clients than can be served at once, and not so many that they wait for a processor.
const TOO_MANY: usize = 16;
/// Between an answer and the next login of a client.
const PACE: Duration = Duration::from_millis(20);
/// What is promised of a refusal.
const REFUSED_WITHIN: Duration = Duration::from_millis(20);
/// What the server may grow by.
const GROWTH: usize = 50 * MIB;
/// How soon a right login works again.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// The longest that a verification may take beside the flood on a busy machine; how much longer it
/// usually takes than in calm is measured in the bench.
const VERIFIED_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_of_many_users_and_of_one_are_shed_while_verification_goes_on() {
    let _alone = serial().await;
    let settings = [
        ("SENTINEL_BCRYPT_COST", "10"),
        ("SENTINEL_PASSWORD_QUEUE", &QUEUE.to_string()),
    ];
    let target = Target::start(&settings, None).await;
    let vitals = target.vitals();
    let before = watch_for(&target, Duration::from_secs(1)).await;
    let (memory, first) = (vitals.memory(), target.counter(HASHES).await);
    let watch = Watch::begin(&target);
    let began = Instant::now();
    let replies = flood(&target, scaled(LOGINS)).await;
    let took = began.elapsed();
    let during = watch.end().await;
    let growth = vitals.memory().saturating_sub(memory);
    let hashed = target.counter(HASHES).await - first;
    let workers = vitals.threads("bcrypt-").len();
    println!(
        "{} logins in {took:.1?}, {hashed} hashed by {workers} threads; memory + {} KiB\n\
         before: {}\nduring: {}",
        replies.len(),
        growth / KIB,
        before.line(),
        during.line()
    );
    assert!(
        workers <= available_parallelism().unwrap().get(),
        "{workers} threads"
    );
    assert!(growth < GROWTH, "{growth} bytes");
    let (median, outcome) = check_replies(&replies, usize::try_from(hashed).unwrap());
    println!("{outcome}");
    // Who had to wait for a hash would be far beyond this, however busy the machine is.
    let limit = REFUSED_WITHIN + 3 * during.median();
    assert!(median < limit, "refused after {median:?}, not {limit:?}");
    assert!(during.failures.is_empty(), "{:?}", during.failures);
    assert!(
        during.slowest() < VERIFIED_WITHIN + SLACK,
        "{}",
        during.line()
    );
    let login = target.ask(&target.login("jonas", "pass")).await.unwrap();
    assert_eq!(login.status, 200, "{}", login.text);
    assert!(login.took < LOGIN_WITHIN, "{:?}", login.took);
    target.check_sound();
}

/// Each login was hashed and refused, or refused at once; a few may have been overtaken by their
/// deadline, since how long the queue takes is an estimate.
#[track_caller]
fn check_replies(replies: &[Reply], hashed: usize) -> (Duration, String) {
    let (shed, done): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 503);
    let (late, shed): (Vec<_>, Vec<_>) = shed.into_iter().partition(|reply| reply.took > LATE);
    let times: Vec<Duration> = shed.iter().map(|reply| reply.took).collect();
    let (median, refusal) = (percentile(&times, 50), percentile(&times, 99));
    assert!(
        !shed.is_empty() && !done.is_empty(),
        "{} of {} shed",
        shed.len(),
        replies.len()
    );
    assert!(
        hashed >= done.len() && hashed <= done.len() + late.len(),
        "{hashed} hashed"
    );
    assert!(late.len() <= shed.len() / 20, "{} late", late.len());
    for reply in &shed {
        assert!(reply.text.contains("retry-after: 1"), "{reply:?}");
        assert!(reply.text.contains("temporarily_unavailable"), "{reply:?}");
    }
    for reply in &done {
        assert!(reply.text.contains("invalid_grant"), "{reply:?}");
    }
    let outcome = format!(
        "{} hashed and answered, {} refused within p50 {median:.1?}, p99 {refusal:.1?}, {} late",
        done.len(),
        shed.len(),
        late.len()
    );
    (median, outcome)
}

/// Sends wrong passwords: every second for the same user, the others each for one that is nobody.
async fn flood(target: &Arc<Target>, count: usize) -> Vec<Reply> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let workers = available_parallelism().unwrap().get();
    for _ in 0..LANES * workers + QUEUE + TOO_MANY {
        let (target, next) = (Arc::clone(target), Arc::clone(&next));
        clients.spawn(async move {
            let mut stream = target.connect().await.unwrap();
            let mut replies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return replies;
                }
                let nobody = format!("nobody{number}");
                let username = if number.is_multiple_of(2) {
                    "jonas"
                } else {
                    &nobody
                };
                let login = target.login(username, "wrong");
                replies.push(ask(&mut *stream, &login).await.unwrap());
                sleep(PACE).await;
            }
        });
    }
    clients.join_all().await.concat()
}
