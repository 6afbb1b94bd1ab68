//! A whole server per test: the same start as the binary's, over TLS on a free port, with stores
//! of its own and a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use warp::Filter;
use warp_sentinel::Sentinel;
use warp_sentinel::clock::Clock;
use warp_sentinel::crypto::random;
use warp_sentinel::domain::client::{Client as StoredClient, ClientRegistration, ClientType};
use warp_sentinel::domain::client_secret::StoredSecret;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::user::{HashOrigin, NewUser, PasswordHash, User};
use warp_sentinel::sentinel::error::RunError;
use warp_sentinel::settings::sources::{ConfigSource, Mode, Sources};
use warp_sentinel::settings::{ListenAddress, Settings, StoreSettings};
use warp_sentinel::stores::ends::Ends;
use warp_sentinel::stores::{Truth, mongo};

use super::stores::stores;

/// The console credentials of every app.
pub(crate) const CONSOLE: (&str, &str) = ("console", "open sesame 1");
/// The user of every app.
pub(crate) const USER: (&str, &str) = ("jonas", "pass word 1");

/// A running server and what a test needs to talk to it.
pub(crate) struct TestApp {
    /// `https://localhost:port`.
    pub(crate) url: String,
    /// Trusts any certificate; speaks HTTP/1.1.
    pub(crate) http: Client,
    /// Moves the server's time.
    pub(crate) clock: Clock,
    /// The server itself.
    pub(crate) sentinel: Sentinel,
    /// The truth as another server sees it.
    pub(crate) truth: Truth,
    /// The address of its Redis database.
    pub(crate) redis_url: String,
    /// The name of its MongoDB database.
    pub(crate) database: String,
    /// A public client with the scope `read write`, and `read` by default.
    pub(crate) client_id: String,
    server: JoinHandle<Result<(), RunError>>,
    _folder: Arc<TempDir>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A server with the defaults of `sentinel serve`, fast hashes and console credentials.
pub(crate) async fn spawn_app() -> TestApp {
    spawn_app_with(&[]).await
}

/// As [`spawn_app`], with these settings on top.
pub(crate) async fn spawn_app_with(settings: &[(&'static str, &str)]) -> TestApp {
    let stores = stores().await;
    let redis_url = stores.redis_url(stores.fresh_redis_db());
    let database = stores.fresh_database();
    let mut all = vec![
        ("SENTINEL_MONGO_URI", stores.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", database),
        ("SENTINEL_REDIS_URL", redis_url),
    ];
    all.extend(
        settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let app = start(load(&all), Clock::default()).await;
    app.truth
        .users
        .insert_user(&new_user(USER.0, USER.1))
        .await
        .unwrap();
    app
}

impl TestApp {
    /// Waits until the truth has noted that spent refresh tokens were answered, before the clock is
    /// moved on: nobody else waits for it.
    pub(crate) async fn answers_are_noted(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let tokens = &self.truth.tokens;
            let page = tokens.list_ends(Ends::All, self.clock.now(), None, 99);
            if page.await.unwrap().ends.iter().all(|end| end.is_answered) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "it is never noted");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A second server on the same stores and clock.
    pub(crate) async fn sibling(&self) -> TestApp {
        let settings = load(&[
            ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
            ("SENTINEL_MONGO_DBNAME", self.database.clone()),
            ("SENTINEL_REDIS_URL", self.redis_url.clone()),
        ]);
        start(settings, self.clock.clone()).await
    }

    /// Ends the server as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.sentinel.shutdown().await;
        self.server.await.unwrap().unwrap();
    }

    /// Stores a client with the scope `read write`, and `read` by default.
    pub(crate) async fn add_client(&self, client_type: ClientType) -> (String, String) {
        add_client(&self.truth, client_type, |_| ()).await
    }

    /// As [`TestApp::add_client`], with something changed.
    pub(crate) async fn add_client_with(
        &self,
        client_type: ClientType,
        change: impl FnOnce(&mut StoredClient),
    ) -> (String, String) {
        add_client(&self.truth, client_type, change).await
    }

    /// Stores a user with a fast hash.
    pub(crate) async fn add_user(&self, username: &str, password: &str) -> User {
        self.truth
            .users
            .insert_user(&new_user(username, password))
            .await
            .unwrap()
    }

    /// `POST /oauth/token` with a form.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        answer(self.post_form("/oauth/token", form)).await
    }

    /// POSTs a form to an OAuth endpoint as a confidential client.
    pub(crate) fn post_as(
        &self,
        path: &str,
        (client_id, secret): (&str, &str),
        form: &[(&str, &str)],
    ) -> RequestBuilder {
        self.post_form(path, form)
            .basic_auth(client_id, Some(secret))
    }

    /// POSTs a form to an OAuth endpoint.
    pub(crate) fn post_form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let encoded = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.post(path).header("content-type", FORM).body(encoded)
    }

    /// `POST /oauth/token` with a form as it stands.
    pub(crate) async fn token_body(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.post("/oauth/token");
        answer(request.header("content-type", FORM).body(body)).await
    }

    /// The password grant for the app's user and client.
    pub(crate) async fn login(&self) -> Tokens {
        let answer = self.login_as(USER.0, USER.1).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.tokens()
    }

    /// The password grant for some user and the app's client.
    pub(crate) async fn login_as(&self, username: &str, password: &str) -> Answer {
        let client_id = ("client_id", self.client_id.as_str());
        let (username, password) = (("username", username), ("password", password));
        self.token(&[("grant_type", "password"), client_id, username, password])
            .await
    }

    /// The refresh grant for the app's client.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        let client_id = ("client_id", self.client_id.as_str());
        let token = ("refresh_token", refresh_token);
        self.token(&[("grant_type", "refresh_token"), client_id, token])
            .await
    }

    /// `GET /oauth/verify` with a bearer token.
    pub(crate) async fn verify(&self, token: &str) -> Answer {
        answer(self.get("/oauth/verify").bearer_auth(token)).await
    }

    /// `GET /endpoint`, a route of the test that wants a bearer token.
    pub(crate) async fn endpoint(&self, token: &str) -> Answer {
        answer(self.get("/endpoint").bearer_auth(token)).await
    }

    /// Ends a token through the management API.
    pub(crate) async fn revoke(&self, token: &str) -> Answer {
        let body = serde_json::json!({ "token": token });
        answer(
            self.post("/oauth/management/api/v1/tokens/revoke")
                .with_console_credentials()
                .json(&body),
        )
        .await
    }

    /// A GET request.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    /// A POST request.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    /// As [`TestApp::sibling`], with these settings on top, and for the same client.
    pub(crate) async fn sibling_with(&self, settings: &[(&'static str, &str)]) -> TestApp {
        let mut all = vec![
            ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
            ("SENTINEL_MONGO_DBNAME", self.database.clone()),
            ("SENTINEL_REDIS_URL", self.redis_url.clone()),
        ];
        all.extend(
            settings
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let mut sibling = start(load(&all), self.clock.clone()).await;
        sibling.client_id.clone_from(&self.client_id);
        sibling
    }

    /// Waits until the server ends by itself, and tells why.
    pub(crate) async fn ended(self) -> Result<(), RunError> {
        self.server.await.unwrap()
    }

    /// Stops answering at once, as a process that was killed: nothing is drained or told.
    pub(crate) fn kill(self) {
        self.server.abort();
    }
}

/// The media type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A token pair as a client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in: u64,
    pub(crate) scope: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// The `error` member, or nothing.
    pub(crate) fn error(&self) -> String {
        let json: Option<Value> = serde_json::from_str(&self.body).ok();
        json.and_then(|json| json["error"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// A header's text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The token pair of a successful answer.
    #[track_caller]
    pub(crate) fn tokens(&self) -> Tokens {
        let json = self.json();
        Tokens {
            access: json["access_token"].as_str().unwrap().to_owned(),
            refresh: json["refresh_token"].as_str().unwrap().to_owned(),
            expires_in: json["expires_in"].as_u64().unwrap(),
            scope: json["scope"].as_str().unwrap().to_owned(),
        }
    }
}

/// Sends a request as the console's user.
pub(crate) trait AsConsole {
    /// Adds the console's credentials.
    fn with_console_credentials(self) -> Self;
}

impl AsConsole for RequestBuilder {
    fn with_console_credentials(self) -> Self {
        self.basic_auth(CONSOLE.0, Some(CONSOLE.1))
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.text().await.unwrap(),
    }
}

/// The settings of an app, with these on top.
pub(crate) fn load(settings: &[(&'static str, String)]) -> Settings {
    let fixed = [
        ("SENTINEL_LISTEN", "127.0.0.1:0"),
        ("SENTINEL_TLS", "adhoc"),
        ("SENTINEL_BCRYPT_COST", "4"),
        // All tests come from one network, and most of them are not about throttling.
        ("SENTINEL_THROTTLE_USER", "0"),
        ("SENTINEL_THROTTLE_NETWORK", "0"),
        ("SENTINEL_MANAGEMENT_USERNAME", CONSOLE.0),
        ("SENTINEL_MANAGEMENT_PASSWORD", CONSOLE.1),
    ];
    let mut flags: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in fixed
        .map(|(name, value)| (name, value.to_owned()))
        .iter()
        .chain(settings)
    {
        flags.retain(|(own, _)| own != name);
        flags.push((*name, value.clone()));
    }
    let config = ConfigSource::Optional("no such file.toml".into());
    let sources = Sources {
        mode: Mode::Serve,
        flags,
        environment: Vec::new(),
        config,
    };
    Settings::load(&sources)
        .unwrap_or_else(|error| panic!("{error}"))
        .settings
}

async fn start(mut settings: Settings, clock: Clock) -> TestApp {
    let folder = Arc::new(TempDir::with_prefix("sentinel-app-").unwrap());
    settings.data_dir = folder.path().to_owned();
    if let warp_sentinel::settings::TlsSettings::AdHoc {
        folder: certificates,
    } = &mut settings.server.tls
    {
        folder.path().clone_into(certificates);
    }
    let StoreSettings::MongoDb { mongo, redis, .. } = &settings.store else {
        panic!("the app runs on MongoDB and Redis")
    };
    let truth = mongo::open(mongo, &clock).await.unwrap();
    let database = mongo.database.clone();
    let warp_sentinel::settings::RedisTopology::Endpoints(endpoints) = &redis.topology else {
        panic!("the app runs on single Redis servers")
    };
    let redis_url = endpoints[0].expose().to_owned();
    let sentinel = Sentinel::start_with_clock(settings, clock.clone())
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let listening = sentinel.listen().await.unwrap();
    let ListenAddress::Tcp(address) = listening.address.clone() else {
        panic!("no TCP address")
    };
    let routes = endpoint(&sentinel).or(sentinel.routes());
    let running = sentinel.clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "the test owns it and waits for it in `stop`"
    )]
    let server =
        tokio::spawn(async move { running.run(listening, routes, std::future::pending()).await });
    let client_id = add_client(&truth, ClientType::Public, |_| ()).await.0;
    let http = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}", address.port());
    TestApp {
        url,
        http,
        clock,
        sentinel,
        truth,
        redis_url,
        database,
        client_id,
        server,
        _folder: folder,
    }
}

// The program of the seed's README, and routes that want a scope, a user, and what is no scope.
fn endpoint(sentinel: &Sentinel) -> warp::filters::BoxedFilter<(warp::reply::Response,)> {
    use warp::Reply;
    let endpoint = warp::path!("endpoint")
        .and(sentinel.require_oauth())
        .map(|_grant| "You made it through and accessed the protected resource!".into_response());
    let writing = warp::path!("writing")
        .and(sentinel.require_oauth_scopes(["write"]))
        .map(|grant: warp_sentinel::Grant| grant.scope.to_string().into_response());
    let own = warp::path!("own")
        .and(sentinel.require_oauth_user())
        .map(|grant: warp_sentinel::Grant| grant.user.unwrap().username.into_response());
    let nobodys = warp::path!("nobodys")
        .and(sentinel.require_oauth_scopes([""]))
        .map(|_grant| "nobody comes here".into_response());
    let guarded = endpoint.or(writing).unify().or(own).unify();
    guarded.or(nobodys).unify().boxed()
}

fn new_user(username: &str, text: &str) -> NewUser {
    NewUser {
        username: username.to_owned(),
        password_hash: PasswordHash::new(bcrypt::hash(text, 4).unwrap(), HashOrigin::Sentinel),
        created_at: Clock::default().now(),
    }
}

async fn add_client(
    truth: &Truth,
    client_type: ClientType,
    change: impl FnOnce(&mut StoredClient),
) -> (String, String) {
    let registration = ClientRegistration::new(client_type);
    let secret = random::client_secret();
    let hash = warp_sentinel::crypto::secret::hash_client_secret(secret.expose());
    let mut client = StoredClient {
        id: random::client_id(),
        client_type,
        name: String::new(),
        allowed_grant_types: registration.allowed_grant_types,
        allowed_scope: Scope::parse("read write").unwrap(),
        default_scope: Scope::parse("read").unwrap(),
        policy: registration.policy,
        secrets: if client_type == ClientType::Confidential {
            vec![StoredSecret::of_list(hash, 0, Clock::default().now())]
        } else {
            Vec::new()
        },
        is_disabled: false,
        sessions_ended: 0,
        created_at: Clock::default().now(),
    };
    change(&mut client);
    truth.clients.insert_client(&client).await.unwrap();
    (client.id.to_string(), secret.expose().to_owned())
}
