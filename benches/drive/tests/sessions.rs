//! Which session a request is sent for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::time::timeout;

use crate::program::arguments::Arguments;
use crate::program::kind::Kind;
use crate::program::session::Session;
use crate::program::sessions::Sessions;
use crate::program::target::Target;

async fn sessions(count: usize, mix: &str) -> (Vec<Arc<Session>>, Sessions) {
    let line = "drive --url http://127.0.0.1:9 --client-id id --mix";
    let arguments = line.split(' ').chain([mix]);
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let target = Target::find(&arguments).await.unwrap();
    let all: Vec<Arc<Session>> = (0..count)
        .map(|index| format!("user{index}:pass").parse().unwrap())
        .map(|user| Arc::new(Session::new(user, &target)))
        .collect();
    let dealt = Sessions::deal(&all, &arguments.mix);
    (all, dealt)
}

async fn name(sessions: &Sessions, kind: Kind) -> String {
    sessions.take(kind).await.username.clone()
}

#[tokio::test]
async fn each_use_has_its_own_users_where_there_are_enough() {
    let (_, sessions) = sessions(5, "verify=1,refresh=1,login=1").await;
    assert!(!sessions.is_shared);
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        for kind in Kind::ALL {
            seen.insert((kind, name(&sessions, kind).await));
        }
    }
    let wanted = [
        (Kind::Verify, "user0"),
        (Kind::Verify, "user3"),
        (Kind::Refresh, "user1"),
        (Kind::Refresh, "user4"),
        (Kind::Login, "user2"),
    ];
    let wanted = wanted.map(|(kind, name)| (kind, name.to_owned()));
    assert_eq!(seen, BTreeSet::from(wanted));
}

#[tokio::test]
async fn a_session_is_refreshed_by_one_at_a_time() {
    let (_, sessions) = sessions(2, "refresh=1").await;
    let first = sessions.take(Kind::Refresh).await;
    let second = sessions.take(Kind::Refresh).await;
    assert_ne!(first.username, second.username);
    let none = timeout(Duration::from_millis(20), sessions.take(Kind::Refresh));
    assert!(none.await.is_err());
    let freed = first.username.clone();
    drop(first);
    assert_eq!(name(&sessions, Kind::Refresh).await, freed);
}

#[tokio::test]
async fn a_single_user_serves_all_and_a_login_waits_for_its_refresh() {
    let (all, sessions) = sessions(1, "verify=1,refresh=1,login=1").await;
    assert!(sessions.is_shared);
    let refreshed = sessions.take(Kind::Refresh).await;
    assert_eq!(name(&sessions, Kind::Verify).await, all[0].username);
    let login = sessions.take(Kind::Login);
    let login = timeout(Duration::from_millis(20), login);
    assert!(login.await.is_err());
    drop(refreshed);
    assert_eq!(name(&sessions, Kind::Login).await, all[0].username);
}
