//! The other setting at the next start, on the same stores.

use mongodb::Database;
use mongodb::bson::{Document, doc};
use redis::AsyncCommands;

use warp_sentinel::domain::token_key::TokenKey;

use super::{STORAGE, has_no_trace_of, hash, keys, keys_of};
use crate::support::app::{TestApp, Tokens, USER, answer, spawn_app, spawn_app_with};
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

async fn database(app: &TestApp) -> Database {
    let client = mongodb::Client::with_uri_str(stores().await.mongo_uri());
    client.await.unwrap().database(&app.database)
}

/// How the database says that tokens are kept.
async fn find_note(app: &TestApp) -> Option<String> {
    let secrets = database(app).await.collection::<Document>("secrets");
    let note = secrets.find_one(doc! { "_id": "token_storage" }).await;
    let note = note.unwrap()?;
    Some(note.get_str("storage").unwrap().to_owned())
}

async fn set_note(app: &TestApp, storage: Option<&str>) {
    let secrets = database(app).await.collection::<Document>("secrets");
    let name = doc! { "_id": "token_storage" };
    match storage {
        None => drop(secrets.delete_one(name).await.unwrap()),
        Some(storage) => {
            let update = doc! { "$set": { "storage": storage } };
            let update = secrets.update_one(name, update).upsert(true);
            update.await.unwrap();
        }
    }
}

/// Its stores, for another process.
async fn settings_of(app: &TestApp) -> Vec<(&'static str, String)> {
    vec![
        ("SENTINEL_MONGO_URI", stores().await.mongo_uri()),
        ("SENTINEL_MONGO_DBNAME", app.database.clone()),
        ("SENTINEL_REDIS_URL", app.redis_url.clone()),
    ]
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

/// A hash leads nowhere back: whoever asks for that by a slip must not end all sessions.
#[tokio::test]
async fn hashed_tokens_are_kept_plain_again_only_when_there_are_none() {
    let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
    let tokens = app.login().await;
    let mut place = place_of(&settings_of(&app).await);
    place.set(STORAGE, "plain");
    for command in ["check", "serve --listen 127.0.0.1:0"] {
        let ended = place.run(command).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        let told = ended.out + &ended.err;
        assert!(told.contains("SENTINEL_TOKEN_STORAGE: "), "{told}");
    }
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    app.sentinel.shutdown().await;
    let database = database(&app).await;
    for name in ["tokens", "ended_tokens"] {
        let collection = database.collection::<Document>(name);
        collection.delete_many(doc! {}).await.unwrap();
    }
    let client = redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("FLUSHDB").query_async(&mut link).await.unwrap();
    let app = restarted(app, "plain").await;
    assert_eq!(app.verify(&tokens.access).await.status, 401);
    let next = app.login().await;
    assert_eq!(keys(&app).await, keys_of(&[&next.access]));
    assert_eq!(app.verify(&next.access).await.status, 204);
}

/// A server that died in the middle left both forms behind. The next start finishes that, whether or not
/// it is told to, and also where the note got lost.
#[tokio::test]
async fn a_change_that_was_broken_off_is_finished_by_the_next_start() {
    for (note, setting) in [
        (Some("hashing"), Some("hashed")),
        (Some("hashing"), None),
        (None, None),
    ] {
        let app = spawn_app_with(&[(STORAGE, "hashed")]).await;
        let hashed = Lives::begin(&app).await;
        // As if the second half had not been reached: a pair that is still as it was.
        let (user, password) = ("maria", "pass word 2");
        app.add_user(user, password).await;
        set_note(&app, Some("plain")).await;
        let writer = app.sibling_with(&[]).await;
        let late = writer.login_as(user, password).await.tokens();
        writer.stop().await;
        let mixed = mix(&app).await;
        set_note(&app, note).await;
        app.sentinel.shutdown().await;
        let setting = setting.map(|setting| (STORAGE, setting));
        let next = app.sibling_with(setting.as_slice()).await;
        app.stop().await;
        has_no_trace_of(&next, std::slice::from_ref(&late)).await;
        for live in [&late, &hashed.present, &hashed.untouched.0] {
            assert_eq!(next.verify(&live.access).await.status, 204, "{note:?}");
        }
        assert_eq!(find_note(&next).await.as_deref(), Some("hashed"));
        let keys = mixed.map(|token| TokenKey::parse(&token).unwrap());
        let ends = next.truth.tokens.find_ends(&keys).await.unwrap();
        assert!(ends.iter().all(Option::is_some), "{note:?}: {ends:?}");
    }
}

/// Adds an end that is still as it was to the round of one that is hashed, and gives the hashes of the
/// refresh tokens of both.
async fn mix(app: &TestApp) -> [String; 2] {
    let ends = database(app).await.collection::<Document>("ended_tokens");
    let round = ends.find_one(doc! {}).await.unwrap().unwrap();
    let mut end = round.get_array("ends").unwrap()[0]
        .as_document()
        .unwrap()
        .clone();
    let hashed = end.get_str("refresh_token").unwrap().to_owned();
    let [access, refresh] = ["a", "r"].map(|kind| kind.repeat(30));
    end.extend(doc! { "access_token": access, "refresh_token": &refresh });
    let name = doc! { "_id": round.get_object_id("_id").unwrap() };
    let add = doc! { "$push": { "ends": end } };
    ends.update_one(name, add).await.unwrap();
    [hashed, hash(&refresh)]
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
    assert_eq!(answer(old.get("/readyz")).await.status, 503);
    let next = new.refresh(&tokens.refresh).await.tokens();
    assert_eq!(new.verify(&next.access).await.status, 204);
}

/// Without Redis nobody can say that the old keys are gone.
#[tokio::test]
async fn without_redis_there_is_no_change_and_nothing_is_lost() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let mut settings = settings_of(&app).await;
    settings[2].1 = "redis://127.0.0.1:1".to_owned();
    settings.push((STORAGE, "hashed".to_owned()));
    let settings = crate::support::app::load(&settings);
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
}

#[tokio::test]
async fn a_check_tells_what_a_start_would_change() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let mut place = place_of(&settings_of(&app).await);
    for (storage, words) in [("plain", None), ("hashed", Some("sessions go on"))] {
        place.set(STORAGE, storage);
        let checked = place.run("check").await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let told = checked.out.contains("SENTINEL_TOKEN_STORAGE: ");
        assert_eq!(told, words.is_some(), "{checked:?}");
        assert!(checked.out.contains(words.unwrap_or_default()));
    }
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    assert_eq!(find_note(&app).await.as_deref(), Some("plain"));
}

/// The pairs are hashed, the ends not yet: a server that was left running finds the spent token among the
/// ends, and the pair that came in its place by its login.
#[tokio::test]
async fn a_server_of_the_old_setting_ends_no_login_that_it_finds_half_changed() {
    let old = spawn_app().await;
    let spent = old.login().await;
    let present = old.refresh(&spent.refresh).await.tokens();
    let new = old.sibling_with(&[(STORAGE, "hashed")]).await;
    // As it was in between.
    let ends = database(&old).await.collection::<Document>("ended_tokens");
    let of_refresh = doc! { "ends.refresh_token": hash(&spent.refresh) };
    let plain = doc! { "$set": { "ends.$.refresh_token": spent.refresh.as_str() } };
    let changed = ends.update_one(of_refresh, plain).await.unwrap();
    assert_eq!(changed.modified_count, 1);
    assert_eq!(old.refresh(&spent.refresh).await.status, 503);
    assert_eq!(new.verify(&present.access).await.status, 204);
    let again = new.refresh(&spent.refresh).await.tokens();
    assert_eq!(again.access, present.access);
}
