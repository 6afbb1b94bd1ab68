//! A real replica set of three members on the loopback, whose primary can step down, die or fall
//! silent. Its elections are quick, so that tests are.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::select_all;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};

use super::server::Server;
use super::stores::start_mongod;

/// How long an election may take here: the time without a primary after which one is begun, its
/// random addition, and the votes of members that share two processors with all the tests.
pub(crate) const ELECTED_WITHIN: Duration = Duration::from_secs(30);
/// After how long without a sign of life from the primary a member stands for election.
const ELECTION_TIMEOUT_MILLIS: i32 = 1_000;
const OPTIONS: [&str; 12] = [
    "--replSet",
    "tokens",
    "--oplogSize",
    "32",
    "--setParameter",
    "enableTestCommands=1",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
    // How long a secondary follows a primary that has fallen silent: with the 60 s of the default
    // no majority could confirm anything meanwhile.
    "--setParameter",
    "oplogInitialFindMaxSeconds=2",
    "--setParameter",
    "oplogRetriedFindMaxSeconds=1",
];

/// Three members, one of them the primary.
pub(crate) struct ReplicaSet {
    members: Vec<Member>,
}

struct Member {
    server: Server,
    /// Speaks to this member alone.
    direct: Client,
}

impl ReplicaSet {
    /// Starts the members and waits for the first primary.
    pub(crate) async fn start() -> Self {
        let servers = tokio::join!(
            start_mongod(&OPTIONS),
            start_mongod(&OPTIONS),
            start_mongod(&OPTIONS)
        );
        let mut members = Vec::new();
        for server in [servers.0, servers.1, servers.2] {
            let direct = direct(server.address());
            members.push(Member { server, direct });
        }
        let hosts = members.iter().enumerate().map(|(index, member)| {
            let host = member.server.address().to_string();
            Bson::Document(doc! { "_id": i32::try_from(index).unwrap(), "host": host })
        });
        let config = doc! {
            "_id": "tokens",
            "members": hosts.collect::<Vec<_>>(),
            "settings": {
                "electionTimeoutMillis": ELECTION_TIMEOUT_MILLIS,
                "heartbeatIntervalMillis": 250,
            },
        };
        let initiate = doc! { "replSetInitiate": config };
        members[0].admin(initiate).await.unwrap();
        let set = Self { members };
        set.primary().await;
        set
    }

    /// The connection string of the set.
    pub(crate) fn uri(&self) -> String {
        let hosts = self.members.iter().map(|m| m.server.address().to_string());
        let hosts: Vec<String> = hosts.collect();
        format!("mongodb://{}/?replicaSet=tokens", hosts.join(","))
    }

    /// Which member is the primary; waits for one.
    pub(crate) async fn primary(&self) -> usize {
        let each = self.members.iter().map(|member| Box::pin(member.leads()));
        let first = tokio::time::timeout(ELECTED_WITHIN, select_all(each)).await;
        let ((), index, _) = first.expect("no primary was elected");
        index
    }

    /// Waits until another member than `old` is the primary, and a majority confirms its writes.
    pub(crate) async fn writes_without(&self, old: usize) {
        let writes = async {
            loop {
                let primary = self.primary().await;
                if primary != old && self.members[primary].confirms().await {
                    return;
                }
            }
        };
        let writes = tokio::time::timeout(ELECTED_WITHIN, writes).await;
        writes.expect("no majority confirms a write");
    }

    /// Waits until this member follows a primary again.
    pub(crate) async fn follows(&self, index: usize) {
        let member = &self.members[index];
        let follows = tokio::time::timeout(ELECTED_WITHIN, member.comes_to_say("secondary"));
        follows.await.expect("it does not follow");
    }

    /// Lets the primary step down in favor of another.
    pub(crate) async fn step_down(&self) {
        let primary = self.primary().await;
        let order = doc! { "replSetStepDown": 6, "secondaryCatchUpPeriodSecs": 5 };
        self.members[primary].admin(order).await.unwrap();
    }

    /// Ends a member as `kill -9` does.
    pub(crate) fn kill(&mut self, index: usize) {
        self.members[index].server.kill();
    }

    /// Starts a member that was killed.
    pub(crate) async fn restart(&mut self, index: usize) {
        self.members[index].server.restart().await;
    }

    /// Sends a member a signal such as `STOP` or `CONT`.
    pub(crate) fn signal(&mut self, index: usize, name: &str) {
        self.members[index].server.signal(name);
    }
}

impl Member {
    async fn admin(&self, command: Document) -> Result<Document, mongodb::error::Error> {
        self.direct.database("admin").run_command(command).await
    }

    /// Waits until it is the primary.
    async fn leads(&self) {
        self.comes_to_say("isWritablePrimary").await;
    }

    async fn confirms(&self) -> bool {
        let insert = doc! {
            "insert": "probe",
            "documents": [{}],
            "writeConcern": { "w": "majority", "wtimeout": 250 },
        };
        let reply = self.admin(insert).await;
        reply.is_ok_and(|reply| !reply.contains_key("writeConcernError"))
    }

    async fn comes_to_say(&self, field: &str) {
        loop {
            let hello = self.admin(doc! { "hello": 1 });
            // A member that is away or silent says nothing.
            let answer = tokio::time::timeout(Duration::from_millis(250), hello).await;
            if answer.is_ok_and(|a| a.is_ok_and(|a| a.get_bool(field).unwrap_or(false))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn direct(address: SocketAddr) -> Client {
    let host = ServerAddress::parse(address.to_string()).unwrap();
    let options = ClientOptions::builder()
        .hosts(vec![host])
        .direct_connection(true)
        .heartbeat_freq(Duration::from_millis(500))
        .connect_timeout(Duration::from_secs(1))
        .server_selection_timeout(Duration::from_secs(10))
        .build();
    Client::with_options(options).unwrap()
}
