//! The real binary as a server that is killed and started again on its port, and a client that
//! expects to meet it dead.

use std::time::Duration;

use reqwest::{Client, Error, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::app::{Answer, AsConsole, CONSOLE, FORM};
use super::process::{PATIENCE, PAUSE, Place, Running, https};
use super::server::{Server, free_port};
use super::stores::{start_mongod, start_redis, stores};

/// Longer than the longest deadline of a server: who hears nothing until then never will.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(6);
/// The password of every user.
pub(crate) const PASSWORD: &str = "pass word 1";

/// A MongoDB and a Redis that a test may kill.
pub(crate) struct OwnStores {
    /// The truth.
    pub(crate) mongo: Server,
    /// The fast copy.
    pub(crate) redis: Server,
}

/// `sentinel serve` on a port of its own, which it keeps.
pub(crate) struct Served {
    place: Place,
    port: u16,
    running: Option<Running>,
    /// Speaks to it, whether it lives or not.
    pub(crate) api: Api,
}

/// A client of one server. Each request tells of an error instead of failing the test.
#[derive(Clone)]
pub(crate) struct Api {
    origin: String,
    http: Client,
}

/// The settings of servers on the stores of this test binary, with databases of their own.
pub(crate) async fn shared_settings() -> Vec<(&'static str, String)> {
    let stores = stores().await;
    vec![
        ("SENTINEL_MONGO_URI", stores.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", stores.fresh_database()),
        (
            "SENTINEL_REDIS_URL",
            stores.redis_url(stores.fresh_redis_db()),
        ),
    ]
}

/// A place for a server with an ad-hoc certificate, fast hashes and console credentials, and with
/// these settings on top.
pub(crate) fn place_of(settings: &[(&str, String)]) -> Place {
    let mut place = Place::with(&[
        ("SENTINEL_TLS", "adhoc"),
        ("SENTINEL_BCRYPT_COST", "4"),
        // As in `app`.
        ("SENTINEL_THROTTLE_USER", "0"),
        ("SENTINEL_THROTTLE_NETWORK", "0"),
        ("SENTINEL_MANAGEMENT_USERNAME", CONSOLE.0),
        ("SENTINEL_MANAGEMENT_PASSWORD", CONSOLE.1),
    ]);
    for (name, value) in settings {
        place.set(name, value);
    }
    place
}

impl OwnStores {
    /// Starts both.
    pub(crate) async fn start() -> Self {
        let (mongo, redis) = tokio::join!(start_mongod(&[]), start_redis(&[]));
        Self { mongo, redis }
    }

    /// The settings of a server on them.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "SENTINEL_MONGO_URI",
                format!("mongodb://{}", self.mongo.address()),
            ),
            (
                "SENTINEL_REDIS_URL",
                format!("redis://{}/0", self.redis.address()),
            ),
        ]
    }
}

impl Served {
    /// Starts a server with these settings and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, String)]) -> Self {
        let place = place_of(settings);
        let port = free_port();
        let http = Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .timeout(GIVEN_UP_AFTER);
        // Chooses the cryptography, too.
        let _unhurried = https();
        let api = Api {
            origin: format!("https://localhost:{port}"),
            http: http.build().unwrap(),
        };
        let mut served = Self {
            place,
            port,
            running: None,
            api,
        };
        served.restart();
        served.becomes("ready", PATIENCE).await;
        served
    }

    /// Ends it as `kill -9` does; its folder stays.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on its port; it is not ready yet.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let arguments = format!("serve --listen 127.0.0.1:{}", self.port);
        self.running = Some(self.place.start(&arguments));
    }

    /// Changes a setting for its next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.place.set(name, value);
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.place.path(name)
    }

    /// Waits until `/readyz` says so: `ready`, `degraded` without Redis, or `unavailable`.
    pub(crate) async fn becomes(&mut self, word: &str, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let found = self.api.readiness().await;
            if found == word {
                return;
            }
            let running = self.running.as_mut();
            let is_over = Instant::now() > deadline || !running.is_some_and(Running::runs);
            assert!(!is_over, "{found:?}, not {word}:\n{}", self.log());
            sleep(PAUSE).await;
        }
    }

    /// What it logged since it was started last.
    pub(crate) fn log(&self) -> String {
        let running = self.running.as_ref();
        running.map_or_else(String::new, |running| {
            running.read("out") + &running.read("err")
        })
    }
}

impl Api {
    /// The password grant.
    pub(crate) async fn login(&self, client_id: &str, username: &str) -> Result<Answer, Error> {
        self.login_with(client_id, username, PASSWORD).await
    }

    /// The password grant with some password.
    pub(crate) async fn login_with(
        &self,
        client_id: &str,
        username: &str,
        password: &str,
    ) -> Result<Answer, Error> {
        let form = [
            ("grant_type", "password"),
            ("client_id", client_id),
            ("username", username),
            ("password", password),
        ];
        self.token(&form).await
    }

    /// The refresh grant.
    pub(crate) async fn refresh(&self, client_id: &str, token: &str) -> Result<Answer, Error> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", token),
        ];
        self.token(&form).await
    }

    /// `GET /oauth/verify` with a bearer token.
    pub(crate) async fn verify(&self, token: &str) -> Result<Answer, Error> {
        answered(self.http.get(self.url("/verify")).bearer_auth(token)).await
    }

    /// Ends a token through the management API.
    pub(crate) async fn revoke(&self, token: &str) -> Result<Answer, Error> {
        self.manage("tokens/revoke", &json!({ "token": token }))
            .await
    }

    /// Adds a public client, and gives its identifier.
    pub(crate) async fn add_client(&self) -> String {
        let client = json!({"client_type": "public", "scopes": "read", "default_scopes": "read"});
        let made = self.manage("clients", &client).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// Adds a user with [`PASSWORD`].
    pub(crate) async fn add_user(&self, username: &str) {
        let user = json!({"username": username, "password": PASSWORD});
        let made = self.manage("users", &user).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.body);
    }

    /// The word of `/readyz`, or nothing.
    pub(crate) async fn readiness(&self) -> String {
        let request = self.http.get(format!("{}/readyz", self.origin));
        let told: Option<Value> = match answered(request).await {
            Ok(answer) => serde_json::from_str(&answer.body).ok(),
            Err(_) => None,
        };
        told.and_then(|told| told["status"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<Answer, Error> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self.http.post(self.url("/token"));
        answered(request.header("content-type", FORM).body(body)).await
    }

    async fn manage(&self, path: &str, body: &Value) -> Result<Answer, Error> {
        self.order(Method::POST, path, body).await
    }

    /// Asks the management API.
    pub(crate) async fn order(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Error> {
        let url = self.url(&format!("/management/api/v1/{path}"));
        let request = self.http.request(method, url);
        answered(request.with_console_credentials().json(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/oauth{path}", self.origin)
    }
}

async fn answered(request: RequestBuilder) -> Result<Answer, Error> {
    let response = request.send().await?;
    Ok(Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.text().await?,
    })
}
