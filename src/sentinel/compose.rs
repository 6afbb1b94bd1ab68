//! Builds the parts from the settings and joins them: stores, actors, pages, certificate.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::Inner;
use super::error::StartError;
use super::surface::surface;
use super::token_storage;
use crate::actors::management::{ConsoleCredentials, ConsolePassword, ConsolePolicy, Management};
use crate::actors::password_pool::{PasswordPolicy, PasswordPool};
use crate::actors::supervisor::picture::Picture;
use crate::actors::supervisor::{Child, Tree};
use crate::actors::throttle::{Throttle, ThrottlePolicy};
use crate::actors::token_cache::{CachePolicy, TokenCache};
use crate::actors::token_issuer::TokenIssuer;
use crate::actors::token_issuer::request::TokenPolicy;
use crate::actors::user_registry::UserRegistry;
use crate::clock::{self, Clock};
use crate::crypto::csrf::CsrfKey;
use crate::crypto::{password, random};
use crate::domain::token_key::TokenStorage;
use crate::domain::user::{HashOrigin, Password, PasswordHash};
use crate::http::Handles;
use crate::http::health::Leaving;
use crate::http::pages::{Pages, PagesError};
use crate::server::tls::{Certificates, Loaded};
use crate::settings::{ManagementSettings, Settings, StoreSettings};
use crate::stores::redis::endpoints::RedisEndpoints;
use crate::stores::{Truth, embedded, mongo};
use crate::telemetry::metrics;

/// How long the start waits for Redis, so that the first token issued is in it.
const REDIS_START_LIMIT: Duration = Duration::from_secs(1);

/// Opens the stores and starts the actors.
pub(super) async fn compose(settings: Settings, clock: Clock) -> Result<Inner, StartError> {
    let now = clock.now();
    if now < clock::YOUNGER_THAN {
        return Err(StartError::Clock(now));
    }
    // Another library of the process may have chosen one already; then that one is used.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    if metrics::install().is_err() {
        tracing::warn!("another recorder of metrics is installed; ours stays empty");
    }
    let pages = load_pages(&settings)?;
    let certificates = load_certificate(&settings, &clock)?;
    let (truth, redis) = open_stores(&settings, &clock).await?;
    let storage = token_storage::wanted(&settings);
    // Seldom more than one question; a large future otherwise.
    let adopted = token_storage::adopt(&truth, redis.as_ref(), storage, &clock);
    let storage = Box::pin(adopted).await?;
    let caches = cache_policy(&settings, redis, storage);
    let (handles, children, picture) = build(&settings, (truth, caches), pages, &clock).await?;
    let actors = |error: ractor::SpawnErr| StartError::Actors(error.to_string());
    let tree = Tree::start(children, picture).await.map_err(actors)?;
    if !handles.caches.connected_within(REDIS_START_LIMIT).await {
        tracing::warn!("Redis cannot be reached; working from the truth until it is there");
    }
    Ok(Inner {
        surface: surface(&settings),
        settings,
        clock,
        handles,
        certificates,
        tree: Mutex::new(Some(tree)),
        stop: watch::Sender::new(false),
        serving: watch::Sender::new(0),
    })
}

/// Reads the pages, and tries them out.
pub(super) fn load_pages(settings: &Settings) -> Result<Pages, PagesError> {
    let error_page = settings.endpoints.error_endpoint.as_deref();
    Pages::load(&settings.templates, error_page)
}

fn load_certificate(
    settings: &Settings,
    clock: &Clock,
) -> Result<Option<Arc<Certificates>>, StartError> {
    let issuer = settings.endpoints.issuer.as_ref();
    let host = issuer.and_then(|issuer| issuer.host_str());
    let loaded = Loaded::from_settings(&settings.server.tls, host, clock)?;
    Ok(loaded.map(|loaded| {
        note_certificate(&loaded.certificates, &loaded.warnings);
        loaded.certificates
    }))
}

/// Tells an operator what is to be mended about a certificate, and when it expires.
pub(super) fn note_certificate(certificates: &Certificates, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit into 52 bits"
    )]
    let expiry = certificates.not_after().unix_timestamp() as f64;
    ::metrics::gauge!(metrics::TLS_CERTIFICATE_EXPIRY).set(expiry);
}

async fn open_stores(
    settings: &Settings,
    clock: &Clock,
) -> Result<(Truth, Option<RedisEndpoints>), StartError> {
    match &settings.store {
        StoreSettings::MongoDb { mongo, redis, .. } => {
            let redis = RedisEndpoints::new(&redis.topology)?;
            Ok((mongo::open(mongo, clock).await?, Some(redis)))
        }
        StoreSettings::Embedded => {
            let path = settings.data_dir.join("sentinel.redb");
            Ok((embedded::open(&path, clock)?, None))
        }
    }
}

/// The handles, and the actors behind them in the order of their dependence.
async fn build(
    settings: &Settings,
    (truth, cache_policy): (Truth, CachePolicy),
    pages: Pages,
    clock: &Clock,
) -> Result<(Handles, Vec<Child>, Picture), StartError> {
    let console = console_policy(settings, &truth).await?;
    let (registry, registry_actor) = UserRegistry::new(truth.clone());
    let (passwords, password_actor) =
        PasswordPool::new(password_policy(settings)).map_err(StartError::Threads)?;
    let attempts = Arc::clone(&truth.attempts);
    let (throttle, throttle_actor) =
        Throttle::new(attempts, throttle_policy(settings), clock.clone());
    let (caches, cache_actors) = TokenCache::new(cache_policy, &truth.tokens, clock);
    let (issuer, issuer_actor) = TokenIssuer::new(
        (truth, caches.clone()),
        (registry.clone(), passwords.clone(), throttle.clone()),
        token_policy(settings),
        clock.clone(),
    );
    let picture = Picture::default();
    let (management, management_actor) = Management::new(
        (registry.clone(), passwords, issuer.clone(), throttle),
        console,
        picture.clone(),
        clock.clone(),
    );
    let mut children = vec![registry_actor, password_actor, throttle_actor];
    children.extend(cache_actors);
    children.extend([issuer_actor, management_actor]);
    Ok((
        Handles {
            issuer,
            caches,
            registry,
            management,
            pages,
            leaving: Leaving::default(),
        },
        children,
        picture,
    ))
}

async fn console_policy(settings: &Settings, truth: &Truth) -> Result<ConsolePolicy, StartError> {
    let candidate = *random::key();
    let key = truth
        .secrets
        .find_or_insert_secret("console_forms", candidate)
        .await?;
    Ok(ConsolePolicy {
        credentials: settings.management.as_ref().map(console_credentials),
        min_password_characters: settings.passwords.min_characters,
        csrf_key: CsrfKey::new(key),
    })
}

fn console_credentials(settings: &ManagementSettings) -> ConsoleCredentials {
    let text = settings.password.expose().to_owned();
    let password = if password::looks_like_hash(&text) {
        ConsolePassword::Hash(PasswordHash::new(text, HashOrigin::FlaskSentinel))
    } else {
        ConsolePassword::Plain(Password::new(text))
    };
    ConsoleCredentials {
        username: settings.username.clone(),
        password,
    }
}

fn password_policy(settings: &Settings) -> PasswordPolicy {
    PasswordPolicy {
        cost: settings.passwords.cost,
        queue: settings.passwords.queue,
        lanes: settings.passwords.lanes,
        workers: std::thread::available_parallelism().map_or(1, NonZero::get),
    }
}

fn throttle_policy(settings: &Settings) -> ThrottlePolicy {
    ThrottlePolicy {
        user: settings.throttle.user,
        network: settings.throttle.network,
        window: settings.throttle.window,
    }
}

fn token_policy(settings: &Settings) -> TokenPolicy {
    TokenPolicy {
        access_lifetime: settings.tokens.access_lifetime,
        refresh_lifetime: settings.tokens.refresh_lifetime,
        refresh_idle_lifetime: settings.tokens.refresh_idle_lifetime,
    }
}

fn cache_policy(
    settings: &Settings,
    redis: Option<RedisEndpoints>,
    storage: TokenStorage,
) -> CachePolicy {
    let shards_per_endpoint = match &settings.store {
        StoreSettings::MongoDb { redis, .. } => redis.shards_per_endpoint,
        StoreSettings::Embedded => 1,
    };
    CachePolicy {
        redis,
        shards_per_endpoint,
        storage,
    }
}
