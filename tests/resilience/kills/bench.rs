//! Servers on stores of their own, each of which is killed and comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::contents;
use crate::history::entry::{Asked, Told};
use crate::history::recorder::{Recorder, username};
use crate::random::Random;
use crate::support::process::PATIENCE;
use crate::support::served::{OwnStores, Served};

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(10);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Server,
    Redis,
    Mongod,
}

/// How long a kill was felt.
pub(crate) struct Recovery {
    pub(crate) victim: Victim,
    /// From the kill of a server, or from when a store listens again, until every server is ready
    /// and has issued a pair.
    pub(crate) took: Duration,
    /// How long afterwards Redis had a key of a token that had ended.
    pub(crate) stale: Duration,
}

/// The servers, their stores and the history of their answers.
pub(crate) struct Bench {
    /// None with the embedded store.
    pub(crate) stores: Option<OwnStores>,
    servers: Vec<Served>,
    pub(crate) recorder: Arc<Recorder>,
    sessions: usize,
}

impl Bench {
    /// Two servers on MongoDB and Redis, with a user for each session.
    pub(crate) async fn start(sessions: usize) -> Self {
        Self::on_stores(&[], sessions).await
    }

    /// As [`Bench::start`], with tokens kept hashed.
    pub(crate) async fn hashed(sessions: usize) -> Self {
        let hashed = ("SENTINEL_TOKEN_STORAGE", "hashed".to_owned());
        Self::on_stores(&[hashed], sessions).await
    }

    async fn on_stores(more: &[(&'static str, String)], sessions: usize) -> Self {
        let stores = OwnStores::start().await;
        let mut settings = stores.settings();
        settings.push(short_lived());
        settings.extend_from_slice(more);
        let servers = vec![
            Served::start(&settings).await,
            Served::start(&settings).await,
        ];
        Self::with(Some(stores), servers, sessions).await
    }

    /// One server that keeps all in a file.
    pub(crate) async fn embedded(sessions: usize) -> Self {
        let settings = [("SENTINEL_STORE", "embedded".to_owned()), short_lived()];
        Self::with(None, vec![Served::start(&settings).await], sessions).await
    }

    async fn with(stores: Option<OwnStores>, servers: Vec<Served>, sessions: usize) -> Self {
        let api = &servers[0].api;
        // One session more: it tells when a server issues again.
        for session in 0..=sessions {
            api.add_user(&username(session)).await;
        }
        let client_id = api.add_client().await;
        let apis = servers.iter().map(|server| server.api.clone()).collect();
        Self {
            stores,
            servers,
            recorder: Arc::new(Recorder::new(apis, client_id)),
            sessions,
        }
    }

    /// Kills once, and waits until all is as before.
    pub(crate) async fn kill(&mut self, victim: Victim, random: &mut Random) -> Recovery {
        let away = Duration::from_millis(random.below(300));
        let began = match victim {
            Victim::Server => self.kill_server(random),
            Victim::Redis => self.kill_redis(away, random).await,
            Victim::Mongod => self.kill_mongod(away).await,
        };
        for number in 0..self.servers.len() {
            self.servers[number].becomes("ready", PATIENCE).await;
            self.issues(number).await;
        }
        let took = began.elapsed();
        let mut stale = Duration::ZERO;
        if let Some(stores) = &self.stores {
            stale = contents::settled(stores).await;
        }
        Recovery {
            victim,
            took,
            stale,
        }
    }

    fn kill_server(&mut self, random: &mut Random) -> Instant {
        let index = random.index(self.servers.len());
        let killed = Instant::now();
        self.servers[index].kill();
        self.servers[index].restart();
        killed
    }

    // It comes back empty, or with what it had some time ago.
    async fn kill_redis(&mut self, away: Duration, random: &mut Random) -> Instant {
        let stores = self.stores.as_mut().unwrap();
        match random.below(3) {
            0 => remove_saved(stores).await,
            1 => {
                let _: () = redis::cmd("SAVE")
                    .query_async(&mut contents::redis(stores).await)
                    .await
                    .unwrap();
                // Time in which what was saved ends.
                sleep(Duration::from_millis(500)).await;
            }
            _ => {}
        }
        stores.redis.kill();
        for server in &mut self.servers {
            server.becomes("degraded", PATIENCE).await;
        }
        sleep(away).await;
        stores.redis.restart().await;
        Instant::now()
    }

    async fn kill_mongod(&mut self, away: Duration) -> Instant {
        let stores = self.stores.as_mut().unwrap();
        stores.mongo.kill();
        sleep(away).await;
        stores.mongo.restart().await;
        Instant::now()
    }

    async fn issues(&self, server: usize) {
        let deadline = Instant::now() + PATIENCE;
        let probe = || self.recorder.ask(server, self.sessions, Asked::Login);
        while !matches!(probe().await, Told::Pair(_)) {
            assert!(Instant::now() < deadline, "server {server} issues nothing");
            sleep(PAUSE).await;
        }
    }

    /// What the servers logged since they were started last.
    pub(crate) fn logs(&self) -> String {
        let logs: Vec<String> = self.servers.iter().map(Served::log).collect();
        logs.join("\n--\n")
    }
}

// Longer than a worker keeps a pair, and short enough for the memory of ends, which each connect to
// Redis goes through, not to grow all through a long run.
fn short_lived() -> (&'static str, String) {
    ("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "120".to_owned())
}

async fn remove_saved(stores: &OwnStores) {
    let (_, folder): (String, PathBuf) = redis::cmd("CONFIG")
        .arg(&["GET", "dir"])
        .query_async::<(String, String)>(&mut contents::redis(stores).await)
        .await
        .map(|(name, folder)| (name, folder.into()))
        .unwrap();
    // There is none before the first is saved.
    let _absent = std::fs::remove_file(folder.join("dump.rdb"));
}
