//! The embedded store: always hashed, and what a file of an earlier version becomes.

use std::path::Path;

use redb::{Database, ReadableTable, TableDefinition};

use super::{hash, holds};
use crate::support::process::PATIENCE;
use crate::support::served::Served;

const ROWS: TableDefinition<'_, &[u8; 12], &[u8]> = TableDefinition::new("tokens");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const BY_ACCESS: TableDefinition<'_, &str, &[u8; 12]> =
    TableDefinition::new("tokens_by_access_token");
const BY_REFRESH: TableDefinition<'_, &str, &[u8; 12]> =
    TableDefinition::new("tokens_by_refresh_token");

/// What is in the file, as a reader of its rows sees it.
fn rows(path: &Path) -> Vec<u8> {
    let database = Database::open(path).unwrap();
    let reading = redb::ReadableDatabase::begin_read(&database).unwrap();
    let rows = reading.open_table(ROWS).unwrap();
    let rows = rows.iter().unwrap();
    rows.flat_map(|row| row.unwrap().1.value().to_vec())
        .collect()
}

fn format(path: &Path) -> u64 {
    let database = Database::open(path).unwrap();
    let reading = redb::ReadableDatabase::begin_read(&database).unwrap();
    let meta = reading.open_table(META).unwrap();
    meta.get("format").unwrap().unwrap().value()
}

/// Makes the file what the version before wrote: tokens as they are.
fn make_plain(path: &Path, tokens: &[&str]) {
    let database = Database::open(path).unwrap();
    let writing = database.begin_write().unwrap();
    let mut rows = writing.open_table(ROWS).unwrap();
    let old: Vec<([u8; 12], String)> = rows
        .iter()
        .unwrap()
        .map(|row| {
            let (id, row) = row.unwrap();
            let text = String::from_utf8(row.value().to_vec()).unwrap();
            (*id.value(), text)
        })
        .collect();
    for (id, mut row) in old {
        for token in tokens {
            row = row.replace(&hash(token), token);
        }
        rows.insert(&id, row.as_bytes()).unwrap();
    }
    drop(rows);
    for index in [BY_ACCESS, BY_REFRESH] {
        let mut index = writing.open_table(index).unwrap();
        for token in tokens {
            let id = index.remove(hash(token).as_str()).unwrap();
            let id = id.map(|id| *id.value());
            if let Some(id) = id {
                index.insert(*token, &id).unwrap();
            }
        }
    }
    let mut meta = writing.open_table(META).unwrap();
    meta.insert("format", 1).unwrap();
    drop(meta);
    writing.commit().unwrap();
}

#[tokio::test]
async fn the_file_has_hashes_and_takes_over_one_that_had_tokens() {
    let mut served = Served::start(&[("SENTINEL_STORE", "embedded".to_owned())]).await;
    served.api.add_user("jonas").await;
    let client = served.api.add_client().await;
    let tokens = served.api.login(&client, "jonas").await.unwrap().tokens();
    served.kill();
    let path = served.path("data/sentinel.redb");
    let whole = std::fs::read(&path).unwrap();
    for token in [&tokens.access, &tokens.refresh] {
        assert!(!holds(&whole, token), "the file has a token");
        assert!(holds(&whole, &hash(token)), "the file lacks a hash");
    }
    make_plain(&path, &[&tokens.access, &tokens.refresh]);
    assert!(holds(&rows(&path), &tokens.access));
    served.restart();
    served.becomes("ready", PATIENCE).await;
    assert_eq!(served.api.verify(&tokens.access).await.unwrap().status, 204);
    let next = served.api.refresh(&client, &tokens.refresh).await.unwrap();
    let next = next.tokens();
    assert_eq!(served.api.verify(&next.access).await.unwrap().status, 204);
    assert_eq!(served.api.verify(&tokens.access).await.unwrap().status, 401);
    served.kill();
    assert_eq!(format(&path), 2);
    let rows = rows(&path);
    for token in [&tokens, &next].map(|pair| [&pair.access, &pair.refresh]) {
        assert!(token.iter().all(|token| !holds(&rows, token)));
    }
}
