//! Token documents that others wrote do not keep anybody signed in, nor any order from its end.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use reqwest::Method;
use serde_json::json;

use super::Pair;
use crate::token_endpoint::raw_collection;

/// More than a page of them.
const UNREADABLE: u8 = 255;

/// An identifier before any that is made today.
fn early(number: u8) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[11] = number;
    ObjectId::from_bytes(bytes)
}

#[tokio::test]
async fn pages_of_what_nobody_can_read_do_not_end_a_sign_out() {
    let pair = Pair::start().await;
    let tokens = pair.known_login().await;
    let unreadable = (0..=UNREADABLE).map(|number| {
        let token = format!("of another shape {number}");
        doc! { "_id": early(number), "access_token": token, "user_id": i32::from(number) }
    });
    let unreadable: Vec<Document> = unreadable.collect();
    let collection = raw_collection(&pair.app, "tokens").await;
    collection.insert_many(unreadable).await.unwrap();
    let everyone = json!({ "everyone": true });
    let ended = pair
        .order(Method::POST, "tokens/revoke-all", everyone)
        .await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    pair.are_dead(&[tokens], "everyone").await;
}

/// What is meant to last for ever is often given the last day of the calendar.
#[tokio::test]
async fn a_pair_until_the_end_of_the_calendar_is_replaced_and_ended_as_any_other() {
    let pair = Pair::start().await;
    let last_day = DateTime::parse_rfc3339_str("9999-12-31T23:59:59Z").unwrap();
    let (access, refresh) = ("A".repeat(30), "R".repeat(30));
    let endless = doc! {
        "access_token": &access,
        "refresh_token": &refresh,
        "client_id": &pair.app.client_id,
        "user_id": ObjectId::from_bytes(pair.user.0),
        "expires": last_day,
        "scopes": [""],
        "token_type": "Bearer",
        "user": Bson::Null,
    };
    let collection = raw_collection(&pair.app, "tokens").await;
    collection.insert_one(&endless).await.unwrap();
    assert_eq!(pair.sibling.verify(&access).await.status, 204);
    // Refreshed, and replaced by a login.
    let renewed = pair.app.refresh(&refresh).await.tokens();
    assert_eq!(pair.app.verify(&access).await.status, 401);
    let tokens = pair.known_login().await;
    assert_eq!(pair.app.verify(&renewed.access).await.status, 401);
    collection
        .delete_many(doc! { "user_id": ObjectId::from_bytes(pair.user.0) })
        .await
        .unwrap();
    collection.insert_one(&endless).await.unwrap();
    let everyone = json!({ "everyone": true });
    let ended = pair
        .order(Method::POST, "tokens/revoke-all", everyone)
        .await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    assert_eq!(pair.app.verify(&access).await.status, 401);
    let refused = pair.app.refresh(&tokens.refresh).await;
    assert_eq!(refused.error(), "invalid_grant");
}
