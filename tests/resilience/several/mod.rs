//! Several servers on one MongoDB and one Redis.
//!
//! `SENTINEL_TEST_ROUNDS` is how many rounds each test does.

mod cut_off;
mod heard;
mod lost_answer;
mod parallel;
mod unpublished;

use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep};

use crate::history::entry::{Pair, pair};
use crate::history::recorder::username;
use crate::support::app::Answer;
use crate::support::process::{PATIENCE, PAUSE};
use crate::support::served::{Served, shared_settings};

/// Servers that share their stores, a client and some users.
struct Several {
    servers: Vec<Served>,
    client_id: String,
    /// A program that reads Redis itself.
    reader: MultiplexedConnection,
    /// The truth, as MongoDB has it.
    database: Database,
}

impl Several {
    async fn start(servers: usize, users: usize) -> Self {
        Self::start_on(&shared_settings().await, servers, users).await
    }

    async fn start_on(settings: &[(&str, String)], servers: usize, users: usize) -> Self {
        let mut started = Vec::new();
        for _ in 0..servers {
            started.push(Served::start(settings).await);
        }
        let api = &started[0].api;
        for user in 0..users {
            api.add_user(&username(user)).await;
        }
        let redis = redis::Client::open(value(settings, "SENTINEL_REDIS_URL")).unwrap();
        let mongo = Client::with_uri_str(value(settings, "SENTINEL_MONGO_URI"));
        let name = value(settings, "SENTINEL_MONGO_DBNAME");
        Self {
            database: mongo.await.unwrap().database(name),
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

    /// Waits until the truth has noted that every rotation was answered. Nobody waits for it, and a
    /// server that is killed before may be asked again for an hour.
    async fn is_noted(&self) {
        let ends = self.database.collection::<Document>("ended_tokens");
        let deadline = Instant::now() + PATIENCE;
        while ends
            .count_documents(doc! { "unanswered": true })
            .await
            .unwrap()
            > 0
        {
            assert!(Instant::now() < deadline, "it is never noted");
            sleep(PAUSE).await;
        }
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

fn value<'s>(settings: &'s [(&str, String)], name: &str) -> &'s str {
    let (_, value) = settings.iter().find(|(key, _)| *key == name).unwrap();
    value
}
