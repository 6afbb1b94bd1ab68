//! The requests that write tokens, what they begin with, and what must hold when they are done.

use std::time::{Duration, Instant};

use ::redis::AsyncCommands;
use warp_sentinel::domain::client::ClientType;
use warp_sentinel::domain::token_key::TokenKey;

use super::{DEADLINE, check_verified};
use crate::history::check_unavailable_within;
use crate::support::app::{Answer, TestApp, Tokens, USER};

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    /// Of a user and a client that the server has not read yet; nothing is replaced.
    FirstLogin,
    /// It replaces a session.
    Login,
    /// It spends a refresh token.
    Refresh,
    /// It ends a pair.
    Revoke,
}

/// What is there before.
pub(super) struct Prepared {
    client_id: String,
    before: Option<Tokens>,
}

impl Request {
    pub(super) const EVERY: [Self; 4] =
        [Self::FirstLogin, Self::Login, Self::Refresh, Self::Revoke];

    pub(super) async fn prepare(self, app: &TestApp) -> Prepared {
        if let Self::FirstLogin = self {
            let (client_id, _) = app.add_client(ClientType::Public).await;
            return Prepared {
                client_id,
                before: None,
            };
        }
        Prepared {
            client_id: app.client_id.clone(),
            before: Some(app.login().await),
        }
    }

    pub(super) async fn send(self, app: &TestApp, prepared: &Prepared) -> Answer {
        let client_id = ("client_id", prepared.client_id.as_str());
        match (self, &prepared.before) {
            (Self::Refresh, Some(before)) => app.refresh(&before.refresh).await,
            (Self::Revoke, Some(before)) => app.revoke(&before.access).await,
            _ => {
                let (username, password) = (("username", USER.0), ("password", USER.1));
                app.token(&[("grant_type", "password"), client_id, username, password])
                    .await
            }
        }
    }

    pub(super) async fn send_timed(self, app: &TestApp, prepared: &Prepared) -> (Answer, Duration) {
        let asked = Instant::now();
        let answer = self.send(app, prepared).await;
        (answer, asked.elapsed())
    }

    /// Sends it until it goes well, and tells how long that took.
    pub(super) async fn repeat(self, app: &TestApp, prepared: &Prepared) -> (Answer, Duration) {
        let began = Instant::now();
        loop {
            let (answer, took) = self.send_timed(app, prepared).await;
            if answer.status.is_success() {
                return (answer, began.elapsed());
            }
            self.check_not_now(&answer, took);
        }
    }

    /// "Not now", in time and with a hint when to come again.
    #[track_caller]
    pub(super) fn check_not_now(self, answer: &Answer, took: Duration) {
        if let Self::Revoke = self {
            // A problem of the management API, which has no OAuth error.
            assert_eq!(answer.status, 503, "{}", answer.body);
            assert!(!answer.header("retry-after").is_empty());
            assert!(took < DEADLINE, "told after {took:?}");
        } else {
            check_unavailable_within(answer, took, DEADLINE);
        }
    }

    /// What it is good for is there, and what it ends has ended.
    pub(super) async fn check_done(self, app: &TestApp, prepared: &Prepared, answer: &Answer) {
        if let Some(before) = &prepared.before {
            check_verified(app, &before.access, 401).await;
        }
        if let (Self::Revoke, Some(before)) = (self, &prepared.before) {
            let refused = app.refresh(&before.refresh).await;
            assert_eq!(refused.error(), "invalid_grant", "{}", refused.body);
            return;
        }
        let after = answer.tokens();
        check_verified(app, &after.access, 204).await;
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", prepared.client_id.as_str()),
            ("refresh_token", after.refresh.as_str()),
        ];
        let next = app.token(&form).await;
        assert_eq!(next.status, 200, "{self:?}: {}", next.body);
        check_verified(app, &next.tokens().access, 204).await;
    }
}

/// Each token in Redis is one of the truth's.
pub(super) async fn check_no_orphans(app: &TestApp) {
    let client = ::redis::Client::open(app.redis_url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    let tokens: Vec<TokenKey> = keys.iter().filter_map(|key| TokenKey::parse(key)).collect();
    let found = app
        .truth
        .tokens
        .find_by_access_token(&tokens)
        .await
        .unwrap();
    let orphans = found.iter().filter(|record| record.is_none()).count();
    assert_eq!(orphans, 0, "tokens that only Redis knows");
}
