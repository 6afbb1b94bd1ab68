//! The secrets of clients that were written before these had more than a hash.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use time::Duration;
use warp_sentinel::domain::client::{ClientId, SecretHash};

use super::super::fixtures::noon;
use super::{fresh_settings, insert, only, open, raw};

fn binary(byte: u8) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: vec![byte; 32],
    })
}

fn earlier_client() -> Document {
    doc! {
        "client_id": "app",
        "client_type": "confidential",
        "schema": 1,
        "client_secret_hashes": [binary(7), binary(8)],
    }
}

#[tokio::test]
async fn a_plain_list_of_hashes_is_read_and_keeps_its_names() {
    let settings = fresh_settings().await;
    let database = raw(&settings).await;
    insert(&database, "clients", earlier_client()).await;
    let truth = open(&settings).await;
    let id = ClientId::new("app");
    let secrets = async || {
        let found = truth.clients.find_client(&id).await;
        found.unwrap().unwrap().secrets
    };
    let first = secrets().await;
    let hashes: Vec<_> = first.iter().map(|secret| secret.hash.clone()).collect();
    assert_eq!(hashes, [SecretHash([7; 32]), SecretHash([8; 32])]);
    assert_ne!(first[0].id, first[1].id);
    assert_eq!(secrets().await, first);
    // Nothing was changed by looking.
    let mut document = only(&database, "clients").await;
    assert!(document.remove("_id").is_some());
    assert_eq!(document, earlier_client());

    let at = noon() + Duration::hours(1);
    let noted = truth.clients.note_secret_use(&id, first[1].id, at).await;
    noted.unwrap();
    let after = secrets().await;
    assert_eq!(after[0], first[0]);
    assert_eq!(
        (after[1].id, after[1].last_used_at),
        (first[1].id, Some(at))
    );
    // Who is of the earlier version reads the same list.
    let document = only(&database, "clients").await;
    let hashes = document.get_array("client_secret_hashes").unwrap();
    assert_eq!(hashes, &[binary(7), binary(8)]);

    let left = [after[1].clone()];
    let replaced = truth.clients.replace_secrets(&id, &after, &left).await;
    assert!(replaced.unwrap());
    assert_eq!(secrets().await, left);
}
