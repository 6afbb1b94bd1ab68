//! What the started processes do: serve, until their standard input ends.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use warp::Filter;
use warp::http::StatusCode;
use warp_sentinel::clock::Clock;
use warp_sentinel::sentinel::runtime::runtime;
use warp_sentinel::sentinel::serving::Stop;
use warp_sentinel::server::accept::Server;
use warp_sentinel::server::limits::Limits;
use warp_sentinel::server::listener::Listener;
use warp_sentinel::server::tls::Loaded;
use warp_sentinel::settings::sources::{ConfigSource, Mode, Sources};
use warp_sentinel::settings::{ListenAddress, Settings};
use warp_sentinel::telemetry::{self, LineFormat};
use warp_sentinel::{Sentinel, telemetry::metrics};

use super::process::Role;
use super::{Outcome, bare_tls, bare_writes};

/// Serves in `role`. The first line on standard output is the address and the client.
///
/// # Errors
/// Why it does not start.
pub(crate) fn run(role: &Role) -> Outcome<()> {
    telemetry::start("info", LineFormat::Text)?;
    metrics::install()?;
    if let Role::BareWrites(stores) = role {
        return bare_writes::run(stores);
    }
    let settings = settings(role)?;
    let bare = tokio::runtime::Runtime::new;
    match role {
        Role::Floor => bare()?.block_on(serve_floor(&settings)),
        Role::BareTls => bare()?.block_on(bare_tls::serve(&settings.data_dir)),
        // As `sentinel` does.
        Role::BareWrites(_) | Role::Embedded | Role::MongoDb(_) | Role::Sized(_) => {
            runtime()?.block_on(serve_tokens(settings))
        }
    }
}

fn settings(role: &Role) -> Outcome<Settings> {
    let mut flags = HashMap::from([
        ("SENTINEL_LISTEN", "127.0.0.1:0"),
        ("SENTINEL_DATA_DIR", "data"),
        ("SENTINEL_TLS", "adhoc"),
        ("SENTINEL_BCRYPT_COST", "12"),
        // What they cost counts, but all clients are of one network.
        ("SENTINEL_THROTTLE_USER", "1000000"),
        ("SENTINEL_THROTTLE_NETWORK", "1000000"),
    ]);
    if let Role::Sized(_) = role {
        flags.insert("SENTINEL_BCRYPT_COST", "4");
    }
    if let Role::MongoDb(stores) | Role::Sized(stores) = role {
        flags.extend([
            ("SENTINEL_STORE", "mongodb"),
            ("SENTINEL_MONGO_URI", &stores.mongo_uri),
            ("SENTINEL_MONGO_DBNAME", &stores.database),
            ("SENTINEL_REDIS_URL", &stores.redis_url),
        ]);
    }
    let sources = Sources {
        mode: Mode::Dev,
        flags: flags
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect(),
        environment: Vec::new(),
        config: ConfigSource::Optional("sentinel.toml".into()),
    };
    Ok(Settings::load(&sources)?.settings)
}

async fn serve_tokens(settings: Settings) -> Outcome<()> {
    let (sentinel, facts) = Sentinel::start_dev(settings).await?;
    let listening = sentinel.listen().await?;
    announce(&listening.address, &facts.client_id)?;
    Ok(sentinel
        .run(listening, sentinel.routes(), async {
            end_of_input().await;
            Stop::WithoutNotice
        })
        .await?)
}

async fn serve_floor(settings: &Settings) -> Outcome<()> {
    let loaded = Loaded::from_settings(&settings.server.tls, None, &Clock::default())?;
    let server = Server {
        listener: Listener::bind(&settings.server.listen).await?,
        tls: loaded.map(|loaded| Arc::clone(&loaded.certificates)),
        limits: Limits::of_this_process(0),
    };
    announce(&server.listener.local_address()?, "")?;
    let route = warp::path!("oauth" / "verify").map(|| StatusCode::NO_CONTENT);
    let service = warp::service(route);
    let shutdown = async {
        end_of_input().await;
        Duration::ZERO
    };
    server.serve(move |_| service, shutdown).await;
    Ok(())
}

/// Tells the bench where it listens, and the client that may ask it.
///
/// # Errors
/// When it listens on no TCP address.
pub(crate) fn announce(address: &ListenAddress, client_id: &str) -> Outcome<()> {
    let ListenAddress::Tcp(address) = address else {
        return Err("the listener is not on TCP".into());
    };
    println!("{address} {client_id}");
    Ok(())
}

/// Waits until the bench is gone or has had enough.
pub(crate) async fn end_of_input() {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // Nothing is ever sent: whatever comes back means that the bench is gone.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = end.send(());
    });
    let _ = ended.await;
}
