//! A server that has lost Redis ends a family and says that it could not; another one, which has
//! Redis, is asked again.

use super::{Several, value};
use crate::alone::serial;
use crate::history::entry::pair;
use crate::proxy::Proxy;
use crate::support::process::PATIENCE;
use crate::support::served::{Served, shared_settings};

const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_without_redis_ended_has_left_it_when_another_acknowledges_the_repeat() {
    let _alone = serial().await;
    let settings = shared_settings().await;
    let mut several = Several::start_on(&settings, 1, 1).await;
    let (url, proxy) = behind_proxy(value(&settings, "SENTINEL_REDIS_URL")).await;
    let mut cut_off = settings.clone();
    cut_off.retain(|(key, _)| *key != "SENTINEL_REDIS_URL");
    cut_off.push(("SENTINEL_REDIS_URL", url));
    several.servers.push(Served::start(&cut_off).await);
    for _ in 0..ROUNDS {
        let first = several.login(0, 0).await;
        let second = pair(&several.refresh(&several.client_id, &first.refresh).await);
        assert_eq!(several.keys(&second.access).await, 2);
        proxy.cut();
        let failed = several.servers[1].api.revoke(&first.refresh).await.unwrap();
        assert_eq!(failed.status, 503, "{}", failed.body);
        let repeated = several.servers[0].api.revoke(&first.refresh).await.unwrap();
        assert_eq!(repeated.status, 204, "{}", repeated.body);
        assert_eq!(several.keys(&second.access).await, 0, "it is there yet");
        assert_eq!(several.verify(0, &second.access).await, 401);
        proxy.open();
        several.servers[1].becomes("ready", PATIENCE).await;
    }
}

/// The same Redis, through a proxy.
async fn behind_proxy(url: &str) -> (String, Proxy) {
    let (_, rest) = url.split_once("://").unwrap();
    let (host, database) = rest.split_once('/').unwrap();
    let proxy = Proxy::before(host.parse().unwrap()).await;
    (format!("redis://{}/{database}", proxy.address()), proxy)
}
