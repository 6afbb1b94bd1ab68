//! Stopping, reloading, clocks and a full disk under the log: the real binary on real stores.

mod clocks;
mod full_log;
mod reloads;
mod session;
mod stops;
mod wire;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::support::app::CONSOLE;
use crate::support::process::Place;
use crate::support::stores::stores;
use crate::support::tls::{Pair, make_pair, write_pair};

/// A pair that many connections trust.
type Pairing = Arc<Pair>;

/// A place with stores of its own and a certificate from files.
async fn place_of(settings: &[(&str, &str)]) -> (Place, Pairing) {
    let stores = stores().await;
    let mut place = Place::with(&[
        ("SENTINEL_MONGO_URI", &stores.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", &stores.fresh_database()),
        (
            "SENTINEL_REDIS_URL",
            &stores.redis_url(stores.fresh_redis_db()),
        ),
        ("SENTINEL_TLS", "on"),
        ("SENTINEL_BCRYPT_COST", "4"),
        ("SENTINEL_MANAGEMENT_USERNAME", CONSOLE.0),
        ("SENTINEL_MANAGEMENT_PASSWORD", CONSOLE.1),
    ]);
    for (name, value) in settings {
        place.set(name, value);
    }
    let pair = make_pair();
    write_pair(&place, &pair, &pair);
    (place, Arc::new(pair))
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
