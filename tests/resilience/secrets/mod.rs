//! Secrets in what the program says (P20): its log at `trace`, its metrics, the answers that refuse.
//! Canaries go into the fields of forms, JSON, headers, queries and paths, over HTTP/1.1 and HTTP/2,
//! with both stores there, without Redis and without MongoDB.

mod caller;
mod requests;
mod spellings;

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::doc;
use tokio::time::{Instant, sleep};

use self::caller::Caller;
use self::spellings::Secret;
use crate::support::app::answer;
use crate::support::process::{PATIENCE, PAUSE, Place, Running, https};
use crate::support::served;
use crate::support::server::{Server, free_port};
use crate::support::stores::{start_mongod, start_redis};
use crate::support::tls::{client_config, make_pair, write_pair};

/// The user of the console.
const ADMINISTRATOR: &str = "admin";
/// Until a server that lost a store has tried in vain to reach it again, and said so.
const DISMAY: Duration = Duration::from_secs(1);

/// Both stores, each with a password.
struct GuardedStores {
    mongo: Server,
    redis: Server,
    mongo_password: Secret,
    redis_password: Secret,
}

impl GuardedStores {
    async fn start() -> Self {
        let redis_password = Secret::canary("redis password");
        let options = ["--requirepass", &redis_password.value];
        let (mongo, redis) = tokio::join!(start_mongod(&["--auth"]), start_redis(&options));
        let mongo_password = Secret::canary("mongo password");
        // The first user of a mongod may be made by whoever is on its machine.
        let uri = format!("mongodb://{}", mongo.address());
        let client = Client::with_uri_str(uri).await.unwrap();
        let user =
            doc! { "createUser": "sentinel", "pwd": &mongo_password.value, "roles": ["root"] };
        client.database("admin").run_command(user).await.unwrap();
        Self {
            mongo,
            redis,
            mongo_password,
            redis_password,
        }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let (mongo, redis) = (self.mongo.address(), self.redis.address());
        let mongo_password = &self.mongo_password.value;
        let redis_password = &self.redis_password.value;
        vec![
            (
                "SENTINEL_MONGO_URI",
                format!("mongodb://sentinel:{mongo_password}@{mongo}/?authSource=admin"),
            ),
            (
                "SENTINEL_REDIS_URL",
                format!("redis://:{redis_password}@{redis}/0"),
            ),
        ]
    }
}

/// The program under test, and all that was said to it.
struct Sweep {
    stores: GuardedStores,
    place: Place,
    running: Running,
    caller: Caller,
    metrics: String,
}

impl Sweep {
    async fn start(format: &str) -> Self {
        let stores = GuardedStores::start().await;
        let password = Secret::canary("console password");
        let metrics = format!("127.0.0.1:{}", free_port());
        let mut settings = stores.settings();
        settings.extend([
            ("SENTINEL_TLS", "on".to_owned()),
            ("SENTINEL_LOG", "trace".to_owned()),
            ("SENTINEL_LOG_FORMAT", format.to_owned()),
            ("SENTINEL_METRICS_LISTEN", metrics.clone()),
            ("SENTINEL_MANAGEMENT_USERNAME", ADMINISTRATOR.to_owned()),
            ("SENTINEL_MANAGEMENT_PASSWORD", password.value.clone()),
        ]);
        let place = served::place_of(&settings);
        let pair = make_pair();
        write_pair(&place, &pair, &pair);
        let mut running = place.start("serve --listen 127.0.0.1:0");
        let line = running.line("listening").await;
        let port = port_in(&line);
        let configs = ["http/1.1", "h2"].map(|protocol| client_config([&pair], protocol));
        let mut caller = Caller::new(port, configs, password);
        caller.keep(stores.mongo_password.clone());
        caller.keep(stores.redis_password.clone());
        Self {
            stores,
            place,
            running,
            caller,
            metrics,
        }
    }

    /// Waits until `/readyz` says this.
    async fn becomes(&mut self, word: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.caller.readiness().await.contains(word) {
            assert!(Instant::now() < deadline, "never {word}");
            assert!(self.running.runs(), "{}", self.running.read("err"));
            sleep(PAUSE).await;
        }
    }

    async fn hear_metrics(&mut self) {
        let metrics = format!("http://{}/metrics", self.metrics);
        let told = answer(https().get(metrics)).await;
        assert!(told.body.contains("# TYPE"), "{}", told.body);
        self.caller.hear(&told.body);
    }

    /// Adds a user by the command, which reads the password from its input.
    async fn add_user_by_command(&mut self) {
        let password = Secret::canary("password by command");
        let url = format!("https://localhost:{}", self.caller.port);
        let line =
            format!("user add by-command --password-stdin --url {url} --ca-cert certs/cert.pem");
        let ended = self.place.run_with_input(&line, &password.value).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        self.caller.keep(password);
        self.caller.hear(&ended.out);
        self.caller.hear(&ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_in_text() {
    sweep("text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_in_json() {
    sweep("json").await;
}

async fn sweep(format: &str) {
    let mut sweep = Sweep::start(format).await;
    sweep.becomes("ready").await;
    sweep.add_user_by_command().await;
    let calm = sweep.caller.ask_for_everything().await;
    // A busy machine may miss a deadline.
    assert!(calm.unavailable <= 3, "{calm:?}");

    sweep.stores.redis.kill();
    sweep.becomes("degraded").await;
    sweep.caller.ask_for_everything().await;
    sweep.stores.redis.restart().await;
    sweep.becomes("ready").await;

    sweep.stores.mongo.kill();
    sweep.becomes("unavailable").await;
    let without_mongodb = sweep.caller.ask_in_vain().await;
    assert!(without_mongodb.unavailable > 10, "{without_mongodb:?}");
    sweep.hear_metrics().await;
    sleep(DISMAY).await;

    sweep.running.signal("TERM");
    let ended = sweep.running.ended(PATIENCE).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // The libraries talk as well: what they say counts.
    for who in ["h2::", "rustls", "warp_sentinel::"] {
        assert!(ended.err.contains(who), "nothing of {who}");
    }
    let log = ended.out + &ended.err;
    sweep.caller.check_kept(&log);
}

/// The port at the end of the line that tells the address.
fn port_in(line: &str) -> u16 {
    let digits = |text: &str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
    let port = line.rsplit("127.0.0.1:").next().map(digits);
    port.unwrap().parse().unwrap()
}
