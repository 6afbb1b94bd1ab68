//! Asks servers and keeps what they told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::entry::{Asked, Entry, Told, told};
use crate::support::served::Api;

/// A history that is being made.
pub(crate) struct Recorder {
    began: Instant,
    servers: Vec<Api>,
    client_id: String,
    entries: Mutex<Vec<Entry>>,
}

impl Recorder {
    /// An empty history of what these servers tell a client.
    pub(crate) fn new(servers: Vec<Api>, client_id: String) -> Self {
        Self {
            began: Instant::now(),
            servers,
            client_id,
            entries: Mutex::default(),
        }
    }

    /// How many servers there are.
    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Asks one server for one session.
    pub(crate) async fn ask(&self, server: usize, session: usize, asked: Asked) -> Told {
        let api = &self.servers[server];
        let began = self.began.elapsed();
        let answered = match &asked {
            Asked::Login => api.login(&self.client_id, &username(session)).await,
            Asked::Refresh(token) => api.refresh(&self.client_id, token).await,
            Asked::Verify(token) => api.verify(token).await,
            Asked::Revoke(token) => api.revoke(token).await,
        };
        // A request that was never sent changed nothing.
        let Some(told) = told(&asked, answered) else {
            return Told::Unknown;
        };
        self.keep(Entry {
            session,
            server,
            began,
            ended: self.began.elapsed(),
            asked,
            told: told.clone(),
        });
        told
    }

    /// All entries so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// How many requests were told what, one line.
    pub(crate) fn figures(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut slowest = Duration::ZERO;
        for entry in self.entries.lock().unwrap().iter() {
            *counts.entry(kind(entry)).or_default() += 1;
            slowest = slowest.max(entry.ended.saturating_sub(entry.began));
        }
        format!("{counts:?}, slowest {slowest:?}")
    }

    fn keep(&self, entry: Entry) {
        self.entries.lock().unwrap().push(entry);
    }
}

/// The name of a session's user.
pub(crate) fn username(session: usize) -> String {
    format!("user{session}")
}

fn kind(entry: &Entry) -> &'static str {
    match (&entry.asked, &entry.told) {
        (_, Told::Odd(_)) => "odd",
        (Asked::Verify(_), Told::Unknown) => "verifications unknown",
        (Asked::Verify(_), Told::No) => "refused",
        (Asked::Verify(_), _) => "verified",
        (Asked::Login, Told::Unknown) => "logins unknown",
        (Asked::Login, _) => "logins",
        (Asked::Refresh(_), Told::Unknown) => "refreshes unknown",
        (Asked::Refresh(_), Told::No) => "refreshes refused",
        (Asked::Refresh(_), _) => "refreshes",
        (Asked::Revoke(_), Told::Unknown) => "revocations unknown",
        (Asked::Revoke(_), _) => "revocations",
    }
}
