//! The central race, at full speed: look-ups that fill the local copy, against the end of their
//! token in Redis as another server's revocation makes it, or against another grant there.
//!
//! Afterwards not one look-up may find what was. `SENTINEL_TEST_RACES` sets their number,
//! `SENTINEL_TEST_SEED` repeats those of a run.

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::Empty;
use tower_service::Service;
use warp::filters::BoxedFilter;
use warp::http::{Request, StatusCode};
use warp::reply::Response;
use warp_sentinel::clock::Clock;

use super::*;
use crate::random::Random;
use crate::support::length::number;

/// Races at the same time.
const GROUP: u64 = 64;
/// The longest delay of each part, in rounds of the scheduler.
const LONGEST_DELAY: u64 = 24;
/// For how long the grants are good, in milliseconds: no race takes so long.
const GOOD_FOR_MS: i128 = 3_600_000;

/// What happens to a token while it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Deleted,
    /// It gets the grant of another user.
    Replaced,
}

/// One race: the delays are those of the change and of three look-ups.
#[derive(Debug)]
struct Race {
    token: String,
    change: Change,
    delays: [u64; 4],
}

/// One server, asked without a socket, and another program's connection to its Redis.
struct Field {
    routes: BoxedFilter<(Response,)>,
    link: MultiplexedConnection,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_race_of_look_ups_and_ends_leaves_a_stale_hit() {
    let redis = start_redis(&[]).await;
    let url = url(redis.address());
    // One shard: a look-up that is answered is behind all that this connection was told before.
    let settings = [
        ("SENTINEL_REDIS_URL", url.as_str()),
        ("SENTINEL_CACHE_SHARDS", "1"),
    ];
    let app = spawn_app_with(&settings).await;
    becomes(&app, "ready", PATIENCE).await;
    let field = Field {
        routes: app.sentinel.routes(),
        link: raw(redis.address()).await,
    };
    let races = number("SENTINEL_TEST_RACES", 3_000_u64);
    let seed = number("SENTINEL_TEST_SEED", 1_u64);
    let mut choices = Random::of(seed);
    let (mut hits, mut done) = (0, 0);
    while done < races {
        let group: Vec<Race> = (done..done + GROUP)
            .map(|index| Race::choose(index, &mut choices))
            .collect();
        join_all(group.iter().map(|race| field.set(&race.token, "before"))).await;
        let found = join_all(group.iter().map(|race| field.run(race))).await;
        hits += found.into_iter().sum::<usize>();
        // What is answered now was asked after each answer before, and after each change.
        field.look_up(&format!("f{done:029}")).await;
        join_all(group.iter().map(|race| field.check(race, seed))).await;
        done += GROUP;
    }
    tell(
        "races, and look-ups in them that found what was",
        (done, hits),
    );
    let look_ups = usize::try_from(3 * done).unwrap();
    assert!((1..look_ups).contains(&hits), "nothing raced");
}

impl Race {
    fn choose(index: u64, choices: &mut Random) -> Self {
        let change = [Change::Deleted, Change::Replaced][choices.index(2)];
        Self {
            token: format!("r{index:029}"),
            change,
            delays: std::array::from_fn(|_| choices.below(LONGEST_DELAY)),
        }
    }
}

impl Field {
    /// Looks a token up three times while it changes; how often it found the grant before.
    async fn run(&self, race: &Race) -> usize {
        let [change, looks @ ..] = race.delays;
        let looks = join_all(looks.map(|delay| async move {
            wait(delay).await;
            self.look_up(&race.token).await
        }));
        let changed = async {
            wait(change).await;
            match race.change {
                Change::Deleted => self.delete(&race.token).await,
                Change::Replaced => self.set(&race.token, "after").await,
            }
        };
        let (found, ()) = tokio::join!(looks, changed);
        let before = found.iter().flatten().filter(|name| *name == "before");
        before.count()
    }

    /// Checks that nobody finds what was, asked once and again.
    async fn check(&self, race: &Race, seed: u64) {
        for _ in 0..2 {
            let found = self.look_up(&race.token).await;
            let stale = found.as_deref() == Some("before");
            assert!(!stale, "a stale hit: SENTINEL_TEST_SEED={seed}, {race:?}");
            let is_gone = race.change == Change::Deleted;
            assert!(found.is_none() || !is_gone, "accepted after its end");
        }
    }

    /// The user of a token, while it is accepted. A busy machine may keep an answer from its
    /// deadline, which lets nobody in.
    async fn look_up(&self, token: &str) -> Option<String> {
        let request = Request::get("/oauth/verify")
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = warp::service(self.routes.clone())
            .call(request)
            .await
            .unwrap();
        match response.status() {
            StatusCode::NO_CONTENT => {
                let name = response.headers()["x-username"].to_str().unwrap();
                Some(name.to_owned())
            }
            StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE => None,
            other => panic!("{other}"),
        }
    }

    /// Writes a token as a server does. The truth does not know it.
    async fn set(&self, token: &str, username: &str) {
        let user_id = "6b049213eb1acd78e9075d3b";
        let now = Clock::default().now().unix_timestamp_nanos() / 1_000_000;
        let grant = serde_json::json!({
            "user_id": user_id, "username": username, "client_id": "app", "scope": "read",
            "issued_at_ms": i64::try_from(now).unwrap(),
            "expires_at_ms": i64::try_from(now + GOOD_FOR_MS).unwrap(),
        });
        let mut both = ::redis::pipe();
        both.atomic();
        both.set(token, user_id).ignore();
        both.set(companion(token), grant.to_string()).ignore();
        let done: Result<(), _> = both.query_async(&mut self.link.clone()).await;
        done.unwrap();
    }

    async fn delete(&self, token: &str) {
        let mut delete = ::redis::cmd("DEL");
        delete.arg(token).arg(companion(token));
        let done: Result<(), _> = delete.query_async(&mut self.link.clone()).await;
        done.unwrap();
    }
}

async fn wait(rounds: u64) {
    for _ in 0..rounds {
        tokio::task::yield_now().await;
    }
}
