//! Each query that a request or the server itself makes is an index look-up: mongod's profiler
//! tells the plan of each, and how many documents it read.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};
use redis::aio::MultiplexedConnection;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::client::{ClientId, ClientType};
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{EndedToken, RecordId, TokenRecord};
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::domain::user::UserId;
use warp_sentinel::stores::TokenWrite;

use crate::support::app::{AsConsole, FORM, TestApp, USER, answer, spawn_app_with};
use crate::support::stores::stores;

/// Live pairs beside those that are asked for: more than the two pages of one look through them.
const PAIRS: usize = 1_100;
/// Remembered ends beside those that are asked for: more than a page of them.
const ENDS: usize = 1_100;
/// Ends that a server left behind which died: more than a page of them.
const LEFT: usize = 1_010;
/// Users and clients beside those that are asked for: several pages.
const OTHERS: usize = 60;
/// What a query may read that it does not give: one document at the edge of a range.
const SPARE: i64 = 1;
/// Keys that it may look at beside those of what it gives: one for each text that is not there.
const SPARE_KEYS: i64 = 8;
/// For the server to look for what it was told of.
const PATIENCE: Duration = Duration::from_secs(20);

/// What must have been asked by the end, or nothing was shown: collections, and fields of a filter.
const ASKED: [(&str, &str); 26] = [
    ("users", "username"),
    ("users", "_id"),
    ("users", "_id disabled"),
    ("users", "_id username"),
    ("users", "_id hashpw"),
    ("clients", "client_id"),
    ("clients", "client_id disabled"),
    ("clients", "_id client_id"),
    ("tokens", "access_token"),
    ("tokens", "refresh_token"),
    ("tokens", "rotated_from.refresh_token"),
    ("tokens", "client_id user_id session"),
    ("tokens", "family|_id family"),
    ("tokens", "expires"),
    ("tokens", "expires expires|expires _id"),
    ("tokens", "_id"),
    ("tokens", "_id access_token refresh_token"),
    ("ended_tokens", "_id"),
    ("ended_tokens", "ends.refresh_token"),
    ("ended_tokens", "expires _id"),
    ("ended_tokens", "expires|expires _id _id"),
    ("ended_tokens", "expires _id unpublished"),
    ("ended_tokens", "expires|expires _id _id unpublished"),
    ("attempts", "_id"),
    ("attempts", "_id ends_at"),
    ("secrets", "_id"),
];

/// What is asked besides when users and clients are changed, signed out and deleted.
const ASKED_AT_AN_END: [(&str, &str); 9] = [
    ("users", "_id disabled sessions_ended"),
    ("clients", "client_id disabled sessions_ended"),
    ("clients", "client_id client_secret_hashes"),
    ("clients", "client_secrets.id client_id"),
    ("tokens", "user_id _id"),
    ("tokens", "client_id _id"),
    ("tokens", "_id"),
    ("ended_tokens", "expires _id unpublished"),
    ("clients", "client_id"),
];

#[tokio::test]
async fn each_query_of_each_request_is_an_index_look_up() {
    // A hash of fewer rounds than this is made anew at a login.
    let app = spawn_app_with(&[
        ("SENTINEL_BCRYPT_COST", "5"),
        ("SENTINEL_THROTTLE_USER", "100"),
        ("SENTINEL_THROTTLE_NETWORK", "100"),
    ])
    .await;
    let left = fill(&app).await;
    let database = profiled(&app).await;
    use_tokens(&app).await;
    use_console(&app).await;
    // Its start reads all ends. The flush has both servers look through all live tokens.
    let sibling = app.sibling().await;
    assert_eq!(answer(sibling.get("/readyz")).await.status, 200);
    let () = redis::cmd("FLUSHDB")
        .query_async(&mut link(&app).await)
        .await
        .unwrap();
    // Left behind by a server that died before it could tell Redis.
    app.truth.tokens.remember_ends(&left).await.unwrap();
    // Looked for first is what live tokens must be there for.
    queries_until_all_is_asked(&database, &ASKED).await;
    end_sessions(&app).await;
    let queries = queries_until_all_is_asked(&database, &ASKED_AT_AN_END).await;
    let faults: Vec<String> = queries.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The database, with each of its commands written down from now on.
async fn profiled(app: &TestApp) -> Database {
    let client = Client::with_uri_str(stores().await.mongo_uri())
        .await
        .unwrap();
    let database = client.database(&app.database);
    let create = doc! { "create": "system.profile", "capped": true, "size": 64 << 20 };
    database.run_command(create).await.unwrap();
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    database
}

/// Fills the collections, so that a query which reads too much is told from one that does not. Gives
/// ends of which Redis was not told.
async fn fill(app: &TestApp) -> Vec<EndedToken> {
    let mut sessions = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..OTHERS {
        clients.push(app.add_client(ClientType::Public).await.0);
    }
    for index in 0..OTHERS {
        let user = app.add_user(&format!("user{index}"), USER.1).await;
        sessions.extend(
            clients
                .iter()
                .map(|client| (user.id, ClientId::new(client))),
        );
    }
    let now = Clock::default().now();
    let records: Vec<TokenRecord> = (0..)
        .zip(sessions)
        .map(|(number, session)| record(number, session, now))
        .collect();
    let (live, ended) = records.split_at(PAIRS);
    let inserts: Vec<_> = live.iter().cloned().map(TokenWrite::Insert).collect();
    app.truth.tokens.write(&inserts).await.unwrap();
    let ended = ended.iter().take(ENDS + LEFT);
    let mut ends: Vec<EndedToken> = ended.map(|record| record.end(now, record.id)).collect();
    let left = ends.split_off(ENDS);
    assert_eq!(left.len(), LEFT);
    for end in &mut ends {
        (end.is_answered, end.is_published) = (true, true);
    }
    app.truth.tokens.remember_ends(&ends).await.unwrap();
    left
}

fn record(
    number: u32,
    (user_id, client_id): (UserId, ClientId),
    now: OffsetDateTime,
) -> TokenRecord {
    let token = |kind: char| TokenKey::parse(&format!("{kind}{number:029}")).unwrap();
    let [a, b, c, d] = number.to_be_bytes();
    let id = RecordId([0x6b, 4, 0x92, 0x13, 0, 0, 0, 0, a, b, c, d]);
    TokenRecord {
        id,
        access_token: token('a'),
        refresh_token: Some(token('r')),
        client_id,
        user_id: Some(user_id),
        scope: Scope::default(),
        refresh_scope: Scope::default(),
        issued_at: now,
        expires_at: now + time::Duration::hours(1),
        refresh_expires_at: Some(now + time::Duration::days(30)),
        family_expires_at: Some(now + time::Duration::days(30)),
        session: None,
        family: id,
        rotated_from: None,
        replaced: None,
    }
}

async fn use_tokens(app: &TestApp) {
    let first = app.login().await;
    let second = app.login().await;
    assert_eq!(app.verify(&second.access).await.status, 204);
    assert_eq!(app.verify(&first.access).await.status, 401);
    let third = app.refresh(&second.refresh).await.tokens();
    // Its answer was lost.
    let again = app.refresh(&second.refresh).await.tokens();
    assert_eq!(again.access, third.access);
    let fourth = app.refresh(&third.refresh).await.tokens();
    // Stolen: it ends the family.
    assert_eq!(app.refresh(&second.refresh).await.error(), "invalid_grant");
    assert_eq!(app.verify(&fourth.access).await.status, 401);
    let fifth = app.login().await;
    let mut delete = redis::cmd("DEL");
    delete
        .arg(&fifth.access)
        .arg(format!("sentinel:{{{}}}", fifth.access));
    let () = delete.query_async(&mut link(app).await).await.unwrap();
    assert_eq!(app.verify(&fifth.access).await.status, 204);
    assert_eq!(app.revoke(&fifth.access).await.status, 204);
    assert_eq!(app.revoke(&fifth.access).await.status, 204);
    for (username, password) in [(USER.0, "wrong"), ("nobody", USER.1)] {
        let refused = app.login_as(username, password).await;
        assert_eq!(refused.error(), "invalid_grant");
    }
    app.login_as("user7", USER.1).await.tokens();
}

async fn use_console(app: &TestApp) {
    let get = async |path: &str| {
        let path = format!("/oauth/management{path}");
        let answer = answer(app.get(&path).with_console_credentials()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    };
    for list in ["users", "clients"] {
        let mut pages = 0;
        let mut after = String::new();
        loop {
            let page = get(&format!("/api/v1/{list}?limit=20{after}")).await.json();
            pages += 1;
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert!(pages > 3, "{list}: {pages}");
    }
    get("").await;
    get("/api/v1/actors").await;
    get("/api/v1/users?username=user7").await;
    let user = json!({ "username": "new", "password": "a good password" });
    let client = json!({ "client_type": "public" });
    for (list, body, status) in [
        ("users", &user, 201),
        ("users", &user, 409),
        ("clients", &client, 201),
    ] {
        let post = app.post(&format!("/oauth/management/api/v1/{list}"));
        let answer = answer(post.with_console_credentials().json(body)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

/// Disables, signs out and deletes users and clients that have tokens.
async fn end_sessions(app: &TestApp) {
    let order = async |method: Method, path: &str, body: Value| {
        let url = format!("{}/oauth/management/api/v1/{path}", app.url);
        let request = app.http.request(method.clone(), url);
        let answer = answer(request.with_console_credentials().json(&body)).await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {}",
            answer.body
        );
        answer
    };
    let id = async |name: &str| {
        let user = app.truth.users.find_user(name).await.unwrap();
        user.unwrap().id.to_string()
    };
    let disable = json!({ "disabled": true });
    let user = id("user5").await;
    order(Method::PATCH, &format!("users/{user}"), disable.clone()).await;
    let of_user = json!({ "user_id": id("user6").await });
    order(Method::POST, "tokens/revoke-all", of_user).await;
    order(Method::DELETE, &format!("users/{user}"), json!({})).await;
    let (client, secret) = app.add_client(ClientType::Confidential).await;
    let login = format!(
        "grant_type=password&username=user7&password={}",
        "pass+word+1"
    );
    let request = app.post("/oauth/token").basic_auth(&client, Some(secret));
    let granted = answer(request.header("content-type", FORM).body(login)).await;
    assert_eq!(granted.status, 200, "{}", granted.body);
    let client = format!("clients/{client}");
    let rotated = order(Method::POST, &format!("{client}/secrets"), json!({})).await;
    let rotated = rotated.json()["id"].as_str().unwrap().to_owned();
    order(
        Method::DELETE,
        &format!("{client}/secrets/{rotated}"),
        json!({}),
    )
    .await;
    order(Method::PATCH, &client, disable).await;
    order(Method::DELETE, &client, json!({})).await;
    order(
        Method::POST,
        "tokens/revoke-all",
        json!({ "everyone": true }),
    )
    .await;
}

/// A connection of another program to the app's Redis.
async fn link(app: &TestApp) -> MultiplexedConnection {
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// What was written down, once all that is expected was. Some of it the server asks by itself.
async fn queries_until_all_is_asked(database: &Database, asked: &[(&str, &str)]) -> Vec<Document> {
    let started = Instant::now();
    loop {
        let profile = database.collection::<Document>("system.profile");
        let entries = profile.find(doc! { "planSummary": { "$exists": true } });
        let entries: Vec<Document> = entries.await.unwrap().try_collect().await.unwrap();
        let own = |entry: &Document| !namespace(entry).ends_with("system.profile");
        let queries: Vec<Document> = entries.into_iter().filter(own).collect();
        let is_missing = |(collection, fields): &&(&str, &str)| {
            let is_it = |query: &Document| {
                let name = namespace(query).split_once('.').unwrap().1;
                name == *collection && fields_of(query) == *fields
            };
            !queries.iter().any(is_it)
        };
        let missing: Vec<_> = asked.iter().filter(is_missing).collect();
        if missing.is_empty() {
            return queries;
        }
        assert!(started.elapsed() < PATIENCE, "never asked: {missing:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn namespace(entry: &Document) -> &str {
    entry.get_str("ns").unwrap()
}

/// The fields that a query asks for, in its order; alternatives that differ are behind a bar.
fn fields_of(entry: &Document) -> String {
    let command = entry.get_document("command").unwrap();
    let names = ["filter", "q", "query"];
    let filter = names
        .iter()
        .find_map(|name| command.get_document(name).ok());
    filter.map(fields).unwrap_or_default()
}

fn fields(filter: &Document) -> String {
    let named = filter.iter().map(|(name, value)| match value {
        Bson::Array(alternatives) if name == "$or" => {
            let each = alternatives.iter().filter_map(Bson::as_document);
            let mut each: Vec<String> = each.map(fields).collect();
            each.dedup();
            each.join("|")
        }
        _ => name.clone(),
    });
    named.collect::<Vec<String>>().join(" ")
}

/// What is wrong with a query: it has to look for what it gives or changes, and for nothing else.
fn fault(entry: &Document) -> Option<String> {
    let number = |name: &str| match entry.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        _ => 0,
    };
    let plan = entry.get_str("planSummary").unwrap();
    let wanted = number("nreturned") + number("nMatched") + number("ndeleted");
    let examined = number("docsExamined");
    let keys = number("keysExamined");
    // The pairs of a login are looked for by its name, and by their own as Flask-Sentinel has them:
    // the first of a login is found by both.
    let looks = if fields_of(entry) == "family|_id family" {
        2
    } else {
        1
    };
    let is_narrow = examined <= looks * wanted + SPARE && keys <= 2 * wanted + SPARE_KEYS;
    let is_fine = !plan.contains("COLLSCAN") && is_narrow;
    let command = entry.get_document("command").unwrap();
    let told = format!("{plan}: {examined} by {keys} keys for {wanted}: {command}");
    (!is_fine).then_some(told)
}
