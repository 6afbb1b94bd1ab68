//! The primary of a replica set steps down, is killed or falls silent, under load.

use std::sync::OnceLock;

use ::redis::AsyncCommands;

use super::request::check_no_orphans;
use super::*;
use crate::figures::tell;
use crate::support::app::spawn_app_with;
use crate::support::length::number;
use crate::support::replica_set::ReplicaSet;

/// What befalls the primary.
#[derive(Clone, Copy, Debug)]
enum Fate {
    StepsDown,
    IsKilled,
    /// It is held, and goes on when the others have another primary.
    FallsSilent,
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_a_session_when_the_primary_steps_down() {
    endure(Fate::StepsDown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_a_session_when_the_primary_is_killed() {
    endure(Fate::IsKilled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_a_session_when_the_primary_falls_silent() {
    endure(Fate::FallsSilent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_was_rolled_back_costs_nothing() {
    let mut set = ReplicaSet::start().await;
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &set.uri())]).await;
    let before = app.login().await;
    let old = set.primary().await;
    let others = [(old + 1) % 3, (old + 2) % 3];
    for other in others {
        set.signal(other, "STOP");
    }
    // The primary alone writes the next pair; it waits in vain for another to have it, too.
    let asked = Instant::now();
    let answer = app.refresh(&before.refresh).await;
    check_unavailable_within(&answer, asked.elapsed(), DEADLINE);
    set.kill(old);
    for other in others {
        set.signal(other, "CONT");
    }
    // The others elect a primary that never heard of it.
    let after = refreshed(&app, &before).await;
    check_verified(&app, &after.access, 204).await;
    check_verified(&app, &before.access, 401).await;
    set.restart(old).await;
    set.follows(old).await;
    check_no_orphans(&app).await;
    check_verified(&app, &after.access, 204).await;
    let next = app.refresh(&after.refresh).await;
    assert_eq!(next.status, 200, "{}", next.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lost_its_majority_refuses_no_refresh_and_tells_no_revocation_as_done() {
    let mut set = ReplicaSet::start().await;
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &set.uri())]).await;
    // Its successor may have issued it.
    let token = "unknown0unknown0unknown0unknow";
    assert_eq!(app.refresh(token).await.error(), "invalid_grant");
    assert_eq!(app.revoke(token).await.status, 204);
    let primary = set.primary().await;
    let others = [(primary + 1) % 3, (primary + 2) % 3];
    for other in others {
        set.signal(other, "STOP");
    }
    // For a second yet it believes that it is the primary.
    let asked = Instant::now();
    let (refresh, revocation) = tokio::join!(app.refresh(token), app.revoke(token));
    let took = asked.elapsed();
    for other in others {
        set.signal(other, "CONT");
    }
    check_unavailable_within(&refresh, took, DEADLINE);
    assert_eq!(revocation.status, 503, "{}", revocation.body);
    set.primary().await;
    let refusal = loop {
        let answer = app.refresh(token).await;
        if answer.status != 503 {
            break answer;
        }
    };
    assert_eq!(refusal.error(), "invalid_grant", "{}", refusal.body);
    assert_eq!(app.revoke(token).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lost_its_majority_puts_nothing_back_into_redis() {
    let mut set = ReplicaSet::start().await;
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &set.uri())]).await;
    let token = app.login().await.access;
    let client = ::redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    // Of one Redis has nothing any more, of the other what a Flask-Sentinel would have written.
    app.add_user("other", "pass word 1").await;
    let other = app.login_as("other", "pass word 1").await.tokens().access;
    let companion = |token: &str| format!("sentinel:{{{token}}}");
    let keys = [token.clone(), companion(&token), companion(&other)];
    let lost: u32 = redis.del(&keys).await.unwrap();
    assert_eq!(lost, 3);
    let primary = set.primary().await;
    let others = [(primary + 1) % 3, (primary + 2) % 3];
    for other in others {
        set.signal(other, "STOP");
    }
    // It may have ended at a successor that this one has not heard of.
    let verified = [&token, &other].map(|own| app.verify(own));
    let verified = join_all(verified).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left: Vec<Option<String>> = redis
        .mget(&[&token, &companion(&token), &other, &companion(&other)])
        .await
        .unwrap();
    for other in others {
        set.signal(other, "CONT");
    }
    assert!(verified.iter().all(|answer| answer.status == 204));
    let left: Vec<bool> = left.iter().map(Option::is_some).collect();
    assert_eq!(left, [false; 4]);
    set.primary().await;
    let back = Instant::now();
    // A program that reads Redis alone finds them again, though nobody asks Sentinel for them.
    while redis.exists::<_, u32>(&[&token, &other]).await.unwrap() < 2 {
        assert!(back.elapsed() < Duration::from_secs(10), "not put back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    check_verified(&app, &token, 204).await;
}

async fn endure(fate: Fate) {
    let mut set = ReplicaSet::start().await;
    let app = spawn_app_with(&[("SENTINEL_MONGO_URI", &set.uri())]).await;
    let warm = app.login().await;
    let disturbance = async {
        let mut tokens = warm.clone();
        for _ in 0..number("SENTINEL_TEST_ELECTIONS", 1) {
            // Some life before.
            for _ in 0..10 {
                tokens = refreshed(&app, &tokens).await;
            }
            let began = Instant::now();
            let old = befall(&mut set, fate).await;
            let elected = OnceLock::new();
            let election = async {
                set.writes_without(old).await;
                elected.set(Instant::now()).unwrap();
            };
            let resumption = async {
                loop {
                    tokens = refreshed(&app, &tokens).await;
                    if elected.get().is_some() {
                        return Instant::now();
                    }
                }
            };
            let ((), resumed) = tokio::join!(election, resumption);
            let elected = *elected.get().unwrap();
            let (election, after) = (elected - began, resumed - elected);
            tell(format_args!(
                "{fate:?}: a majority after {election:?}, resumed after {after:?} more"
            ));
            assert!(after < BACK_WITHIN, "resumed {after:?} after the election");
            mend(&mut set, fate, old).await;
        }
    };
    let (histories, ()) = under_load(&app, disturbance).await;
    let told: usize = histories.iter().map(|h| h.unavailable + h.unverified).sum();
    let issued: usize = histories.iter().map(|h| h.issued).sum();
    tell(format_args!(
        "{fate:?}: {issued} issued, {told} times told to come again"
    ));
    check_nothing_lost(&app, histories).await;
}

async fn befall(set: &mut ReplicaSet, fate: Fate) -> usize {
    let primary = set.primary().await;
    match fate {
        Fate::StepsDown => set.step_down().await,
        Fate::IsKilled => set.kill(primary),
        Fate::FallsSilent => set.signal(primary, "STOP"),
    }
    primary
}

async fn mend(set: &mut ReplicaSet, fate: Fate, member: usize) {
    match fate {
        Fate::StepsDown => {}
        Fate::IsKilled => set.restart(member).await,
        Fate::FallsSilent => set.signal(member, "CONT"),
    }
    set.follows(member).await;
}
