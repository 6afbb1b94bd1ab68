//! `GET /healthz` and `GET /readyz`: alive; able to issue and to verify, and not about to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use super::error::no_store;
use super::{Handles, only_read};
use crate::actors::token_cache::TokenCache;

/// Whether this server is about to stop: then it is not ready, so that balancers send requests
/// elsewhere. All else goes on. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// Notes that it will stop; there is no way back.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    issuing: bool,
    verifying: bool,
    stores: Stores,
}

#[derive(Serialize)]
struct Stores {
    truth: &'static str,
    redis: &'static str,
}

pub(crate) fn health(handles: &Handles) -> BoxedFilter<(Response,)> {
    let alive = warp::any().map(|| {
        no_store(warp::reply::json(&serde_json::json!({ "status": "alive" })).into_response())
    });
    let (registry, caches) = (handles.registry.clone(), handles.caches.clone());
    let leaving = handles.leaving.clone();
    let ready = warp::any().then(move || {
        let (registry, caches, leaving) = (registry.clone(), caches.clone(), leaving.clone());
        async move {
            // Not after a look at the stores, which may take its time.
            if leaving.has_begun() {
                return draining();
            }
            readiness(registry.is_reachable().await, &caches)
        }
    });
    let alive = only_read(&warp::path!("healthz").boxed(), alive);
    let ready = only_read(&warp::path!("readyz").boxed(), ready);
    alive.or(ready).unify().boxed()
}

fn draining() -> Response {
    let body = serde_json::json!({ "status": "draining" });
    let mut response = no_store(warp::reply::json(&body).into_response());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

// Without the truth nothing can be issued, and only tokens that Redis knows can be verified.
fn readiness(is_truth_up: bool, caches: &TokenCache) -> Response {
    let is_redis_up = caches.is_connected();
    let name = |is_up| if is_up { "up" } else { "down" };
    let status = match (is_truth_up, is_redis_up) {
        (true, true) => "ready",
        (true, false) => "degraded",
        (false, _) => "unavailable",
    };
    let redis = if caches.has_redis() {
        name(is_redis_up)
    } else {
        "not used"
    };
    let readiness = Readiness {
        status,
        issuing: is_truth_up,
        verifying: is_truth_up || is_redis_up,
        stores: Stores {
            truth: name(is_truth_up),
            redis,
        },
    };
    let mut response = no_store(warp::reply::json(&readiness).into_response());
    if !is_truth_up {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
