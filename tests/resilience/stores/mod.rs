//! Redis or MongoDB is away, silent or has old data: what must hold meanwhile, and after.

mod grouping;
mod mongo_away;
mod overload;
mod race;
mod redis_away;
mod revocation;
mod sign_outs;
mod unknown_tokens;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;

use crate::proxy::Proxy;
use crate::support::app::{Answer, TestApp, spawn_app_with};
use crate::support::stores::stores;

/// How long recovery may take once a store is back.
const RECOVERED_WITHIN: Duration = Duration::from_secs(2);
/// The longest a verification may take; a debug build on a busy machine is given some slack.
const VERIFY_DEADLINE: Duration = Duration::from_millis(250 + 250);
/// The longest a token request may take, with the same slack.
const TOKEN_DEADLINE: Duration = Duration::from_millis(5_000 + 250);

/// A server with a proxy before each of its stores.
struct Bench {
    app: TestApp,
    redis: Proxy,
    mongo: Proxy,
    /// The Redis database without the proxy.
    direct_redis_url: String,
}

async fn bench() -> Bench {
    bench_with(&[], Proxy::open).await
}

/// As [`bench`], with further settings, and Redis prepared before the server starts.
async fn bench_with(settings: &[(&'static str, &str)], prepare: impl Fn(&Proxy)) -> Bench {
    let stores = stores().await;
    let direct_redis_url = stores.redis_url(stores.fresh_redis_db());
    let mongo = Proxy::before(address(&stores.mongo_uri())).await;
    let redis = Proxy::before(address(&direct_redis_url)).await;
    prepare(&redis);
    let mongo_uri = format!("mongodb://{}", mongo.address());
    let redis_url = through(&redis, &direct_redis_url);
    let mut all = vec![
        ("SENTINEL_MONGO_URI", mongo_uri.as_str()),
        ("SENTINEL_REDIS_URL", redis_url.as_str()),
    ];
    all.extend(settings);
    let app = spawn_app_with(&all).await;
    Bench {
        app,
        redis,
        mongo,
        direct_redis_url,
    }
}

fn address(url: &str) -> SocketAddr {
    url.split('/').nth(2).unwrap().parse().unwrap()
}

fn through(proxy: &Proxy, url: &str) -> String {
    let (_, database) = url.rsplit_once('/').unwrap();
    format!("redis://{}/{database}", proxy.address())
}

impl Bench {
    /// A connection to Redis past the proxy.
    async fn raw_redis(&self) -> MultiplexedConnection {
        let client = ::redis::Client::open(self.direct_redis_url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    async fn readiness(&self) -> String {
        let answer = crate::support::app::answer(self.app.get("/readyz")).await;
        answer.json()["status"].as_str().unwrap().to_owned()
    }

    /// Waits until `/readyz` says so.
    async fn becomes(&self, status: &str) {
        let deadline = Instant::now() + RECOVERED_WITHIN;
        loop {
            let found = self.readiness().await;
            if found == status {
                return;
            }
            assert!(Instant::now() < deadline, "still {found}, not {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Verifies within the deadline.
    async fn verify(&self, token: &str) -> u16 {
        let (answer, took) = timed(self.app.verify(token)).await;
        assert!(took < VERIFY_DEADLINE, "took {took:?}");
        if answer.status == 503 {
            assert!(!answer.header("retry-after").is_empty());
        }
        answer.status.as_u16()
    }
}

async fn timed(asked: impl Future<Output = Answer>) -> (Answer, Duration) {
    let started = Instant::now();
    let answer = asked.await;
    (answer, started.elapsed())
}

/// "Not now", within the deadline of token requests.
#[track_caller]
fn check_not_now((answer, took): &(Answer, Duration)) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.error(), "temporarily_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert!(*took < TOKEN_DEADLINE, "took {took:?}");
}

/// A token that could be one of ours and is not.
fn unknown(letter: char) -> String {
    letter.to_string().repeat(30)
}
