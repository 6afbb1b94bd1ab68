//! Real Redis servers that fail over, evict, are full, lose their data or bring old data back.

mod failover;
mod flood;
mod flush;
mod foreign;
mod full;
mod interleavings;
mod late;
mod lost;
mod races;
mod restart;
mod slow;
mod unsaved;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::redis::Value;
use ::redis::aio::MultiplexedConnection;

use crate::figures;
use crate::support::app::{TestApp, Tokens, answer, spawn_app_with};
use crate::support::server::Server;
use crate::support::stores::start_redis;

/// How long it may take until a Redis that is back is trusted: the promised two seconds, of which
/// one is the longest pause between attempts, and as much for a debug build on a busy machine.
const TRUSTED_WITHIN: Duration = Duration::from_secs(2 + 2);
/// How long anything may take that has no promise of its own.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tells one measured value.
fn tell(what: &str, value: impl std::fmt::Debug) {
    figures::tell(format!("{what}: {value:?}"));
}

/// The password of every user.
const PASSWORD: &str = "pass word 1";

/// A server on a Redis of its own.
struct Bench {
    app: TestApp,
    redis: Server,
}

async fn bench(options: &[&str]) -> Bench {
    let redis = start_redis(options).await;
    let app = app_at(redis.address()).await;
    Bench { app, redis }
}

/// A server whose Redis is, or is reached, at this address.
async fn app_at(address: SocketAddr) -> TestApp {
    let app = spawn_app_with(&[("SENTINEL_REDIS_URL", &url(address))]).await;
    becomes(&app, "ready", PATIENCE).await;
    app
}

fn url(address: SocketAddr) -> String {
    format!("redis://{address}/0")
}

/// A connection of another program.
async fn raw(address: SocketAddr) -> MultiplexedConnection {
    let client = ::redis::Client::open(url(address)).unwrap();
    let config = ::redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    connected.await.unwrap()
}

/// Sends a command of these words.
async fn say(link: &mut MultiplexedConnection, words: &str) -> Value {
    let mut command = ::redis::Cmd::new();
    for word in words.split(' ') {
        command.arg(word);
    }
    command.query_async(link).await.unwrap()
}

/// How many of the keys of these tokens another program finds; two for each that is whole.
async fn keys_of(link: &mut MultiplexedConnection, tokens: &[&str]) -> usize {
    let mut exists = ::redis::cmd("EXISTS");
    for token in tokens {
        exists.arg(*token).arg(companion(token));
    }
    exists.query_async(link).await.unwrap()
}

fn companion(token: &str) -> String {
    format!("sentinel:{{{token}}}")
}

/// Logs in this many users of their own.
async fn users(app: &TestApp, prefix: &str, count: usize) -> Vec<Tokens> {
    let mut pairs = Vec::new();
    for index in 0..count {
        let name = format!("{prefix}{index}");
        app.add_user(&name, PASSWORD).await;
        pairs.push(app.login_as(&name, PASSWORD).await.tokens());
    }
    pairs
}

async fn readiness(app: &TestApp) -> String {
    let answer = answer(app.get("/readyz")).await;
    answer.json()["status"].as_str().unwrap().to_owned()
}

/// Waits until `/readyz` says so, and tells how long it took.
async fn becomes(app: &TestApp, status: &str, within: Duration) -> Duration {
    let started = Instant::now();
    loop {
        let found = readiness(app).await;
        if found == status {
            return started.elapsed();
        }
        assert!(started.elapsed() < within, "still {found}, not {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Checks that a server lets none of these in; 503 lets nobody in.
async fn check_ended(app: &TestApp, tokens: &[&str]) {
    for token in tokens {
        let status = app.verify(token).await.status;
        assert_ne!(status, 204, "an ended token was accepted");
    }
}

/// Checks that a server lets all of these in and refuses none; one that a busy machine keeps from
/// its answer in time asks again.
async fn check_live(app: &TestApp, tokens: &[&str]) {
    let started = Instant::now();
    for token in tokens {
        loop {
            let answer = app.verify(token).await;
            if answer.status == 204 {
                break;
            }
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(started.elapsed() < PATIENCE, "{}", answer.body);
        }
    }
}

fn access(pairs: &[Tokens]) -> Vec<&str> {
    pairs.iter().map(|pair| pair.access.as_str()).collect()
}
