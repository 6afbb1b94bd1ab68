//! The console and its API over the embedded store, called as the server would call them.

mod api;
mod console;
mod guard;
mod record_pages;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use warp::filters::BoxedFilter;
use warp::http::Response;
use warp::test::RequestBuilder;

use crate::actors::management::{ConsoleCredentials, ConsolePassword, ConsolePolicy, Management};
use crate::actors::password_pool::{PasswordPolicy, PasswordPool};
use crate::actors::supervisor::Tree;
use crate::actors::supervisor::picture::Picture;
use crate::actors::throttle::{Throttle, ThrottlePolicy};
use crate::actors::token_cache::{CachePolicy, TokenCache};
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::token_issuer::request::TokenPolicy;
use crate::actors::user_registry::UserRegistry;
use crate::clock::Clock;
use crate::crypto::csrf::CsrfKey;
use crate::domain::token_key::TokenStorage;
use crate::domain::user::Password;
use crate::http::extract::connection::Connection;
use crate::http::health::Leaving;
use crate::http::pages::Pages;
use crate::http::{Handles, Surface, routes};
use crate::stores::{Truth, embedded};

const PATH: &str = "/oauth/management";
const API: &str = "/oauth/management/api/v1";
const USER: &str = "admin";
const PASSWORD: &str = "console password";
const TLS: Connection = Connection {
    peer: None,
    is_tls: true,
};

type Answer = Response<bytes::Bytes>;

/// One server's console, on a store of its own.
struct App {
    routes: BoxedFilter<(warp::reply::Response,)>,
    management: Management,
    tree: Tree,
    truth: Truth,
    clock: Clock,
    _folder: tempfile::TempDir,
}

/// What a test sets otherwise.
struct Options {
    has_credentials: bool,
    hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            has_credentials: true,
            hosts: Vec::new(),
        }
    }
}

const LIMITS: ThrottlePolicy = ThrottlePolicy {
    user: 10,
    network: 100,
    window: Duration::from_mins(15),
};

async fn start() -> App {
    start_with(Options::default()).await
}

const PASSWORDS: PasswordPolicy = PasswordPolicy {
    cost: 4,
    queue: 256,
    workers: 2,
    lanes: 6,
};
const TOKENS: TokenPolicy = TokenPolicy {
    access_lifetime: Duration::from_hours(1),
    refresh_lifetime: None,
    refresh_idle_lifetime: None,
};

async fn start_with(options: Options) -> App {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let truth = embedded::open(&folder.path().join("sentinel.redb"), &clock).unwrap();
    let (registry, registry_child) = UserRegistry::new(truth.clone());
    let (passwords, passwords_child) = PasswordPool::new(PASSWORDS).unwrap();
    let cache_policy = CachePolicy {
        storage: TokenStorage::Plain,
        redis: None,
        shards_per_endpoint: 1,
    };
    let (caches, mut children) = TokenCache::new(cache_policy, &truth.tokens, &clock);
    let attempts = Arc::clone(&truth.attempts);
    let (throttle, throttle_child) = Throttle::new(attempts, LIMITS, clock.clone());
    let handles = (registry.clone(), passwords.clone(), throttle.clone());
    let (issuer, issuer_child) = TokenIssuer::new(
        (truth.clone(), caches.clone()),
        handles,
        TOKENS,
        clock.clone(),
    );
    let picture = Picture::default();
    let (management, management_child) = Management::new(
        (registry.clone(), passwords, issuer.clone(), throttle),
        policy(options.has_credentials),
        picture.clone(),
        clock.clone(),
    );
    children.extend([
        registry_child,
        passwords_child,
        throttle_child,
        issuer_child,
        management_child,
    ]);
    let tree = Tree::start(children, picture).await.unwrap();
    let handles = Handles {
        issuer,
        caches,
        registry,
        management: management.clone(),
        pages: Pages::load(folder.path(), None).unwrap(),
        leaving: Leaving::default(),
    };
    App {
        routes: routes(&handles, &surface(options.hosts)),
        management,
        tree,
        truth,
        clock,
        _folder: folder,
    }
}

fn policy(has_credentials: bool) -> ConsolePolicy {
    let credentials = ConsoleCredentials {
        username: USER.to_owned(),
        password: ConsolePassword::Plain(Password::new(PASSWORD.to_owned())),
    };
    ConsolePolicy {
        credentials: has_credentials.then_some(credentials),
        min_password_characters: 8,
        csrf_key: CsrfKey::new([7; 32]),
    }
}

fn surface(hosts: Vec<String>) -> Surface {
    Surface {
        token_path: Some("/oauth/token".to_owned()),
        management_path: Some(PATH.to_owned()),
        verify_path: "/oauth/verify".to_owned(),
        introspection_path: "/oauth/introspect".to_owned(),
        revocation_path: "/oauth/revoke".to_owned(),
        issuer: None,
        error_path: Some("/oauth/errors".to_owned()),
        hosts: hosts.into(),
        trusted_proxies: Arc::new(["10.0.0.0/8".parse().unwrap()]),
    }
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// A request without credentials over TLS.
fn bare(method: &str, path: &str) -> RequestBuilder {
    warp::test::request()
        .method(method)
        .path(path)
        .header("host", "localhost:5000")
        .extension(TLS)
}

/// A request of the console user over TLS.
fn request(method: &str, path: &str) -> RequestBuilder {
    let credentials = basic(&format!("{USER}:{PASSWORD}"));
    bare(method, path).header("authorization", credentials)
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(answer.body()).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

impl App {
    async fn send(&self, request: RequestBuilder) -> Answer {
        request.reply(&self.routes).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path)).await
    }

    /// A form as a browser sends it from the console.
    fn form(&self, fields: &[(&str, &str)]) -> RequestBuilder {
        let token = self.management.csrf_token(USER);
        form_with_token(&token, fields)
    }

    async fn submit(&self, fields: &[(&str, &str)]) -> Answer {
        self.send(self.form(fields)).await
    }

    async fn post(&self, path: &str, json: &str) -> Answer {
        let request = request("POST", &format!("{API}/{path}"));
        self.send(
            request
                .header("content-type", "application/json")
                .body(json),
        )
        .await
    }

    async fn count_users(&self) -> u64 {
        self.management.list_users(None, 1).await.unwrap().total
    }

    async fn count_clients(&self) -> u64 {
        self.management.list_clients(None, 1).await.unwrap().total
    }

    /// Reports every row whose request is not answered with its status.
    async fn check(&self, rows: Vec<(&str, RequestBuilder, u16)>) {
        let mut wrong = Vec::new();
        for (name, request, status) in rows {
            let answer = self.send(request).await;
            if answer.status() != status {
                wrong.push(format!("{name}: {} {}", answer.status(), text(&answer)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn form_with_token(token: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    form_to(PATH, token, fields)
}

fn form_to(path: &str, token: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("csrf_token", token).extend_pairs(fields);
    request("POST", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://localhost:5000")
        .header("sec-fetch-site", "same-origin")
        .body(body.finish())
}
