//! The other setting at the next start, on the same stores.

use mongodb::bson::{Document, doc};
use redis::AsyncCommands;

use super::{STORAGE, documents, has_no_trace_of, hash, holds, keys, keys_of};
use crate::support::app::{TestApp, Tokens, USER, spawn_app, spawn_app_with};
use crate::support::served::place_of;
use crate::support::stores::stores;

/// What lives when a server is started with the other setting.
struct Lives {
    /// A login of another client, as it came.
    untouched: (Tokens, String),
    /// The pair before the present one, spent a moment ago.
    spent: Tokens,
    present: Tokens,
    /// A pair that was revoked.
    ended: Tokens,
}

impl Lives {
    async fn begin(app: &TestApp) -> Self {
        let ended = app.login().await;
        assert_eq!(app.revoke(&ended.refresh).await.status, 204);
        let spent = app.login().await;
        let present = app.refresh(&spent.refresh).await.tokens();
        let other = app
            .add_client(warp_sentinel::domain::client::ClientType::Public)
            .await
            .0;
        let form = [
            ("grant_type", "password"),
            ("client_id", other.as_str()),
            ("username", USER.0),
            ("password", USER.1),
        ];
        let untouched = app.token(&form).await.tokens();
        Self {
            untouched: (untouched, other),
            spent,
            present,
            ended,
        }
    }

    fn all(&self) -> Vec<Tokens> {
        let (untouched, _) = &self.untouched;
        let all = [untouched, &self.spent, &self.present, &self.ended];
        all.map(Clone::clone).to_vec()
    }
}

/// Another server on the stores of one that has stopped.
async fn restarted(app: TestApp, storage: &str) -> TestApp {
    app.sentinel.shutdown().await;
    let next = app.sibling_with(&[(STORAGE, storage)]).await;
    app.stop().await;
    next
}

async fn refresh_as(app: &TestApp, client: &str, token: &str) -> crate::support::app::Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("refresh_token", token),
    ];
    app.token(&form).await
}

async fn note(app: &TestApp) -> mongodb::Collection<Document> {
    let client = mongodb::Client::with_uri_str(stores().await.mongo_uri());
    let database = client.await.unwrap().database(&app.database);
    database.collection("secrets")
}

#[tokio::test]
async fn sessions_go_on_when_tokens_are_hashed() {
    let app = spawn_app().await;
    let lives = Lives::begin(&app).await;
    let app = restarted(app, "hashed").await;
    has_no_trace_of(&app, &lives.all()).await;
    let (untouched, client) = &lives.untouched;
    for live in [&lives.present, untouched] {
        assert_eq!(app.verify(&live.access).await.status, 204);
    }
    for ended in [&lives.spent, &lives.ended] {
        assert_eq!(app.verify(&ended.access).await.status, 401);
    }
    let live = [hash(&lives.present.access), hash(&untouched.access)];
    assert_eq!(keys(&app).await, keys_of(&[&live[0], &live[1]]));
    // The answer to the last refresh was lost: it is told once more, though only hashes are left.
    let again = app.refresh(&lives.spent.refresh).await.tokens();
    assert_eq!(again.access, lives.present.access);
    assert_eq!(again.refresh, lives.present.refresh);
    let next = refresh_as(&app, client, &untouched.refresh).await.tokens();
    assert_eq!(app.verify(&next.access).await.status, 204);
    // What was ended before is remembered: its reuse is refused.
    let reused = app.refresh(&lives.ended.refresh).await;
    assert_eq!(reused.error(), "invalid_grant");
    has_no_trace_of(&app, &[next]).await;
}

#[tokio::test]
async fn reuse_of_what_was_spent_before_the_change_ends_the_family() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh).await.tokens();
    let third = app.refresh(&second.refresh).await.tokens();
    let app = restarted(app, "hashed").await;
    assert_eq!(app.refresh(&first.refresh).await.error(), "invalid_grant");
    assert_eq!(app.verify(&third.access).await.status, 401);
    assert_eq!(app.refresh(&third.refresh).await.error(), "invalid_grant");
    assert_eq!(keys(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn sessions_end_when_tokens_are_kept_plain_again() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let lives = Lives::begin(&app).await;
    let app = restarted(app, "plain").await;
    assert_eq!(keys(&app).await, Vec::<String>::new());
    let (untouched, client) = &lives.untouched;
    for token in lives.all() {
        assert_eq!(app.verify(&token.access).await.status, 401);
    }
    assert_eq!(
        app.refresh(&lives.present.refresh).await.error(),
        "invalid_grant"
    );
    let refused = refresh_as(&app, client, &untouched.refresh).await;
    assert_eq!(refused.error(), "invalid_grant");
    // Not even hashes are left that a reader of Redis could be shown.
    let left = documents(&app).await;
    for token in lives.all() {
        assert!(!holds(&left, &hash(&token.access)));
    }
    let tokens = app.login().await;
    assert_eq!(keys(&app).await, keys_of(&[&tokens.access]));
    assert_eq!(app.verify(&tokens.access).await.status, 204);
}

/// A server that died in the middle left both forms behind.
#[tokio::test]
async fn a_change_that_was_broken_off_is_finished_by_the_next_start() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let hashed = Lives::begin(&app).await;
    let plain = restarted(app, "hashed").await;
    // As if the second half had not been reached: a pair that is still as it was.
    let (user, password) = ("maria", "pass word 2");
    plain.add_user(user, password).await;
    let none = note(&plain).await;
    none.delete_many(doc! { "_id": "token_storage" })
        .await
        .unwrap();
    let writer = plain.sibling_with(&[(STORAGE, "plain")]).await;
    let late = writer.login_as(user, password).await.tokens();
    writer.stop().await;
    let changing = doc! { "$set": { "storage": "changing" } };
    let by_name = doc! { "_id": "token_storage" };
    let update = none.update_one(by_name.clone(), changing);
    update.upsert(true).await.unwrap();
    let app = restarted(plain, "hashed").await;
    has_no_trace_of(&app, std::slice::from_ref(&late)).await;
    for live in [&late, &hashed.present, &hashed.untouched.0] {
        assert_eq!(app.verify(&live.access).await.status, 204);
    }
    let noted = none.find_one(by_name).await.unwrap().unwrap();
    assert_eq!(noted.get_str("storage").unwrap(), "hashed");
}

/// A server that was left running must not take a refresh token that it cannot find for a wrong one:
/// its client would log the user out.
#[tokio::test]
async fn a_server_of_the_old_setting_refuses_nobody_for_good() {
    let old = spawn_app().await;
    let tokens = old.login().await;
    let new = old.sibling_with(&[(STORAGE, "hashed")]).await;
    let told = old.refresh(&tokens.refresh).await;
    assert_eq!(told.status, 503, "{}", told.body);
    assert_eq!(old.revoke(&tokens.refresh).await.status, 503);
    let next = new.refresh(&tokens.refresh).await.tokens();
    assert_eq!(new.verify(&next.access).await.status, 204);
}

/// Without Redis nobody can say that the old keys are gone.
#[tokio::test]
async fn without_redis_there_is_no_change_and_nothing_is_lost() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let settings = crate::support::app::load(&[
        ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", app.database.clone()),
        ("SENTINEL_REDIS_URL", "redis://127.0.0.1:1".to_owned()),
        (STORAGE, "hashed".to_owned()),
    ]);
    let refused = warp_sentinel::Sentinel::start(settings).await;
    assert!(refused.is_err());
    let app = restarted(app, "hashed").await;
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    has_no_trace_of(&app, &[tokens]).await;
}

/// A key that a Flask-Sentinel left in Redis proves nothing here, as ever.
#[tokio::test]
async fn a_foreign_key_in_redis_is_no_token() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let user = app.truth.users.find_user(USER.0).await.unwrap().unwrap();
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let token = "sx2Rz0vVFVRQBCFVCTwXINPjSswq1W";
    for key in [token.to_owned(), hash(token)] {
        let () = link.set(key, user.id.to_string()).await.unwrap();
    }
    assert_eq!(app.verify(token).await.status, 401);
}

#[tokio::test]
async fn a_server_without_the_setting_does_as_the_database_says() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let tokens = app.login().await;
    let sibling = app.sibling_with(&[]).await;
    assert_eq!(sibling.verify(&tokens.access).await.status, 204);
    let next = sibling.refresh(&tokens.refresh).await.tokens();
    assert_eq!(app.verify(&next.access).await.status, 204);
    has_no_trace_of(&app, &[tokens, next]).await;
    // In the middle of a change nobody can tell what is wanted.
    let changing = doc! { "$set": { "storage": "changing" } };
    let noted = note(&app).await;
    let update = noted.update_one(doc! { "_id": "token_storage" }, changing);
    update.await.unwrap();
    let place = place_of(&[
        ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", app.database.clone()),
        ("SENTINEL_REDIS_URL", app.redis_url.clone()),
    ]);
    for command in ["check", "serve --listen 127.0.0.1:0"] {
        let ended = place.run(command).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        let told = ended.out + &ended.err;
        assert!(told.contains("say plain or hashed"), "{told}");
    }
}

#[tokio::test]
async fn a_check_tells_what_a_start_would_change() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let mut place = place_of(&[
        ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", app.database.clone()),
        ("SENTINEL_REDIS_URL", app.redis_url.clone()),
    ]);
    for (storage, words) in [("plain", None), ("hashed", Some("sessions go on"))] {
        place.set(STORAGE, storage);
        let checked = place.run("check").await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let told = checked.out.contains("SENTINEL_TOKEN_STORAGE: ");
        assert_eq!(told, words.is_some(), "{checked:?}");
        assert!(checked.out.contains(words.unwrap_or_default()));
    }
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    let noted = note(&app).await;
    assert!(noted.find_one(doc! {}).await.unwrap().is_some());
    let storage = noted.find_one(doc! { "_id": "token_storage" });
    assert!(storage.await.unwrap().is_none());
}
