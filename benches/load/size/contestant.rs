//! One server before one database, and what it is asked.

use std::time::{Duration, Instant};

use mongodb::bson::doc;

use super::SizeRound;
use super::fill::{self, CLIENTS, Filling, LATEST};
use crate::Outcome;
use crate::client::Connection;
use crate::plan::Plan;
use crate::process::Process;
use crate::published;
use crate::round::Round;
use crate::schedule::Schedule;
use crate::stores::Stores;

/// Verifications, logins or refreshes of one round.
const REQUESTS: usize = 960;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A token that only the truth knows.
    VerifyMiss,
    /// A login with a fast hash.
    Login,
    /// A refresh.
    Refresh,
}

/// One server before one database.
pub(super) struct Contestant {
    process: Process,
    stores: Stores,
    filling: Filling,
    connections: usize,
    mongod: u32,
}

impl Deed {
    pub(super) const ALL: [Self; 3] = [Self::VerifyMiss, Self::Login, Self::Refresh];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::VerifyMiss => "verify_miss",
            Self::Login => "login",
            Self::Refresh => "refresh",
        }
    }
}

impl Contestant {
    pub(super) async fn new(
        plan: &Plan,
        process: Process,
        stores: Stores,
        filling: Filling,
    ) -> Outcome<Self> {
        let client = mongodb::Client::with_uri_str(&stores.mongo_uri).await?;
        let admin = client.database("admin");
        let status = admin.run_command(doc! { "serverStatus": 1 }).await?;
        let mongod = u32::try_from(status.get_i64("pid")?)?;
        Ok(Self {
            process,
            stores,
            filling,
            connections: plan.connections,
            mongod,
        })
    }

    /// One round. In each other tokens and users are asked for, as far as there are so many.
    pub(super) async fn run(&self, deed: Deed, round: usize) -> Outcome<SizeRound> {
        let mut connections = Connection::open_many(&self.process, self.connections).await?;
        let mut works = Vec::new();
        for (index, connection) in connections.iter_mut().enumerate() {
            works.push(self.work(deed, (round, index), connection).await?);
        }
        let before = Schedule::of(self.mongod)?;
        let drive = |index: usize, connection| {
            let work = works.get(index).cloned().unwrap_or_default();
            work.run(connection)
        };
        let server = Round::drive(&self.process, connections, drive).await?;
        let mongod = Schedule::of(self.mongod)?.since(&before).running;
        let mongod_micros_each = mongod.as_secs_f64() * 1e6 / server.requests();
        if deed == Deed::VerifyMiss {
            self.forget(&works).await?;
        }
        Ok(SizeRound {
            server,
            mongod_micros_each,
        })
    }

    /// What one connection is to do.
    async fn work(
        &self,
        deed: Deed,
        (round, index): (usize, usize),
        connection: &mut Connection,
    ) -> Outcome<Work> {
        let count = REQUESTS / self.connections;
        let first = (round * self.connections + index) * count;
        let own = first..first + count;
        Ok(match deed {
            Deed::VerifyMiss => {
                let asked = self.filling.tokens - LATEST;
                // Far apart, as the tokens of real users are.
                let far = asked / REQUESTS.min(asked);
                let numbers = own.map(|number| LATEST + (number * far + round) % asked);
                Work::Verify(
                    numbers
                        .map(|number| self.filling.access_token(number))
                        .collect(),
                )
            }
            Deed::Login => {
                let names = (0..count).map(|turn| self.user(round, index, turn));
                Work::LogIn(names.collect())
            }
            Deed::Refresh => {
                let name = self.user(round, index, 0);
                Work::Refresh(connection.log_in(&fill::client(0), &name).await?, count)
            }
        })
    }

    /// Whom a connection logs in: nobody that another does in the same round, and of many users
    /// those that are far apart. The users of Redis's tokens are left alone, since a login ends one.
    fn user(&self, round: usize, index: usize, turn: usize) -> String {
        let spared = LATEST / CLIENTS;
        let users = self.filling.users - spared;
        let each = (users / self.connections).clamp(1, REQUESTS / self.connections);
        let far = users / (each * self.connections).min(users);
        let number = index + self.connections * (turn % each);
        fill::username(spared + (number * far + round) % users)
    }

    /// Takes what the server put back out of Redis, and so out of the local copy.
    async fn forget(&self, works: &[Work]) -> Outcome<()> {
        for work in works {
            if let Work::Verify(tokens) = work {
                published::forget(&self.stores, tokens).await?;
            }
        }
        Ok(())
    }
}

/// What one connection does in a round.
#[derive(Clone)]
enum Work {
    /// Verifies each of these once.
    Verify(Vec<String>),
    /// Logs each of these in once.
    LogIn(Vec<String>),
    /// Refreshes from this token on, so many times.
    Refresh(String, usize),
}

impl Default for Work {
    fn default() -> Self {
        Self::Verify(Vec::new())
    }
}

impl Work {
    async fn run(self, mut connection: Connection) -> Outcome<(Connection, Vec<Duration>)> {
        let client = fill::client(0);
        let mut latencies = Vec::new();
        let mut start = Instant::now();
        let mut note = || {
            let end = Instant::now();
            latencies.push(end - start);
            start = end;
        };
        match self {
            Self::Verify(tokens) => {
                for token in tokens {
                    let authorization = format!("Bearer {token}");
                    connection.verify_patiently(&authorization).await?;
                    note();
                }
            }
            Self::LogIn(names) => {
                for name in names {
                    connection.log_in(&client, &name).await?;
                    note();
                }
            }
            Self::Refresh(mut token, count) => {
                for _ in 0..count {
                    token = connection.refresh(&client, &token).await?;
                    note();
                }
            }
        }
        Ok((connection, latencies))
    }
}
