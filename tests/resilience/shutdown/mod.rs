//! Stopping, reloading, clocks and a full disk under the log: the real binary on real stores.

mod clocks;
mod full_log;
mod reloads;
mod session;
mod stops;

use std::sync::Arc;

use crate::support::process::Place;
use crate::support::served::{self, shared_settings};
use crate::support::tls::{Pair, make_pair, write_pair};

/// A pair that many connections trust.
type Pairing = Arc<Pair>;

/// A place with stores of its own and a certificate from files.
async fn place_of(settings: &[(&str, &str)]) -> (Place, Pairing) {
    let mut place = served::place_of(&shared_settings().await);
    place.set("SENTINEL_TLS", "on");
    for (name, value) in settings {
        place.set(name, value);
    }
    let pair = make_pair();
    write_pair(&place, &pair, &pair);
    (place, Arc::new(pair))
}
