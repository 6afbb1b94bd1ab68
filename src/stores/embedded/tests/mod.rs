//! What the file promises beyond the contract: durability, one process, cleaning up; and the
//! parts of the contract that its indexes could break.

mod full_disk;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use time::Duration;
use tokio::task::JoinSet;

use super::*;
use crate::domain::client::{Client, ClientId, ClientRegistration, ClientType, SecretHash};
use crate::domain::client_secret::StoredSecret;
use crate::domain::scope::Scope;
use crate::domain::token::{EndedToken, RecordId, RotatedFrom, TokenRecord};
use crate::domain::token_key::TokenKey;
use crate::domain::user::{HashOrigin, NewUser, PasswordHash, User};
use crate::stores::ends::{Ends, SettledEnds, SettledRounds};
use crate::stores::error::InsertError;
use crate::stores::{ExpectedRecord, TokenWrite};

struct Opened {
    folder: TempDir,
    clock: Clock,
    truth: Truth,
}

impl Opened {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::default();
        let truth = open(&folder.path().join("data/sentinel.redb"), &clock).unwrap();
        Self {
            folder,
            clock,
            truth,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("data/sentinel.redb")
    }

    /// A user and a client in the store, and a record for both that is not.
    async fn session(&self) -> TokenRecord {
        let user = self.user("jonas").await.unwrap();
        let client = client("c1", self.clock.now());
        self.truth.clients.insert_client(&client).await.unwrap();
        self.record(1, "c1", Some(user.id))
    }

    async fn user(&self, name: &str) -> Result<User, InsertError> {
        insert_user(&self.truth, name, self.clock.now()).await
    }

    /// Expires after an hour, its refresh token after a day. `number` makes its tokens.
    fn record(&self, number: u8, client: &str, user_id: Option<RecordId>) -> TokenRecord {
        let now = self.clock.now();
        TokenRecord {
            id: RecordId([number; 12]),
            access_token: token('a', number),
            refresh_token: Some(token('r', number)),
            client_id: ClientId::new(client),
            user_id,
            scope: Scope::parse("read write").unwrap(),
            refresh_scope: Scope::parse("read write").unwrap(),
            issued_at: now,
            expires_at: now + Duration::hours(1),
            refresh_expires_at: Some(now + Duration::days(1)),
            family_expires_at: Some(now + Duration::days(1)),
            session: None,
            family: RecordId([100; 12]),
            rotated_from: None,
            replaced: None,
        }
    }

    async fn write(&self, writes: &[TokenWrite]) -> Vec<bool> {
        self.truth.tokens.write(writes).await.unwrap()
    }

    async fn by_refresh(&self, token: TokenKey) -> Option<TokenRecord> {
        let found = self.truth.tokens.find_by_refresh_token(&[token]).await;
        found.unwrap().pop().unwrap()
    }

    fn end(&self, number: u8, family: u8) -> EndedToken {
        EndedToken {
            access_token: token('a', number),
            refresh_token: Some(token('r', number)),
            family: RecordId([family; 12]),
            ended_at: self.clock.now(),
            access_expires_at: self.clock.now() + Duration::hours(2),
            forget_at: self.clock.now() + Duration::hours(1),
            round: RecordId([number; 12]),
            is_answered: false,
            is_published: false,
        }
    }

    async fn ended_family(&self, number: u8) -> Option<RecordId> {
        let tokens = [token('r', number)];
        let found = self.truth.tokens.find_ends(&tokens).await;
        found.unwrap().pop().unwrap().map(|end| end.family)
    }
}

fn token(kind: char, number: u8) -> TokenKey {
    TokenKey::parse(&format!("{kind}{number:029}")).unwrap()
}

fn client(id: &str, now: OffsetDateTime) -> Client {
    let registration = ClientRegistration::new(ClientType::Public);
    Client {
        id: ClientId::new(id),
        client_type: registration.client_type,
        name: "a client".to_owned(),
        allowed_grant_types: registration.allowed_grant_types,
        allowed_scope: Scope::parse("read write").unwrap(),
        default_scope: Scope::parse("read").unwrap(),
        policy: registration.policy,
        secrets: vec![StoredSecret::of_list(SecretHash([7; 32]), 0, now)],
        is_disabled: false,
        sessions_ended: 0,
        created_at: now,
    }
}

async fn insert_user(truth: &Truth, name: &str, now: OffsetDateTime) -> Result<User, InsertError> {
    let user = NewUser {
        username: name.to_owned(),
        password_hash: PasswordHash::new("$2b$04$hash".to_owned(), HashOrigin::Sentinel),
        created_at: now,
    };
    truth.users.insert_user(&user).await
}

fn replace(old: &TokenRecord, record: TokenRecord) -> TokenWrite {
    TokenWrite::Replace {
        expected: ExpectedRecord::from(old),
        record,
    }
}

fn delete(old: &TokenRecord) -> TokenWrite {
    TokenWrite::Delete {
        expected: ExpectedRecord::from(old),
    }
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let store = Opened::new();
    let mut record = store.session().await;
    record.rotated_from = Some(RotatedFrom {
        refresh_token: token('r', 9),
        at: store.clock.now(),
        sealed: None,
    });
    assert_eq!(
        store.write(&[TokenWrite::Insert(record.clone())]).await,
        [true]
    );
    store
        .truth
        .tokens
        .remember_ends(&[store.end(5, 6)])
        .await
        .unwrap();
    let secrets = &store.truth.secrets;
    secrets
        .find_or_insert_secret("csrf", [3; 32])
        .await
        .unwrap();

    let path = store.path();
    let Opened {
        folder,
        clock,
        truth,
    } = store;
    drop(truth);
    let truth = open(&path, &clock).unwrap();
    let store = Opened {
        folder,
        clock,
        truth,
    };

    let user = store.truth.users.find_user("jonas").await.unwrap().unwrap();
    assert_eq!(Some(user.id), record.user_id);
    let hash = user.password_hash.unwrap();
    assert_eq!(
        (hash.as_str(), hash.origin()),
        ("$2b$04$hash", HashOrigin::Sentinel)
    );
    let id = ClientId::new("c1");
    let found = store.truth.clients.find_client(&id).await.unwrap().unwrap();
    assert_eq!(
        format!("{found:?}"),
        format!("{:?}", client("c1", found.created_at))
    );
    let found = store.by_refresh(token('r', 9)).await.unwrap();
    assert_eq!(format!("{found:?}"), format!("{record:?}"));
    assert_eq!(found.access_token, record.access_token);
    assert_eq!(store.ended_family(5).await, Some(RecordId([6; 12])));
    let secrets = &store.truth.secrets;
    let secret = secrets
        .find_or_insert_secret("csrf", [4; 32])
        .await
        .unwrap();
    assert_eq!(secret, [3; 32]);
}

#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    let store = Opened::new();
    let mut answered = Vec::new();
    for number in 0..20 {
        let name = format!("user{number}");
        store.user(&name).await.unwrap();
        answered.push(name);
        // As after `kill -9`: what the system has of the file, while it is still open.
        let copy = store.folder.path().join(format!("copy{number}.redb"));
        fs::copy(store.path(), &copy).unwrap();
        let copy = open(&copy, &store.clock).unwrap();
        for name in &answered {
            assert!(
                copy.users.find_user(name).await.unwrap().is_some(),
                "{name}"
            );
        }
        let again = insert_user(&copy, "user0", store.clock.now()).await;
        assert!(matches!(again, Err(InsertError::Taken)));
    }
}

#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_made_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sentinel.redb");
    fs::write(&path, [0; 4_096]).unwrap();
    let truth = open(&path, &Clock::default()).unwrap();
    assert_eq!(truth.users.count_users().await.unwrap(), 0);
}

#[test]
fn a_second_opener_is_told_who_has_the_file() {
    let store = Opened::new();
    let refused = open(&store.path(), &store.clock).err().unwrap().to_string();
    assert!(
        refused.ends_with("another sentinel process uses it"),
        "{refused}"
    );
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sentinel.redb");
    fs::write(&path, "dear diary, today was fine").unwrap();
    let refused = open(&path, &Clock::default()).err();
    assert!(matches!(refused, Some(OpenError::Unusable(_))));
    assert_eq!(fs::read(&path).unwrap(), b"dear diary, today was fine");
}

#[test]
fn nobody_else_may_read_the_file_or_its_folder() {
    let store = Opened::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.path()), 0o600);
    assert_eq!(mode(store.path().parent().unwrap()), 0o700);

    let copy = store.folder.path().join("copy.redb");
    fs::copy(store.path(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
    open(&copy, &store.clock).unwrap();
    assert_eq!(mode(&copy), 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parallel_inserts_of_one_name_one_succeeds() {
    let store = Opened::new();
    let mut inserts = JoinSet::new();
    for _ in 0..20 {
        let (truth, now) = (store.truth.clone(), store.clock.now());
        inserts.spawn(async move { insert_user(&truth, "jonas", now).await.is_ok() });
    }
    let inserted = inserts.join_all().await;
    assert_eq!(inserted.iter().filter(|done| **done).count(), 1);
    assert_eq!(store.truth.users.count_users().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parallel_records_of_one_session_one_is_stored() {
    let store = Opened::new();
    let first = store.session().await;
    let mut writes = JoinSet::new();
    for number in 0..20 {
        let record = store.record(number, "c1", first.user_id);
        let truth = store.truth.clone();
        let insert = [TokenWrite::Insert(record)];
        writes.spawn(async move { truth.tokens.write(&insert).await.unwrap() });
    }
    let done = writes.join_all().await.concat();
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
}

#[tokio::test]
async fn a_client_identifier_is_taken_once() {
    let store = Opened::new();
    let client = client("c1", store.clock.now());
    store.truth.clients.insert_client(&client).await.unwrap();
    let again = store.truth.clients.insert_client(&client).await;
    assert!(matches!(again, Err(InsertError::Taken)));
}

#[tokio::test]
async fn lists_go_on_after_the_last_one_seen() {
    let store = Opened::new();
    for name in ["a", "b", "c"] {
        store.user(name).await.unwrap();
        let client = client(name, store.clock.now());
        store.truth.clients.insert_client(&client).await.unwrap();
        store.clock.advance(Duration::seconds(1));
    }
    let users = &store.truth.users;
    let first = users.list_users(None, 2).await.unwrap();
    let rest = users.list_users(Some(first[1].id), 2).await.unwrap();
    let names: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|user| &user.username)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);

    let clients = &store.truth.clients;
    let first = clients.list_clients(None, 2).await.unwrap();
    let rest = clients.list_clients(Some(&first[1].id), 2).await.unwrap();
    let ids: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|client| client.id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(clients.count_clients().await.unwrap(), 3);
}

#[tokio::test]
async fn a_record_is_replaced_only_as_it_was_read() {
    let store = Opened::new();
    let old = store.session().await;
    let new = store.record(2, "c1", old.user_id);
    let insert = TokenWrite::Insert(old.clone());
    let writes = [
        insert,
        replace(&old, new.clone()),
        replace(&old, new.clone()),
        delete(&old),
    ];
    assert_eq!(store.write(&writes).await, [true, true, false, false]);

    // The new one came under the old identifier, and nothing leads to the old tokens any more.
    let found = store.by_refresh(token('r', 2)).await.unwrap();
    assert_eq!(found.id, old.id);
    assert!(store.by_refresh(token('r', 1)).await.is_none());
    let tokens = &store.truth.tokens;
    let found_old = tokens.find_by_access_token(&[token('a', 1)]).await.unwrap();
    assert!(found_old[0].is_none());

    assert_eq!(store.write(&[delete(&found)]).await, [true]);
    let sessions = [(old.client_id.clone(), old.user_id.unwrap())];
    assert!(tokens.find_by_session(&sessions).await.unwrap()[0].is_none());
    assert!(
        tokens
            .find_by_family(&[old.family])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_replacement_for_a_taken_session_changes_nothing() {
    let store = Opened::new();
    let own = store.session().await;
    let other = store.user("maria").await.unwrap();
    let taken = store.record(2, "c1", Some(other.id));
    let moved = store.record(3, "c1", Some(other.id));
    let inserts = [TokenWrite::Insert(own.clone()), TokenWrite::Insert(taken)];
    assert_eq!(store.write(&inserts).await, [true, true]);
    assert_eq!(store.write(&[replace(&own, moved)]).await, [false]);
    assert_eq!(store.by_refresh(token('r', 1)).await.unwrap().id, own.id);
}

#[tokio::test]
async fn the_present_refresh_token_wins_over_a_spent_one() {
    let store = Opened::new();
    let mut record = store.session().await;
    record.rotated_from = Some(RotatedFrom {
        refresh_token: token('r', 2),
        at: store.clock.now(),
        sealed: None,
    });
    let insert = TokenWrite::Insert(record.clone());
    store.write(&[insert]).await;
    assert_eq!(store.by_refresh(token('r', 2)).await.unwrap().id, record.id);

    let other = store.record(2, "c2", record.user_id);
    store.write(&[TokenWrite::Insert(other.clone())]).await;
    assert_eq!(store.by_refresh(token('r', 2)).await.unwrap().id, other.id);
}

#[tokio::test]
async fn a_grant_needs_its_user_and_its_client() {
    let store = Opened::new();
    let record = store.session().await;
    let mut disabled = client("disabled", store.clock.now());
    disabled.is_disabled = true;
    store.truth.clients.insert_client(&disabled).await.unwrap();
    let records = [
        record.clone(),
        store.record(2, "gone", record.user_id),
        store.record(3, "disabled", record.user_id),
        store.record(4, "c1", Some(RecordId([77; 12]))),
        store.record(5, "c1", None),
    ];
    let inserts: Vec<_> = records.iter().cloned().map(TokenWrite::Insert).collect();
    assert_eq!(store.write(&inserts).await, [true; 5]);
    store.clock.advance(Duration::hours(2));

    let tokens: Vec<_> = (1..=6).map(|number| token('a', number)).collect();
    let grants = store.truth.tokens.find_grants(&tokens).await.unwrap();
    let is_there: Vec<_> = grants.iter().map(Option::is_some).collect();
    assert_eq!(is_there, [true, false, false, false, true, false]);
    let grant = grants[0].clone().unwrap();
    assert_eq!(grant.user.unwrap().username, "jonas");
    assert_eq!(grant.expires_at, record.expires_at);
    assert!(grants[4].clone().unwrap().user.is_none());
}

#[tokio::test]
async fn the_first_memory_of_an_end_stays() {
    let store = Opened::new();
    let tokens = &store.truth.tokens;
    let before = store.clock.now();
    tokens
        .remember_ends(&[store.end(1, 6), store.end(2, 7)])
        .await
        .unwrap();
    store.clock.advance(Duration::seconds(10));
    tokens.remember_ends(&[store.end(1, 8)]).await.unwrap();
    assert_eq!(store.ended_family(1).await, Some(RecordId([6; 12])));
    assert_eq!(store.ended_family(3).await, None);

    let first = tokens.list_ends(Ends::All, before, None, 1).await.unwrap();
    assert_eq!(first.ends[0].access_token, token('a', 1));
    let rest = tokens.list_ends(Ends::All, before, first.next.as_ref(), 9);
    let rest = rest.await.unwrap().ends;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].access_token, token('a', 2));
    let expired = store.clock.now() + Duration::hours(3);
    let left = tokens.list_ends(Ends::All, expired, None, 9);
    assert!(left.await.unwrap().ends.is_empty());
}

#[tokio::test]
async fn an_answer_that_was_noted_is_in_the_file() {
    let store = Opened::new();
    let tokens = &store.truth.tokens;
    tokens.remember_ends(&[store.end(1, 6)]).await.unwrap();
    let answered = SettledEnds {
        answered: vec![token('a', 1)],
        ..SettledEnds::default()
    };
    let rounds = SettledRounds::from([(RecordId([1; 12]), answered)]);
    tokens.settle_ends(&rounds).await.unwrap();
    // What a process that is killed now would leave.
    let copy = store.folder.path().join("copy.redb");
    fs::copy(store.path(), &copy).unwrap();
    let left = open(&copy, &store.clock).unwrap();
    let ends = left.tokens.find_ends(&[token('r', 1)]).await.unwrap();
    assert!(ends[0].as_ref().unwrap().is_answered);
}

#[tokio::test]
async fn memories_are_forgotten_by_later_writes() {
    let store = Opened::new();
    let tokens = &store.truth.tokens;
    let before = store.clock.now();
    tokens.remember_ends(&[store.end(1, 6)]).await.unwrap();
    store.clock.advance(Duration::hours(1));
    tokens.remember_ends(&[store.end(2, 7)]).await.unwrap();
    assert_eq!(store.ended_family(1).await, None);
    let left = tokens.list_ends(Ends::All, before, None, 9).await.unwrap();
    assert_eq!(left.ends.len(), 1);
    assert_eq!(left.ends[0].access_token, token('a', 2));
}

#[tokio::test]
async fn records_go_a_day_after_both_tokens_have_expired() {
    let store = Opened::new();
    let short = store.session().await;
    let mut endless = store.record(2, "c2", short.user_id);
    endless.refresh_expires_at = None;
    let mut bare = store.record(3, "c1", None);
    bare.refresh_token = None;
    let inserts = [short, endless, bare].map(TokenWrite::Insert);
    assert_eq!(store.write(&inserts).await, [true; 3]);

    let left = async || {
        store.write(&[]).await;
        let tokens = [1, 2, 3].map(|number| token('a', number));
        let found = store
            .truth
            .tokens
            .find_by_access_token(&tokens)
            .await
            .unwrap();
        found.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    assert_eq!(left().await, [true, true, true]);
    store.clock.advance(Duration::hours(24));
    assert_eq!(left().await, [true, true, true]);
    store.clock.advance(Duration::hours(1));
    assert_eq!(left().await, [true, true, false]);
    store.clock.advance(Duration::hours(23));
    assert_eq!(left().await, [false, true, false]);
}

#[tokio::test]
async fn a_clock_that_stands_ahead_for_a_moment_costs_no_session() {
    let store = Opened::new();
    let record = store.session().await;
    store.write(&[TokenWrite::Insert(record.clone())]).await;
    // Its refresh token ends after a day.
    let ahead = Duration::hours(47);
    store.clock.advance(ahead);
    store.write(&[]).await;
    store.clock.advance(-ahead);
    assert_eq!(store.by_refresh(token('r', 1)).await.unwrap().id, record.id);
}

#[tokio::test]
async fn a_write_finds_the_expired_record_that_its_caller_read() {
    let store = Opened::new();
    let old = store.session().await;
    store.write(&[TokenWrite::Insert(old.clone())]).await;
    store.clock.advance(Duration::days(3));
    let new = store.record(2, "c1", old.user_id);
    assert_eq!(store.write(&[replace(&old, new)]).await, [true]);
    assert!(store.by_refresh(token('r', 2)).await.is_some());
}
