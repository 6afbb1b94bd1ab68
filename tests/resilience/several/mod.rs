//! Several servers on one MongoDB and one Redis.
//!
//! `SENTINEL_TEST_ROUNDS` is how many rounds each test does.

mod cut_off;
mod heard;
mod lost_answer;
mod parallel;

use redis::aio::MultiplexedConnection;

use crate::history::entry::{Pair, pair};
use crate::history::recorder::username;
use crate::support::app::Answer;
use crate::support::process::PATIENCE;
use crate::support::served::{Served, shared_settings};

/// Servers that share their stores, a client and some users.
struct Several {
    servers: Vec<Served>,
    client_id: String,
    /// A program that reads Redis itself.
    reader: MultiplexedConnection,
}

impl Several {
    async fn start(servers: usize, users: usize) -> Self {
        let settings = shared_settings().await;
        let mut started = Vec::new();
        for _ in 0..servers {
            started.push(Served::start(&settings).await);
        }
        let api = &started[0].api;
        for user in 0..users {
            api.add_user(&username(user)).await;
        }
        let (_, redis) = settings
            .iter()
            .find(|(key, _)| *key == "SENTINEL_REDIS_URL")
            .unwrap();
        let redis = redis::Client::open(redis.as_str()).unwrap();
        Self {
            client_id: api.add_client().await,
            reader: redis.get_multiplexed_async_connection().await.unwrap(),
            servers: started,
        }
    }

    /// A pair from one server.
    async fn login(&self, server: usize, user: usize) -> Pair {
        self.login_for(&self.client_id, server, user).await
    }

    async fn login_for(&self, client_id: &str, server: usize, user: usize) -> Pair {
        let api = &self.servers[server].api;
        let answer = api.login(client_id, &username(user)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        pair(&answer)
    }

    /// The status of a verification; one that misses its deadline on a busy machine is repeated.
    async fn verify(&self, server: usize, token: &str) -> u16 {
        loop {
            let answer = self.servers[server].api.verify(token).await.unwrap();
            if answer.status != 503 {
                return answer.status.as_u16();
            }
        }
    }

    /// A refresh at the first server; one for which a busy machine had no time is repeated.
    async fn refresh(&self, client_id: &str, token: &str) -> Answer {
        loop {
            let answer = self.servers[0].api.refresh(client_id, token).await.unwrap();
            if answer.status != 503 {
                return answer;
            }
        }
    }

    /// How many keys of an access token a reader of Redis finds.
    async fn keys(&self, token: &str) -> u64 {
        redis::cmd("EXISTS")
            .arg(&[token.to_owned(), format!("sentinel:{{{token}}}")])
            .query_async(&mut self.reader.clone())
            .await
            .unwrap()
    }

    /// Kills the servers, empties Redis, and starts the servers again.
    async fn crash(&mut self) {
        for server in &mut self.servers {
            server.kill();
        }
        let _: () = redis::cmd("FLUSHDB")
            .query_async(&mut self.reader.clone())
            .await
            .unwrap();
        for server in &mut self.servers {
            server.restart();
        }
        for server in &mut self.servers {
            server.becomes("ready", PATIENCE).await;
        }
    }
}
