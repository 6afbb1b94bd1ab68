//! Which part of its lists the console shows, as its addresses say.

use super::refusal::Refusal;
use crate::actors::user_registry::Page;
use crate::domain::client::{Client, ClientId};
use crate::domain::user::{User, UserId};
use crate::http::extract::form::Form;

/// The longest cursor we look up, in bytes.
const MAX_CURSOR_BYTES: usize = 256;

/// Where in both lists a page begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursors {
    pub(super) users: Option<UserId>,
    pub(super) clients: Option<ClientId>,
    /// The one user that is looked for.
    pub(super) username: Option<String>,
}

impl Cursors {
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let bad = || Refusal::invalid("The place in the list cannot be read.");
        let query = Form::parse_pairs(query.as_bytes()).map_err(|_unreadable| bad())?;
        let users = query.get("users_after");
        let clients = query.get("clients_after");
        if clients.is_some_and(|id| id.len() > MAX_CURSOR_BYTES) {
            return Err(bad());
        }
        Ok(Self {
            users: users
                .map(|id| UserId::parse(id).ok_or_else(bad))
                .transpose()?,
            clients: clients.map(ClientId::new),
            username: query.get("username").map(str::to_owned),
        })
    }

    pub(super) fn next_users(&self, users: &Page<User>) -> String {
        let last = users.items.last().filter(|_| users.has_more);
        last.map(|last| {
            Self {
                users: Some(last.id),
                ..self.clone()
            }
            .query()
        })
        .unwrap_or_default()
    }

    pub(super) fn next_clients(&self, clients: &Page<Client>) -> String {
        let last = clients.items.last().filter(|_| clients.has_more);
        last.map(|last| {
            Self {
                clients: Some(last.id.clone()),
                ..self.clone()
            }
            .query()
        })
        .unwrap_or_default()
    }

    pub(super) fn first_users(&self) -> String {
        let is_later = self.users.is_some();
        if is_later {
            Self {
                users: None,
                ..self.clone()
            }
            .query()
        } else {
            String::new()
        }
    }

    pub(super) fn first_clients(&self) -> String {
        let is_later = self.clients.is_some();
        if is_later {
            Self {
                clients: None,
                ..self.clone()
            }
            .query()
        } else {
            String::new()
        }
    }

    // A lone `?` is the first page of both.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        if let Some(users) = &self.users {
            query.append_pair("users_after", &users.to_string());
        }
        if let Some(clients) = &self.clients {
            query.append_pair("clients_after", clients.as_str());
        }
        query.finish()
    }
}
