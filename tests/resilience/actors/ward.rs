//! A server whose actors are made to panic: what meets each of their messages, and what must hold
//! whatever happens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Mutex;
use warp_sentinel::actors::supervisor::faults::Moment;
use warp_sentinel::actors::supervisor::picture::ActorPicture;

use super::deed::Deed;
use crate::figures::spread;
use crate::proxy::Proxy;
use crate::support::app::{Answer, AsConsole, TestApp, Tokens, answer, spawn_app_with};
use crate::support::stores::stores;

/// How long callers wait to hear that an actor died, as a rule.
const TOLD_WITHIN: Duration = Duration::from_millis(100);
/// How long any of them may, in a debug build on a machine that does other things.
const TOLD_WITHIN_BUSY: Duration = Duration::from_secs(1);
/// How long Redis may take to be trusted again.
const TRUSTED_WITHIN: Duration = Duration::from_secs(2);
const API: &str = "/oauth/management/api/v1";
/// The password of everybody here, and of the console.
pub(crate) const PASSWORD: &str = "pass word 1";

/// The server and the memory of its clients.
pub(crate) struct Ward {
    pub(crate) app: TestApp,
    redis: Proxy,
    /// How long Redis may take to be trusted again.
    pub(crate) trusted_within: Duration,
    /// A pair that nobody touches.
    steady: Tokens,
    pair: Mutex<Option<Tokens>>,
    count: AtomicUsize,
    /// How long those waited who were told "not now".
    told: std::sync::Mutex<Vec<Duration>>,
}

impl Ward {
    /// A server of one shard whose console password is a hash.
    pub(crate) async fn new() -> Self {
        let url = stores().await.redis_url(stores().await.fresh_redis_db());
        let (server, database) = url.trim_start_matches("redis://").rsplit_once('/').unwrap();
        let redis = Proxy::before(server.parse().unwrap()).await;
        let through = format!("redis://{}/{database}", redis.address());
        let app = spawn_app_with(&[
            ("SENTINEL_REDIS_URL", &through),
            ("SENTINEL_CACHE_SHARDS", "1"),
            ("SENTINEL_BCRYPT_COST", "5"),
            // Never reached, but counted.
            ("SENTINEL_THROTTLE_USER", "1000000"),
            ("SENTINEL_THROTTLE_NETWORK", "1000000"),
            ("SENTINEL_MANAGEMENT_PASSWORD", &console_hash()),
        ])
        .await;
        app.add_user("steady", PASSWORD).await;
        let steady = app.login_as("steady", PASSWORD).await.tokens();
        Self {
            app,
            redis,
            trusted_within: TRUSTED_WITHIN,
            steady,
            pair: Mutex::new(None),
            count: AtomicUsize::new(0),
            told: std::sync::Mutex::default(),
        }
    }

    /// Does it, and tells whether it was done: the only other answer is "not now", at once.
    pub(crate) async fn does(&self, deed: Deed) -> bool {
        let started = Instant::now();
        let (answer, done) = match deed {
            Deed::Login => return self.logs_in().await.is_some(),
            Deed::PanickingLogin => return self.logs_in_with_a_panic().await,
            Deed::Refresh => return self.refreshes().await,
            Deed::Revoke => return self.revokes().await,
            Deed::Reconnect => return self.reconnects().await,
            Deed::Flush => return self.flushes().await,
            Deed::Nothing => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                return true;
            }
            Deed::WeakLogin => {
                let name = format!("weak{}", self.next());
                self.app.add_user(&name, PASSWORD).await;
                (self.app.login_as(&name, PASSWORD).await, 200)
            }
            Deed::StrangerLogin => (self.logs_in_from_elsewhere().await, 401),
            Deed::AddUser => {
                let name = format!("made{}", self.next());
                let body = json!({ "username": name, "password": PASSWORD });
                (self.post("/users", &body).await, 201)
            }
            Deed::AddClient => {
                let body = json!({ "client_type": "public", "name": "made" });
                (self.post("/clients", &body).await, 201)
            }
            Deed::List => {
                let users = self.get("/users").await;
                let is_told = users.status == 200;
                (
                    if is_told {
                        self.get("/clients").await
                    } else {
                        users
                    },
                    200,
                )
            }
            Deed::AskReadiness => (answer(self.app.get("/readyz")).await, 200),
            Deed::VerifyUnknown => {
                let unknown = format!("x{:029}", self.next());
                (self.app.verify(&unknown).await, 401)
            }
        };
        self.judge(deed, &answer, done, started)
    }

    /// A token that has nothing to do with what fails is verified; with the cache itself, at the
    /// second attempt at the latest, since it may have shared a round trip.
    pub(crate) async fn verifies_steadily(&self, attempts: usize) {
        for attempt in 1..=attempts {
            let answer = self.app.verify(&self.steady.access).await;
            if answer.status == 204 {
                return;
            }
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(attempt < attempts, "refused {attempt} times");
        }
    }

    /// Waits until Redis is trusted.
    pub(crate) async fn trusts_redis(&self) {
        let deadline = Instant::now() + self.trusted_within;
        while !self.is("ready").await {
            assert!(Instant::now() < deadline, "not ready again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the live picture tells of an actor.
    pub(crate) fn picture(&self, actor: &str) -> ActorPicture {
        let all = self.app.sentinel.actors();
        all.into_iter().find(|own| own.name == actor).unwrap()
    }

    /// What was acknowledged lives, here and after a restart of the server.
    pub(crate) async fn has_lost_nothing(self) {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        // A few say nothing of the rule; each was told in time.
        if told.len() >= 10 {
            let (median, ..) = spread(&mut told);
            assert!(median < TOLD_WITHIN, "{told:?}");
        }
        assert!(self.refreshes().await);
        let last = self.pair.lock().await.take().unwrap();
        let restarted = self.app.sibling_with(&[]).await;
        self.app.stop().await;
        for pair in [&last, &self.steady] {
            assert_eq!(restarted.verify(&pair.access).await.status, 204);
            let next = restarted.refresh(&pair.refresh).await;
            assert_eq!(next.status, 200, "{}", next.body);
            assert_eq!(restarted.verify(&pair.access).await.status, 401);
        }
    }

    async fn logs_in(&self) -> Option<Tokens> {
        let started = Instant::now();
        let answer = self.app.login_as("jonas", PASSWORD).await;
        if !self.judge(Deed::Login, &answer, 200, started) {
            return None;
        }
        let tokens = answer.tokens();
        *self.pair.lock().await = Some(tokens.clone());
        Some(tokens)
    }

    async fn logs_in_with_a_panic(&self) -> bool {
        // Before its second step it has done nothing that is to be seen to.
        let moment = Moment::InFlight("Landed", 2);
        let plan = self.app.sentinel.plan_panic("token_issuer", moment, 1);
        let plan = plan.await.unwrap();
        self.logs_in().await;
        // The cache is told last, when the login is answered already.
        tokio::time::sleep(Duration::from_millis(20)).await;
        plan.happened() > 0
    }

    // The pair that was replaced is dead; one that was not is as good as before.
    async fn refreshes(&self) -> bool {
        let mut pair = self.pair.lock().await;
        let Some(old) = pair.clone() else {
            drop(pair);
            return self.logs_in().await.is_some() && Box::pin(self.refreshes()).await;
        };
        let started = Instant::now();
        let answer = self.app.refresh(&old.refresh).await;
        if !self.judge(Deed::Refresh, &answer, 200, started) {
            return false;
        }
        let new = answer.tokens();
        *pair = Some(new.clone());
        self.is_told(Deed::Refresh, &new.access, 204).await;
        self.is_told(Deed::Refresh, &old.access, 401).await;
        true
    }

    async fn revokes(&self) -> bool {
        let mut pair = self.pair.lock().await;
        let Some(old) = pair.clone() else {
            drop(pair);
            return self.logs_in().await.is_some() && Box::pin(self.revokes()).await;
        };
        let started = Instant::now();
        let body = json!({ "token": old.access });
        let answer = self.post("/tokens/revoke", &body).await;
        if !self.judge(Deed::Revoke, &answer, 204, started) {
            return false;
        }
        *pair = None;
        drop(pair);
        self.is_told(Deed::Revoke, &old.access, 401).await;
        true
    }

    async fn is_told(&self, deed: Deed, token: &str, expected: u16) {
        for _ in 0..3 {
            let answer = self.app.verify(token).await;
            if answer.status == expected {
                return;
            }
            assert_eq!(answer.status, 503, "{deed:?}: not {expected}");
        }
        panic!("{deed:?}: three times 503 in a row");
    }

    async fn reconnects(&self) -> bool {
        self.redis.cut();
        let deadline = Instant::now() + TRUSTED_WITHIN;
        while self.is("ready").await && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.redis.open();
        self.trusts_redis().await;
        true
    }

    async fn logs_in_from_elsewhere(&self) -> Answer {
        let client = format!("stranger{}", self.next());
        let login = [
            ("grant_type", "password"),
            ("client_id", client.as_str()),
            ("username", "steady"),
            ("password", PASSWORD),
        ];
        self.app.token(&login).await
    }

    async fn flushes(&self) -> bool {
        let client = redis::Client::open(self.app.redis_url.as_str()).unwrap();
        let mut direct = client.get_multiplexed_async_connection().await.unwrap();
        let () = redis::cmd("FLUSHDB")
            .query_async(&mut direct)
            .await
            .unwrap();
        true
    }

    async fn is(&self, status: &str) -> bool {
        let answer = answer(self.app.get("/readyz")).await;
        answer.json()["status"] == status
    }

    #[track_caller]
    fn judge(&self, deed: Deed, answer: &Answer, done: u16, started: Instant) -> bool {
        if answer.status == done {
            return true;
        }
        let took = started.elapsed();
        assert_eq!(answer.status, 503, "{deed:?}: {}", answer.body);
        if deed != Deed::AskReadiness {
            assert!(!answer.header("retry-after").is_empty(), "{deed:?}");
        }
        assert!(took < TOLD_WITHIN_BUSY, "{deed:?} was told after {took:?}");
        self.told.lock().unwrap().push(took);
        false
    }

    fn next(&self) -> usize {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.app.get(&format!("{API}{path}"));
        answer(request.with_console_credentials()).await
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        let request = self.app.post(&format!("{API}{path}"));
        answer(request.with_console_credentials().json(body)).await
    }
}

fn console_hash() -> String {
    bcrypt::hash(crate::support::app::CONSOLE.1, 4).unwrap()
}
