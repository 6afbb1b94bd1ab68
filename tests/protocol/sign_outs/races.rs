//! What is in flight while a user or client is disabled, deleted or signed out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use warp_sentinel::domain::client::{ClientId, ClientType};
use warp_sentinel::domain::standing::SessionsOf;

use super::{IN_FORCE, NEW_PASSWORD, Pair};
use crate::support::app::{TestApp, Tokens, USER};
use crate::support::process::{PATIENCE, PAUSE};

/// How far it is.
#[derive(Default)]
struct Hammering {
    /// Whether a token was given.
    has_begun: AtomicBool,
    is_over: AtomicBool,
}

/// Logs in and refreshes at both servers until told to stop; gives every pair that it was given.
async fn hammer(pair: &Pair, clients: &[String], state: &Hammering) -> Vec<Tokens> {
    let workers = clients.iter().enumerate().flat_map(|(index, client)| {
        (0..2).map(move |number| {
            let server = if (index + number) % 2 == 0 {
                &pair.app
            } else {
                &pair.sibling
            };
            work(server, client, state)
        })
    });
    join_all(workers).await.into_iter().flatten().collect()
}

async fn work(server: &TestApp, client: &str, state: &Hammering) -> Vec<Tokens> {
    let mut given = Vec::new();
    while !state.is_over.load(Ordering::Relaxed) {
        let login = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", USER.0),
            ("password", USER.1),
        ];
        let mut answered = server.token(&login).await;
        for _ in 0..3 {
            if answered.status != 200 {
                // A login may come first and end the pair.
                let error = answered.error();
                let is_refusal = ["invalid_grant", "invalid_client"].contains(&error.as_str());
                assert!(is_refusal, "{}", answered.body);
                break;
            }
            let tokens = answered.tokens();
            given.push(tokens.clone());
            state.has_begun.store(true, Ordering::Relaxed);
            let refresh = [
                ("grant_type", "refresh_token"),
                ("client_id", client),
                ("refresh_token", tokens.refresh.as_str()),
            ];
            answered = server.token(&refresh).await;
        }
    }
    given
}

/// Orders something in the middle of the hammering, and lets that go on for as long as an end may
/// take to be in force.
async fn in_the_middle(
    pair: &Pair,
    clients: &[String],
    (after, order): (Duration, (Method, String, Value)),
) -> Vec<Tokens> {
    let state = Hammering::default();
    let ordered = async {
        tokio::time::sleep(after).await;
        // On a busy machine the first token may take longer.
        let by = Instant::now() + PATIENCE;
        while !state.has_begun.load(Ordering::Relaxed) {
            assert!(Instant::now() < by, "nobody got a token");
            tokio::time::sleep(PAUSE).await;
        }
        let (method, path, body) = order;
        let answer = pair.order(method, &path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        tokio::time::sleep(IN_FORCE).await;
        state.is_over.store(true, Ordering::Relaxed);
    };
    let (given, ()) = join(hammer(pair, clients, &state), ordered).await;
    given
}

#[tokio::test]
async fn nothing_in_flight_outlives_the_end_of_its_user_or_client() {
    let pair = Pair::start().await;
    let mut clients = vec![pair.app.client_id.clone()];
    for _ in 0..5 {
        clients.push(pair.app.add_client(ClientType::Public).await.0);
    }
    let user = format!("users/{}", pair.user);
    for round in 0..8 {
        let after = Duration::from_millis(120 + 17 * round);
        let body = if round % 2 == 0 {
            json!({ "disabled": true })
        } else {
            json!({ "password": NEW_PASSWORD })
        };
        let what = format!("round {round}: {body}");
        let order = (Method::PATCH, user.clone(), body);
        let given = in_the_middle(&pair, &clients, (after, order)).await;
        assert_eq!(pair.keys().await, 0, "{what}");
        assert_eq!(pair.pairs(SessionsOf::User(pair.user)).await, 0, "{what}");
        for tokens in &given {
            for server in [&pair.app, &pair.sibling] {
                assert_eq!(server.verify(&tokens.access).await.status, 401, "{what}");
            }
        }
        let back = json!({ "disabled": false, "password": USER.1 });
        assert_eq!(pair.patch_user(back).await.status, 200);
    }
    let given = in_the_middle(
        &pair,
        &clients[..2],
        (
            Duration::from_millis(150),
            (
                Method::PATCH,
                format!("clients/{}", clients[0]),
                json!({ "disabled": true }),
            ),
        ),
    )
    .await;
    assert!(!given.is_empty());
    let id = ClientId::new(&clients[0]);
    assert_eq!(pair.pairs(SessionsOf::Client(id)).await, 0);
    let order = (Method::DELETE, user, json!({}));
    let after = Duration::from_millis(150);
    in_the_middle(&pair, &clients[1..], (after, order)).await;
    assert_eq!(pair.keys().await, 0);
    assert_eq!(pair.pairs(SessionsOf::Everyone).await, 0);
}

#[tokio::test]
async fn no_family_slips_through_when_everyone_is_signed_out() {
    let pair = Pair::start().await;
    let mut sessions = Vec::new();
    for index in 0..12 {
        let client = pair.app.add_client(ClientType::Public).await.0;
        let form = [
            ("grant_type", "password"),
            ("client_id", client.as_str()),
            ("username", USER.0),
            ("password", USER.1),
        ];
        let server = if index % 2 == 0 {
            &pair.app
        } else {
            &pair.sibling
        };
        let tokens = server.token(&form).await.tokens();
        sessions.push((server, client, tokens));
    }
    let stop = AtomicBool::new(false);
    let refreshed = sessions.into_iter().map(|(server, client, first)| {
        let stop = &stop;
        async move {
            let mut last = first;
            while !stop.load(Ordering::Relaxed) {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client.as_str()),
                    ("refresh_token", last.refresh.as_str()),
                ];
                let answer = server.token(&form).await;
                if answer.status != 200 {
                    assert_eq!(answer.error(), "invalid_grant", "{}", answer.body);
                    break;
                }
                last = answer.tokens();
            }
            last
        }
    });
    let ended = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let body = json!({ "everyone": true });
        let ended = pair.order(Method::POST, "tokens/revoke-all", body).await;
        assert_eq!(ended.status, 204, "{}", ended.body);
        let left = (pair.pairs(SessionsOf::Everyone).await, pair.keys().await);
        stop.store(true, Ordering::Relaxed);
        left
    };
    let (last, left) = join(join_all(refreshed), ended).await;
    assert_eq!(left, (0, 0));
    for tokens in last {
        assert_eq!(pair.app.verify(&tokens.access).await.status, 401);
    }
}
