//! Bad bearer tokens at `/oauth/verify` and at a program's own routes (RFC 6750 §2, §3).

use mongodb::bson::{Document, doc};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use time::Duration;

use crate::raw::{exchange, spawn_plain_app};
use crate::rows::{Asked, CANARY, ask, check, check_each, flip_case, group, header_faults};
use crate::support::app::{Answer, FORM, TestApp, Tokens, answer, spawn_app};
use crate::support::stores::stores;

/// RFC 6750 §2.1, §3.1; RFC 9110 §11.1; RFC 9700 §4.3.2. A malformed header is 401 to a proxy, which
/// takes nothing else for a no, and 400 on a program's own route.
#[tokio::test]
async fn a_request_without_a_good_bearer_token_is_challenged() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    for (path, good, bad) in [("/oauth/verify", 204, 401), ("/endpoint", 200, 400)] {
        let none = || app.get(path);
        let with = |value: &str| app.get(path).header("authorization", value);
        let token = tokens.access.as_str();
        let in_query = app.get(&format!("{path}?access_token={token}"));
        let in_form = app.get(path).header("content-type", FORM);
        let in_form = in_form.body(format!("access_token={token}"));
        let twice = with(&format!("Bearer {token}")).header("authorization", "Bearer x");
        let short = &token[..29];
        let long = format!("{token}a");
        let other_case = flip_case(token);
        let unnamed = vec![
            ("R1 no Authorization", none()),
            ("R1 Basic", none().basic_auth("jonas", Some("pass word 1"))),
            ("R1 an unknown scheme", with(&format!("Foobar {token}"))),
            ("R1 no scheme", with(token)),
            ("R1 an empty header", with("")),
            ("R5 in the query", in_query),
            ("R5 in the body", in_form),
        ];
        let malformed = vec![
            ("R2 no token", with("Bearer")),
            ("R2 blanks alone", with("Bearer  ")),
            ("R2 two words", with("Bearer canary7f canary7f")),
            ("R2 a comma", with(&format!("Bearer {token},x"))),
            ("R2 quoted", with(&format!("Bearer \"{token}\""))),
            ("R2 no ASCII", with("Bearer canary7f\u{e9}")),
            ("R2 two headers", twice),
            (
                "R6 another key of Redis",
                with(&format!("Bearer sentinel:{token}")),
            ),
        ];
        let granted = vec![
            ("R3 bearer", with(&format!("bearer {token}"))),
            ("R3 BEARER", with(&format!("BEARER {token}"))),
            ("the good one", with(&format!("Bearer {token}"))),
        ];
        let invalid = vec![
            ("R6 one letter less", with(&format!("Bearer {short}"))),
            ("R6 one letter more", with(&format!("Bearer {long}"))),
            ("R6 the other case", with(&format!("Bearer {other_case}"))),
            ("R6 padded", with(&format!("Bearer {token}="))),
            ("R6 unknown", with("Bearer canary7fxxxxxxxxxxxxxxxxxxxxxx")),
            (
                "R9 a refresh token",
                with(&format!("Bearer {}", tokens.refresh)),
            ),
        ];
        let rows = vec![
            group(401, "", unnamed),
            group(bad, "invalid_request", malformed),
            group(good, "", granted),
            group(401, "invalid_token", invalid),
        ];
        check(&ask(rows).await, challenge_faults);
    }
}

/// RFC 6750 §3.1: "expired, revoked, malformed, or invalid for other reasons".
#[tokio::test]
async fn an_ended_token_is_an_invalid_token() {
    let app = spawn_app().await;
    app.add_user("expired", "pass word 2").await;
    app.add_user("refreshed", "pass word 3").await;
    let replaced = app.login().await;
    app.login().await;
    let expired = app.login_as("expired", "pass word 2").await.tokens();
    let refreshed = app.login_as("refreshed", "pass word 3").await.tokens();
    app.refresh(&refreshed.refresh).await;
    for token in [&expired, &refreshed, &replaced] {
        // From the local copy as well as from the truth.
        app.verify(&token.access).await;
    }
    app.clock.advance(Duration::seconds(3_600));
    let fresh = app.login_as("refreshed", "pass word 3").await.tokens();
    let mut rows = Vec::new();
    for (path, good) in [("/oauth/verify", 204), ("/endpoint", 200)] {
        let bearer = |tokens: &Tokens| app.get(path).bearer_auth(&tokens.access);
        let ended = vec![
            ("R7 expired", bearer(&expired)),
            ("R8 replaced by a login", bearer(&replaced)),
            ("R8 replaced by a refresh", bearer(&refreshed)),
        ];
        rows.push(group(401, "invalid_token", ended));
        rows.push(group(good, "", vec![("a fresh one", bearer(&fresh))]));
    }
    check(&ask(rows).await, challenge_faults);
}

/// RFC 6750 §3, §3.1: `insufficient_scope` and the scope it would take.
#[tokio::test]
async fn a_token_without_the_scope_is_forbidden_and_told_which_it_takes() {
    let app = spawn_app().await;
    let token = app.login().await.access;
    let verify = |query: &str| {
        let request = app.get(&format!("/oauth/verify{query}"));
        request.bearer_auth(&token)
    };
    let no = "insufficient_scope";
    let refused = vec![
        ("write", app.get("/writing").bearer_auth(&token)),
        ("write", verify("?scope=write")),
        ("admin read write", verify("?scope=write+read%20admin")),
        (
            "unreadable: of a program",
            app.get("/nobodys").bearer_auth(&token),
        ),
        ("unreadable: a quote", verify("?scope=%22canary7f")),
        ("unreadable: a percent code", verify("?scope=%zzcanary7f")),
        ("unreadable: twice", verify("?scope=read&scope=read")),
    ];
    let granted = vec![
        ("what it has", verify("?scope=read")),
        ("none", verify("?scope=")),
        ("another parameter", verify("?x=canary7f")),
    ];
    let rows = vec![group(403, no, refused), group(204, "", granted)];
    check(&ask(rows).await, |asked| {
        let mut faults = challenge_faults(asked);
        let challenge = asked.answer.header("www-authenticate");
        let scope = challenge.split_once(", scope=").map(|(_, scope)| scope);
        let wanted = format!("\"{}\"", asked.name);
        let is_readable = asked.status == 403 && !asked.name.starts_with("unreadable");
        if scope != is_readable.then_some(wanted.as_str()) {
            faults.push(format!("scope {scope:?}"));
        }
        faults
    });
}

/// CVE-2021-32637: what a proxy hands over malformed is never let in.
#[tokio::test]
async fn a_malformed_query_is_no_way_around_the_token() {
    let app = spawn_app().await;
    let verify = |query: &str| app.get(&format!("/oauth/verify{query}"));
    let original = |name: &str, value: &str| app.get("/oauth/verify").header(name, value);
    let bytes = reqwest::header::HeaderValue::from_bytes(b"/%zz\xff").unwrap();
    let unnamed = vec![
        ("R18 a percent code", verify("?%zz")),
        ("R18 an unreadable scope", verify("?scope=%zz")),
        ("R18 a malformed scope", verify("?scope=%22")),
        (
            "R18 many parameters",
            verify(&format!("?{}", "&".repeat(40))),
        ),
        ("R18 X-Original-URI", original("x-original-uri", "/%zz?%")),
        (
            "R18 X-Original-URI with a wild byte",
            app.get("/oauth/verify").header("x-original-uri", bytes),
        ),
        (
            "R17 X-Forwarded-User",
            original("x-forwarded-user", "jonas"),
        ),
        (
            "R17 X-User-Id",
            original("x-user-id", "6b049213eb1acd78e9075d3b"),
        ),
        ("R17 X-Real-IP", original("x-real-ip", "127.0.0.1")),
        (
            "R17 X-Forwarded-Method",
            original("x-forwarded-method", "OPTIONS"),
        ),
    ];
    let rows = vec![group(401, "", unnamed)];
    check(&ask(rows).await, challenge_faults);
}

/// RFC 9700 §4.13; OWASP ASVS 4.1.3.
#[tokio::test]
async fn headers_that_say_who_it_is_are_not_believed() {
    let app = spawn_app().await;
    let token = app.login().await.access;
    let plain = app.verify(&token).await;
    let mut request = app.get("/oauth/verify").bearer_auth(&token);
    for name in [
        "x-user-id",
        "x-username",
        "x-client-id",
        "x-scope",
        "x-forwarded-user",
        "x-real-ip",
        "x-original-uri",
        "forwarded",
    ] {
        request = request.header(name, CANARY);
    }
    let answer = answer(request).await;
    for name in ["x-user-id", "x-username", "x-client-id", "x-scope"] {
        assert_eq!(answer.header(name), plain.header(name), "R17 {name}");
    }
    assert!(!format!("{answer:?}").contains(CANARY), "R17: {answer:?}");
}

/// The cache may be wrong; what it does not prove is asked of the truth.
#[tokio::test]
async fn a_bad_value_in_redis_is_a_miss_and_the_truth_decides() {
    let app = spawn_app().await;
    let foreign = "6b049213eb1acd78e9075d3b";
    let mut outcomes = Vec::new();
    let bad: [(&str, Spoil); 9] = [
        ("R10 plain key alone", |_| (Keep, Delete)),
        ("R10 companion alone", |_| (Delete, Keep)),
        ("R10 empty", |_| (Put(String::new()), Keep)),
        ("R10 another user's", |_| {
            (Put("6b049213eb1acd78e9075d3b".into()), Keep)
        }),
        ("R10 not 24 hex", |_| (Put("1".into()), Keep)),
        ("R10 no text", |_| (Put("\u{0}\u{1}".into()), Keep)),
        ("R10 companion empty", |_| (Keep, Put(String::new()))),
        ("R10 companion of no JSON", |_| (Keep, Put("{".into()))),
        ("R10 another user's companion", |text| {
            let id = text.split('"').nth(3).unwrap().to_owned();
            (Keep, Put(text.replace(&id, "6b049213eb1acd78e9075d3b")))
        }),
    ];
    let mut redis = redis_of(&app).await;
    let mut spoiled = Vec::new();
    for (name, spoil) in bad {
        app.add_user(name, "pass word 2").await;
        let tokens = app.login_as(name, "pass word 2").await.tokens();
        let user_id = app
            .verify(&tokens.access)
            .await
            .header("x-user-id")
            .to_owned();
        let companion: String = redis.get(companion(&tokens.access)).await.unwrap();
        let (plain, rest) = spoil(&companion);
        change(&mut redis, &tokens.access, plain).await;
        change(&mut redis, &self::companion(&tokens.access), rest).await;
        spoiled.push((name, tokens.access, user_id));
    }
    // One that has it in its local copy, and one that has never seen it.
    let sibling = app.sibling().await;
    for (name, token, user_id) in &spoiled {
        for server in [&sibling, &app] {
            let answer = server.verify(token).await;
            let is_right = answer.status == 204 && answer.header("x-user-id") == user_id;
            outcomes.push((*name, is_right.then_some(()).ok_or(format!("{answer:?}"))));
        }
    }
    let unknown = "x".repeat(30);
    for (name, value, lives_for) in [
        ("R10 unknown: plain key alone", foreign, Some(3_600)),
        ("R10 unknown: without end", foreign, None),
        ("R10 unknown: empty", "", Some(3_600)),
        ("R10 unknown: true", "1", Some(3_600)),
    ] {
        let () = redis.set(&unknown, value).await.unwrap();
        if let Some(seconds) = lives_for {
            let () = redis.expire(&unknown, seconds).await.unwrap();
        }
        let answer = app.verify(&unknown).await;
        let is_right = answer.status == 401 && challenge_of(&answer).contains("invalid_token");
        outcomes.push((name, is_right.then_some(()).ok_or(format!("{answer:?}"))));
    }
    check_each(&outcomes);
}

/// OWASP ASVS 7.4.2: a token ends with its user and its client.
#[tokio::test]
async fn the_token_of_a_gone_user_or_client_is_an_invalid_token() {
    let disable = doc! { "$set": { "disabled": true } };
    let mut outcomes = Vec::new();
    for (name, collection, change) in [
        ("R12 user deleted", "users", None),
        ("R12 user disabled", "users", Some(&disable)),
        ("R12 client deleted", "clients", None),
        ("R12 client disabled", "clients", Some(&disable)),
    ] {
        let app = spawn_app().await;
        let token = app.login().await.access;
        let client = mongodb::Client::with_uri_str(stores().await.mongo_uri()).await;
        let database = client.unwrap().database(&app.database);
        let documents = database.collection::<Document>(collection);
        match change {
            None => assert_eq!(
                documents.delete_one(doc! {}).await.unwrap().deleted_count,
                1
            ),
            Some(change) => {
                let changed = documents.update_one(doc! {}, change.clone()).await.unwrap();
                assert_eq!(changed.modified_count, 1);
            }
        }
        // Who writes to MongoDB past us takes the token out of Redis as well.
        let mut redis = redis_of(&app).await;
        let () = redis.del(&[&token, &companion(&token)]).await.unwrap();
        let sibling = app.sibling().await;
        for answer in [sibling.verify(&token).await, sibling.endpoint(&token).await] {
            let is_right = answer.status == 401 && challenge_of(&answer).contains("invalid_token");
            outcomes.push((name, is_right.then_some(()).ok_or(format!("{answer:?}"))));
        }
    }
    check_each(&outcomes);
}

/// RFC 6585 §5.
#[tokio::test]
async fn a_token_of_20_kb_is_refused_with_the_connection() {
    let app = spawn_plain_app().await;
    let mut outcomes = Vec::new();
    for path in ["/oauth/verify", "/endpoint", "/oauth/token"] {
        let token = "a".repeat(20 * 1_024);
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
        outcomes.push((path, exchange(&app, request).await.is_refusal(431)));
    }
    check_each(&outcomes);
}

/// What becomes of a key.
enum Change {
    Keep,
    Delete,
    Put(String),
}
use Change::{Delete, Keep, Put};

/// From the good companion to what becomes of the plain key and of the companion.
type Spoil = fn(&str) -> (Change, Change);

async fn change(redis: &mut MultiplexedConnection, key: &str, change: Change) {
    match change {
        Keep => {}
        Delete => redis.del(key).await.unwrap(),
        Put(value) => {
            let keep = redis::SetOptions::default().with_expiration(redis::SetExpiry::KEEPTTL);
            let () = redis.set_options(key, value, keep).await.unwrap();
        }
    }
}

fn companion(token: &str) -> String {
    format!("sentinel:{{{token}}}")
}

async fn redis_of(app: &TestApp) -> MultiplexedConnection {
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// What every answer about a bearer token has (RFC 6750 §3, §5.2).
fn challenge_faults(asked: &Asked) -> Vec<String> {
    let answer = &asked.answer;
    let status = answer.status.as_u16();
    let challenge = challenge_of(answer);
    if status == 200 || status == 204 {
        let is_quiet = challenge.is_empty();
        return if is_quiet {
            Vec::new()
        } else {
            vec!["a challenge beside success".to_owned()]
        };
    }
    let mut faults = header_faults(
        answer,
        &[
            ("cache-control", "no-store"),
            ("pragma", "no-cache"),
            ("x-content-type-options", "nosniff"),
        ],
    );
    let is_bare = challenge == "Bearer realm=\"sentinel\"";
    let has_code = challenge.starts_with("Bearer realm=\"sentinel\", error=\"")
        && challenge.contains(", error_description=\"");
    let is_right = if asked.error.is_empty() {
        is_bare
    } else {
        has_code
    };
    if !is_right {
        faults.push(format!("challenge {challenge:?}"));
    }
    faults
}

fn challenge_of(answer: &Answer) -> &str {
    answer.header("www-authenticate")
}
