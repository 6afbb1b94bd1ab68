//! As the races, on the embedded store: one file, and the memory of one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::json;

use crate::support::served::{Api, Served};

const NAME: &str = "anna";

#[tokio::test]
async fn nothing_in_flight_outlives_the_end_of_its_user_in_the_embedded_store() {
    let served = Served::start(&[("SENTINEL_STORE", "embedded".to_owned())]).await;
    let api = &served.api;
    api.add_user(NAME).await;
    let clients = join_all((0..6).map(|_| api.add_client())).await;
    let nothing = json!({});
    let found = api.order(Method::GET, "users?username=anna", &nothing);
    let found = found.await.unwrap().json();
    let user = format!("users/{}", found["items"][0]["id"].as_str().unwrap());
    for round in 0..6 {
        let stop = AtomicBool::new(false);
        let ended = async {
            tokio::time::sleep(Duration::from_millis(100 + 13 * round)).await;
            let disable = json!({ "disabled": true });
            let ended = api.order(Method::PATCH, &user, &disable).await.unwrap();
            assert_eq!(ended.status, 200, "{}", ended.body);
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.store(true, Ordering::Relaxed);
        };
        let workers = clients.iter().map(|client| work(api, client, &stop));
        let (given, ()) = join(join_all(workers), ended).await;
        let given: Vec<String> = given.into_iter().flatten().collect();
        assert!(!given.is_empty());
        for token in &given {
            assert_eq!(api.verify(token).await.unwrap().status, 401, "{round}");
        }
        let enable = json!({ "disabled": false });
        let enabled = api.order(Method::PATCH, &user, &enable).await.unwrap();
        assert_eq!(enabled.status, 200, "{}", enabled.body);
        // What came back to life with the user would be accepted now.
        for token in &given {
            assert_eq!(api.verify(token).await.unwrap().status, 401, "{round}");
        }
    }
}

async fn work(api: &Api, client: &str, stop: &AtomicBool) -> Vec<String> {
    let mut given = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let answer = api.login(client, NAME).await.unwrap();
        if answer.status == 200 {
            given.push(answer.tokens().access);
        }
    }
    given
}
