//! A panic at every message of every actor, before and after it is handled, and at every step of
//! every round trip.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use warp_sentinel::actors::supervisor::faults::Moment;

use super::deed::Deed;
use super::ward::{PASSWORD, Ward};
use crate::alone::serial;
use crate::figures::{spread, tell};
use crate::history::live;
use crate::support::length::number;

/// How long an actor may be away, as a rule: 200 ms, and twice that for a debug build on a machine
/// that does other things, its request included.
const BACK_WITHIN: Duration = Duration::from_millis(200 * 2);
/// The same on a machine that does other things, of which one in a hundred may take longer.
const BACK_WITHIN_BUSY: Duration = Duration::from_secs(1);
/// How long a message may take to come: a client is asked for anew after a second.
const COMES_WITHIN: Duration = Duration::from_secs(10);
/// As many restarts of one actor as the budget allows in [`WINDOW`].
const BUDGET: usize = 5;
const WINDOW: Duration = Duration::from_millis(10_100);
/// Steps of a round trip of the token issuer that are struck: each call of a driver takes several,
/// and the last of them are after the write, while it is published and settled.
const STEPS: usize = 24;

/// Each message of an actor, and what brings it about.
const MESSAGES: &[(&str, &str, Deed)] = &[
    ("user_registry", "find_user", Deed::Login),
    ("user_registry", "find_client", Deed::StrangerLogin),
    ("user_registry", "find_known_client", Deed::Login),
    ("user_registry", "add_user", Deed::AddUser),
    ("user_registry", "replace_password_hash", Deed::WeakLogin),
    ("user_registry", "add_client", Deed::AddClient),
    ("user_registry", "list_users", Deed::List),
    ("user_registry", "list_clients", Deed::List),
    ("user_registry", "ping", Deed::AskReadiness),
    ("user_registry", "users_landed", Deed::Login),
    ("user_registry", "landed", Deed::StrangerLogin),
    ("user_registry", "known_landed", Deed::Login),
    ("user_registry", "pages_landed", Deed::List),
    ("user_registry", "ping_landed", Deed::AskReadiness),
    ("password_pool", "verify", Deed::Login),
    ("password_pool", "hash", Deed::AddUser),
    ("throttle", "reserve", Deed::Login),
    ("throttle", "settle", Deed::Login),
    ("throttle", "landed", Deed::Login),
    ("throttle", "settled", Deed::Login),
    ("token_cache.0", "look_up", Deed::VerifyUnknown),
    ("token_cache.0", "change", Deed::Login),
    ("token_cache.0", "redis_landed", Deed::VerifyUnknown),
    ("token_cache.0", "truth_landed", Deed::VerifyUnknown),
    ("token_cache.0", "change_landed", Deed::Login),
    ("token_cache.0", "connect", Deed::Reconnect),
    ("token_cache.0", "connected", Deed::Reconnect),
    ("token_cache.0", "disconnected", Deed::Reconnect),
    ("token_cache.0", "beat", Deed::Nothing),
    ("token_cache.0", "beat_landed", Deed::Nothing),
    ("token_cache.0", "catch_up", Deed::Nothing),
    ("token_cache.0", "caught_up", Deed::Nothing),
    ("token_cache.0", "flushed", Deed::Flush),
    ("token_cache.0", "restored", Deed::Flush),
    ("token_cache.0", "restore_on", Deed::Flush),
    ("token_cache.0", "start_over", Deed::PanickingLogin),
    ("token_issuer", "issue", Deed::Login),
    ("token_issuer", "rotate", Deed::Refresh),
    ("token_issuer", "revoke", Deed::Revoke),
    ("token_issuer", "impatient", Deed::Refresh),
    ("token_issuer", "landed", Deed::Login),
    ("token_issuer", "settled", Deed::Refresh),
    ("management", "is_verified", Deed::List),
    ("management", "verified", Deed::List),
];

/// Each round trip: the message that tells its end, what launches it, and how many steps of it are
/// struck.
const FLIGHTS: &[(&str, &str, Deed, usize)] = &[
    ("user_registry", "UsersLanded", Deed::Login, 2),
    ("user_registry", "Landed", Deed::StrangerLogin, 2),
    ("user_registry", "KnownLanded", Deed::Login, 2),
    ("user_registry", "PagesLanded", Deed::List, 2),
    ("user_registry", "PingLanded", Deed::AskReadiness, 2),
    ("throttle", "Landed", Deed::Login, 2),
    ("throttle", "Settled", Deed::Login, 2),
    ("token_cache.0", "RedisLanded", Deed::VerifyUnknown, 2),
    ("token_cache.0", "TruthLanded", Deed::VerifyUnknown, 2),
    ("token_cache.0", "ChangeLanded", Deed::Login, 2),
    ("token_cache.0", "Connected", Deed::Reconnect, 2),
    ("token_cache.0", "BeatLanded", Deed::Nothing, 2),
    ("token_cache.0", "CaughtUp", Deed::Nothing, 2),
    ("token_cache.0", "Restored", Deed::Flush, 2),
    ("token_issuer", "Landed", Deed::Login, STEPS),
    ("token_issuer", "Landed", Deed::Refresh, STEPS),
    ("token_issuer", "Landed", Deed::Revoke, STEPS),
    ("token_issuer", "Settled", Deed::Refresh, 2),
];

/// One panic.
#[derive(Clone, Copy, Debug)]
struct Case {
    actor: &'static str,
    moment: Moment,
    deed: Deed,
}

fn cases(wanted: &str) -> Vec<Case> {
    let messages = MESSAGES.iter().flat_map(|&(actor, kind, deed)| {
        [Moment::Before(kind), Moment::After(kind)].map(|moment| Case {
            actor,
            moment,
            deed,
        })
    });
    let flights = FLIGHTS.iter().flat_map(|&(actor, name, deed, steps)| {
        (1..=steps).map(move |step| Case {
            actor,
            moment: Moment::InFlight(name, step),
            deed,
        })
    });
    let all = messages.chain(flights);
    all.filter(|case| case.actor.starts_with(wanted)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_message_of_the_user_registry_stays_one_panic() {
    strike_all("user_registry").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_message_of_the_password_pool_stays_one_panic() {
    strike_all("password_pool").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_message_of_the_throttle_stays_one_panic() {
    strike_all("throttle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_message_of_a_shard_of_the_cache_stays_one_panic() {
    strike_all("token_cache.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_message_of_the_token_issuer_stays_one_panic() {
    strike_all("token_issuer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_message_of_the_management_actor_stays_one_panic() {
    // It is told of the console's password but once in its life, so each life is a server's.
    strike_all_by("management", 1).await;
}

/// As many panics as `SENTINEL_TEST_PANICS` says, spread so that no actor's budget is spent, on one
/// server under load.
#[tokio::test(flavor = "multi_thread")]
async fn panics_spread_over_all_actors_lose_nothing() {
    let _alone = serial().await;
    let count = number("SENTINEL_TEST_PANICS", 15);
    let mut by_actor: HashMap<&str, Vec<Case>> = HashMap::new();
    // Of `verified` there is one at most.
    let is_repeated = |case: &Case| !matches!(case.moment, Moment::Before(kind) | Moment::After(kind) if kind == "verified");
    for case in cases("").into_iter().filter(is_repeated) {
        by_actor.entry(case.actor).or_default().push(case);
    }
    let mut rings: Vec<_> = by_actor
        .into_values()
        .map(|own| own.into_iter().cycle())
        .collect();
    let actors = rings.len();
    let planned = (0..count).map(|index| rings[index % actors].next().unwrap());
    let cases: Vec<Case> = planned.collect();
    strike_under_load(Ward::new().await, &cases).await;
}

/// Strikes each case of an actor, a few on each server, so that no budget is spent.
async fn strike_all(actor: &str) {
    strike_all_by(actor, BUDGET).await;
}

async fn strike_all_by(actor: &str, each: usize) {
    let _alone = serial().await;
    for few in cases(actor).chunks(each) {
        strike_under_load(Ward::new().await, few).await;
    }
}

async fn strike_under_load(ward: Ward, cases: &[Case]) {
    let names = ["first", "second"];
    for name in names {
        ward.app.add_user(name, PASSWORD).await;
    }
    let (done, is_done) = watch::channel(false);
    let clients = join_all(names.map(|name| live(&ward.app, name, is_done.clone())));
    let struck = async {
        let struck = strike_each(&ward, cases).await;
        done.send_replace(true);
        struck
    };
    let (histories, mut away) = tokio::join!(clients, struck);
    assert!(histories.iter().all(|history| history.issued > 0));
    if !away.is_empty() {
        let (median, slow, last) = spread(&mut away);
        tell(format!(
            "{} panics: back after {median:?}, at most {last:?}",
            away.len()
        ));
        assert!(median < BACK_WITHIN, "{away:?}");
        assert!(slow < BACK_WITHIN_BUSY, "{away:?}");
    }
    ward.has_lost_nothing().await;
}

/// Strikes each case; tells how long each actor was away.
async fn strike_each(ward: &Ward, cases: &[Case]) -> Vec<Duration> {
    let mut restarts: HashMap<&str, Vec<Instant>> = HashMap::new();
    let mut away = Vec::new();
    for case in cases {
        let own = restarts.entry(case.actor).or_default();
        if let Some(at) = own.len().checked_sub(BUDGET) {
            let free = own[at] + WINDOW;
            tokio::time::sleep_until(free.into()).await;
        }
        if let Some(took) = strike(ward, *case).await {
            own.push(Instant::now());
            away.push(took);
        }
        let picture = ward.picture(case.actor);
        assert!(picture.is_running, "{case:?}: {picture:?}");
        assert_eq!(picture.restarts, own.len() as u64, "{case:?}: {picture:?}");
    }
    away
}

/// Lets one panic happen; tells how long the actor was away, or nothing if a round trip had fewer
/// steps.
async fn strike(ward: &Ward, case: Case) -> Option<Duration> {
    ward.trusts_redis().await;
    let before = ward.picture(case.actor).restarts;
    let plan = ward.app.sentinel.plan_panic(case.actor, case.moment, 1);
    let plan = plan.await.unwrap();
    let is_cache = case.actor.starts_with("token_cache");
    let deadline = Instant::now() + COMES_WITHIN;
    let may_be_too_far = matches!(case.moment, Moment::InFlight(_, step) if step > 1);
    let mut tries = 0;
    while plan.happened() == 0 {
        tries += 1;
        if may_be_too_far && tries > 10 {
            return None;
        }
        assert!(Instant::now() < deadline, "{case:?} never came");
        let attempts = if is_cache { 3 } else { 1 };
        tokio::join!(ward.does(case.deed), ward.verifies_steadily(attempts));
    }
    let struck = Instant::now();
    // To lose Redis takes its own time.
    let proof = match case.deed {
        Deed::Reconnect | Deed::Flush | Deed::PanickingLogin | Deed::Nothing => Deed::VerifyUnknown,
        deed => deed,
    };
    let is_back = || ward.picture(case.actor).restarts > before;
    while !(is_back() && ward.does(proof).await) {
        assert!(struck.elapsed() < COMES_WITHIN, "{case:?}: never back");
    }
    Some(struck.elapsed())
}
