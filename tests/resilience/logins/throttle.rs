//! Guesses at once, over two servers, and through crashes of theirs.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::alone::serial;
use crate::figures::tell;
use crate::support::served::{Served, shared_settings};
use crate::support::server::free_port;

/// Guesses at once.
const WIDE: usize = 200;
/// The default of failures that a user name may have.
const LIMIT: u64 = 10;

/// CVE-2024-4629: guesses at once are no more than guesses one after the other. CVE-2024-21652: nor
/// does a crash forget them.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_guesses_over_two_servers_is_hashed_as_often_as_may_fail() {
    let _alone = serial().await;
    let settings = shared_settings().await;
    let mut servers = [start(&settings).await, start(&settings).await];
    let api = &servers[0].0.api;
    api.add_user("jonas").await;
    let client_id = api.add_client().await;
    let before = hashes(&servers).await;
    let statuses = guess_at_once(&servers, &client_id).await;
    let hashed = hashes(&servers).await - before;
    let of = |status: u16| statuses.iter().filter(|own| **own == status).count();
    tell(format!(
        "{WIDE} guesses at once: {hashed} hashed, {} refused unseen, {} told to come again",
        of(429),
        of(503)
    ));
    assert!(hashed <= LIMIT + 1, "{hashed} hashed");
    assert_eq!(of(400) + of(429) + of(503), WIDE, "{statuses:?}");
    assert_eq!(of(400) as u64, LIMIT);

    for (server, _) in &mut servers {
        server.kill();
        server.restart();
    }
    for (server, _) in &mut servers {
        server
            .becomes("ready", crate::support::process::PATIENCE)
            .await;
        let right = server.api.login(&client_id, "jonas").await.unwrap();
        assert_eq!(right.status, 429, "{}", right.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_forgets_no_guesses_on_the_embedded_store_either() {
    let settings = [
        ("SENTINEL_STORE", "embedded".to_owned()),
        ("SENTINEL_THROTTLE_USER", "3".to_owned()),
    ];
    let mut server = Served::start(&settings).await;
    server.api.add_user("jonas").await;
    let client_id = server.api.add_client().await;
    for _ in 0..3 {
        let wrong = server.api.login_with(&client_id, "jonas", "wrong").await;
        assert_eq!(wrong.unwrap().status, 400);
    }
    server.kill();
    server.restart();
    server
        .becomes("ready", crate::support::process::PATIENCE)
        .await;
    let right = server.api.login(&client_id, "jonas").await.unwrap();
    assert_eq!(right.status, 429, "{}", right.body);
}

/// A server with the default limits, and the port of its metrics.
async fn start(settings: &[(&'static str, String)]) -> (Served, u16) {
    let port = free_port();
    let mut all = settings.to_vec();
    all.extend([
        ("SENTINEL_METRICS_LISTEN", format!("127.0.0.1:{port}")),
        ("SENTINEL_THROTTLE_USER", LIMIT.to_string()),
        ("SENTINEL_THROTTLE_NETWORK", "100".to_owned()),
    ]);
    (Served::start(&all).await, port)
}

async fn guess_at_once(servers: &[(Served, u16)], client_id: &str) -> Vec<u16> {
    let barrier = Arc::new(Barrier::new(WIDE));
    let mut guesses = JoinSet::new();
    for number in 0..WIDE {
        let api = servers[number % servers.len()].0.api.clone();
        let (barrier, client_id) = (Arc::clone(&barrier), client_id.to_owned());
        guesses.spawn(async move {
            barrier.wait().await;
            let password = format!("guess {number}");
            let guess = api.login_with(&client_id, "jonas", &password).await;
            guess.unwrap().status.as_u16()
        });
    }
    guesses.join_all().await
}

/// Hashes begun by all of them.
async fn hashes(servers: &[(Served, u16)]) -> u64 {
    let mut begun = 0;
    for (_, port) in servers {
        let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await;
        let text = metrics.unwrap().text().await.unwrap();
        let counts = text
            .lines()
            .filter_map(|line| line.strip_prefix("password_hashes_total "));
        begun += counts
            .map(|count| count.parse::<u64>().unwrap())
            .sum::<u64>();
    }
    begun
}
