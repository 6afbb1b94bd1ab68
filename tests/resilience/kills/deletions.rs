//! `kill -9` of the server that deletes a user, at any of its steps (reliability row C14): another
//! server, asked again, finishes it.

use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::contents;
use crate::alone::serial;
use crate::figures::tell;
use crate::random::Random;
use crate::support::length::number;
use crate::support::process::PATIENCE;
use crate::support::served::{Api, OwnStores, Served};

/// Users that are deleted in a short run.
const ROUNDS: u64 = 20;
/// Sessions of a user.
const CLIENTS: usize = 12;
/// By then a deletion is over, killed or not.
const LATEST_KILL_MICROS: u64 = 12_000;
/// Within this no server accepts what was ended.
const IN_FORCE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_kill_cut_short_is_finished_by_its_repeat() {
    let _alone = serial().await;
    let stores = OwnStores::start().await;
    let settings = stores.settings();
    let mut killed = Served::start(&settings).await;
    let other = Served::start(&settings).await;
    let clients: Vec<String> = join_all((0..CLIENTS).map(|_| other.api.add_client())).await;
    let mut random = Random::of(number("SENTINEL_TEST_SEED", 7));
    let mut cut_short = 0;
    for round in 0..number("SENTINEL_TEST_KILLS", ROUNDS) {
        let name = format!("user{round}");
        other.api.add_user(&name).await;
        let tokens = log_in(&killed.api, &clients, &name).await;
        let user = find(&other.api, &name).await.unwrap();
        let path = format!("users/{user}");
        let nothing = json!({});
        let api = killed.api.clone();
        let deletion = api.order(Method::DELETE, &path, &nothing);
        let after = Duration::from_micros(random.below(LATEST_KILL_MICROS));
        let kill = async {
            sleep(after).await;
            killed.kill();
        };
        let (deleted, ()) = join(deletion, kill).await;
        cut_short += u64::from(deleted.is_err());
        let repeated = other.api.order(Method::DELETE, &path, &nothing).await;
        let repeated = repeated.unwrap();
        // It is not found where the first was over, told or not.
        assert!(
            [204, 404].contains(&repeated.status.as_u16()),
            "{}",
            repeated.body
        );
        killed.restart();
        killed.becomes("ready", PATIENCE).await;
        assert!(find(&other.api, &name).await.is_none(), "round {round}");
        let by = Instant::now() + IN_FORCE;
        for server in [&other, &killed] {
            for token in &tokens {
                while server.api.verify(token).await.unwrap().status != 401 {
                    assert!(Instant::now() < by, "round {round} after {after:?}");
                }
            }
        }
        contents::are_gone(&stores, &tokens).await;
    }
    tell(format!("{cut_short} deletions were cut short"));
    assert!(cut_short > 0);
}

async fn log_in(api: &Api, clients: &[String], name: &str) -> Vec<String> {
    let logins = clients.iter().map(|client| api.login(client, name));
    let answers = join_all(logins).await.into_iter();
    answers
        .map(|answer| answer.unwrap().tokens().access)
        .collect()
}

/// The identifier of a user.
async fn find(api: &Api, name: &str) -> Option<String> {
    let path = format!("users?username={name}");
    let found = api.order(Method::GET, &path, &json!({})).await.unwrap();
    found.json()["items"][0]["id"].as_str().map(str::to_owned)
}
