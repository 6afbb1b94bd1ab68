//! Documents of Flask-Sentinel are understood, and ours are understood by it.

use mongodb::bson::{Bson, Document, doc};
use warp_sentinel::domain::client::{ClientId, ClientType, GrantType};
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::domain::token::{RecordId, TokenRecord};
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::domain::user::HashOrigin;
use warp_sentinel::stores::TokenWrite;

use super::super::fixtures::{client, new_user, record, replacement};
use super::{
    ACCESS, CLIENT, HASH, REFRESH, USER, fresh_settings, insert, object_id, old_client, old_token,
    old_user, only, open, raw,
};

#[tokio::test]
async fn a_database_of_flask_sentinel_is_taken_over_as_it_stands() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    insert(&database, "users", old_user()).await;
    insert(&database, "clients", old_client()).await;
    insert(&database, "tokens", old_token()).await;
    let truth = open(&settings).await;

    let user = truth.users.find_user("jonas").await.unwrap().unwrap();
    let hash = user.password_hash.unwrap();
    assert_eq!(
        (hash.as_str(), hash.origin()),
        (HASH, HashOrigin::FlaskSentinel)
    );
    let found = truth.clients.find_client(&ClientId::new(CLIENT)).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.client_type, ClientType::Public);
    assert_eq!(found.allowed_grant_types, GrantType::DEFAULT);
    let access = TokenKey::parse(ACCESS).unwrap();
    let grants = truth.tokens.find_grants(&[access]).await.unwrap();
    let grant = grants[0].as_ref().unwrap();
    assert_eq!(grant.user.as_ref().unwrap().id.to_string(), USER);
    assert!(grant.scope.is_empty());

    // Nothing was changed by looking.
    assert_eq!(only(&database, "users").await, old_user());
    assert_eq!(only(&database, "clients").await, old_client());
    assert_eq!(only(&database, "tokens").await, old_token());
}

#[tokio::test]
async fn a_user_of_python_2_has_a_hash_and_one_without_a_hash_has_none() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    insert(
        &database,
        "users",
        doc! { "username": "text", "hashpw": HASH },
    )
    .await;
    insert(&database, "users", doc! { "username": "none" }).await;
    insert(&database, "users", doc! { "username": "odd", "hashpw": 7 }).await;
    insert(&database, "users", doc! { "username": 7, "hashpw": HASH }).await;
    let truth = open(&settings).await;
    for (username, has_hash) in [("text", true), ("none", false), ("odd", false)] {
        let user = truth.users.find_user(username).await.unwrap().unwrap();
        assert_eq!(user.password_hash.is_some(), has_hash, "{username}");
    }
    assert_eq!(truth.users.list_users(None, 10).await.unwrap().len(), 3);
    // One that cannot be read is an error of its own name alone.
    let unread = doc! { "_id": 7, "username": "unread", "hashpw": HASH };
    insert(&database, "users", unread).await;
    let asked = ["text", "unread", "none"].map(str::to_owned);
    let found = truth.users.find_users(&asked).await.unwrap();
    let are_read: Vec<bool> = found.iter().map(Result::is_ok).collect();
    assert_eq!(are_read, [true, false, true]);
    // The count is the collection's own, what nobody wrote included.
    assert_eq!(truth.users.count_users().await.unwrap(), 5);
}

#[tokio::test]
async fn a_client_document_of_identifier_and_type_is_enough() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    let bare = doc! { "client_id": "bare", "client_type": "confidential" };
    insert(&database, "clients", bare).await;
    let truth = open(&settings).await;
    let found = truth.clients.find_client(&ClientId::new("bare")).await;
    // Flask-Sentinel never checked a secret, so it must go on working without one.
    assert!(found.unwrap().unwrap().authenticate(None).is_ok());
}

#[tokio::test]
async fn an_old_pair_is_rotated_under_its_identifier() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    insert(&database, "tokens", old_token()).await;
    let truth = open(&settings).await;
    let refresh = TokenKey::parse(REFRESH).unwrap();
    let found = truth
        .tokens
        .find_by_refresh_token(&[refresh])
        .await
        .unwrap();
    let old = found[0].clone().unwrap();
    let family = truth.tokens.find_by_family(&[old.family]).await.unwrap();
    assert_eq!(family.len(), 1);
    let written = truth.tokens.write(&[replacement(&old, 10)]).await.unwrap();
    assert_eq!(written, [true]);
    let document = only(&database, "tokens").await;
    assert_eq!(
        document.get_object_id("_id").unwrap(),
        object_id("6b0492317e71feb5ac22f6b4")
    );
}

#[tokio::test]
async fn what_we_write_has_the_fields_and_types_of_flask_sentinel() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    let truth = open(&settings).await;
    truth.users.insert_user(&new_user("jonas")).await.unwrap();
    truth.clients.insert_client(&client("app")).await.unwrap();
    let user_id = RecordId::parse(USER).unwrap();
    let pair = TokenRecord {
        scope: Scope::default(),
        refresh_scope: Scope::default(),
        ..record(0, user_id)
    };
    truth
        .tokens
        .write(&[TokenWrite::Insert(pair)])
        .await
        .unwrap();
    let tables = [
        ("users", old_user()),
        ("clients", old_client()),
        ("tokens", old_token()),
    ];
    for (collection, old) in tables {
        let new = only(&database, collection).await;
        for (field, value) in old {
            let written = new.get(&field).map(Bson::element_type);
            assert_eq!(written, Some(value.element_type()), "{collection}.{field}");
        }
    }
    let new = only(&database, "tokens").await;
    assert_eq!(new.get_array("scopes").unwrap(), &[Bson::from("")]);
    assert_eq!(new.get_str("token_type").unwrap(), "Bearer");
    assert_eq!(new.get_object_id("user_id").unwrap(), object_id(USER));
}

#[tokio::test]
async fn a_session_that_nobody_can_read_gives_way_to_the_next_login() {
    for (field, value) in [
        ("access_token", Bson::from("made by another generator")),
        ("refresh_token", Bson::from("made by another generator")),
        ("expires", Bson::from("tomorrow")),
    ] {
        let settings = fresh_settings().await;
        let database = raw(&settings).await;
        let mut odd = old_token();
        odd.insert(field, value);
        insert(&database, "tokens", odd).await;
        let truth = open(&settings).await;
        let user_id = RecordId::parse(USER).unwrap();
        let session = [(ClientId::new(CLIENT), user_id)];
        assert!(truth.tokens.find_by_session(&session).await.unwrap()[0].is_none());
        let login = TokenRecord {
            client_id: ClientId::new(CLIENT),
            ..record(0, user_id)
        };
        let insert = [TokenWrite::Insert(login)];
        assert_eq!(
            truth.tokens.write(&insert).await.unwrap(),
            [false],
            "{field}"
        );
        assert_eq!(
            truth.tokens.write(&insert).await.unwrap(),
            [true],
            "{field}"
        );
    }
}

#[tokio::test]
async fn a_session_that_can_be_read_is_never_cleared() {
    let hash = |digit: &str| digit.repeat(64);
    for tokens in [
        [ACCESS.to_owned(), REFRESH.to_owned()],
        [hash("a"), hash("0")],
    ] {
        let settings = fresh_settings().await;
        let database = raw(&settings).await;
        let mut pair = old_token();
        for (field, token) in ["access_token", "refresh_token"].iter().zip(tokens) {
            pair.insert(*field, token);
        }
        insert(&database, "tokens", pair).await;
        let truth = open(&settings).await;
        let login = TokenRecord {
            client_id: ClientId::new(CLIENT),
            ..record(0, RecordId::parse(USER).unwrap())
        };
        for _ in 0..2 {
            let insert = [TokenWrite::Insert(login.clone())];
            assert_eq!(truth.tokens.write(&insert).await.unwrap(), [false]);
        }
    }
}

#[tokio::test]
async fn a_disabled_user_or_client_has_no_grant() {
    for (collection, field) in [("users", "username"), ("clients", "client_id")] {
        let settings = fresh_settings().await;
        let database = raw(&settings).await;
        let truth = open(&settings).await;
        insert(&database, "users", old_user()).await;
        insert(&database, "clients", old_client()).await;
        insert(&database, "tokens", old_token()).await;
        let access = [TokenKey::parse(ACCESS).unwrap()];
        assert!(truth.tokens.find_grants(&access).await.unwrap()[0].is_some());
        let disable = doc! { "$set": { "disabled": true } };
        let documents = database.collection::<Document>(collection);
        documents
            .update_one(doc! { field: { "$exists": true } }, disable)
            .await
            .unwrap();
        assert!(
            truth.tokens.find_grants(&access).await.unwrap()[0].is_none(),
            "{collection}"
        );
    }
}
