//! What the registry is asked, and how the store is asked for it.

use super::{Page, RegistryError};
use crate::actors::handle::Call;
use crate::domain::client::{Client, ClientId};
use crate::domain::user::{NewUser, PasswordHash, User, UserId};
use crate::stores::Truth;

/// A call with its answer's type.
pub(super) type Asked<Q, A> = Call<Q, Result<A, RegistryError>>;

/// A call that waits for a round trip.
pub(super) enum Job {
    FindUser(Asked<String, Option<User>>),
    FindClient(Asked<ClientId, Option<Client>>),
    FindKnownClient(Asked<ClientId, Option<Client>>),
    AddUser(Asked<NewUser, User>),
    ReplacePasswordHash(Asked<(UserId, PasswordHash, PasswordHash), ()>),
    AddClient(Asked<Client, ()>),
    ListUsers(Asked<(Option<UserId>, usize), Page<User>>),
    ListClients(Asked<(Option<ClientId>, usize), Page<Client>>),
    Ping(Asked<(), ()>),
}

/// Jobs that share their round trips.
pub(super) enum Lane {
    Logins,
    Known,
    Pages,
}

impl Job {
    /// What it asks for, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::FindUser(_) => "find_user",
            Self::FindClient(_) => "find_client",
            Self::FindKnownClient(_) => "find_known_client",
            Self::AddUser(_) => "add_user",
            Self::ReplacePasswordHash(_) => "replace_password_hash",
            Self::AddClient(_) => "add_client",
            Self::ListUsers(_) => "list_users",
            Self::ListClients(_) => "list_clients",
            Self::Ping(_) => "ping",
        }
    }

    /// Which others it goes with.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::FindUser(_)
            | Self::FindClient(_)
            | Self::AddUser(_)
            | Self::ReplacePasswordHash(_)
            | Self::AddClient(_) => Lane::Logins,
            Self::FindKnownClient(_) | Self::Ping(_) => Lane::Known,
            Self::ListUsers(_) | Self::ListClients(_) => Lane::Pages,
        }
    }

    /// Asks the store and answers, unless nobody waits any more.
    pub(super) async fn run(self, truth: &Truth) {
        match self {
            Self::FindUser(call) if !call.is_stale() => {
                let found = truth.users.find_user(&call.request).await;
                call.answer(found.map_err(Into::into));
            }
            Self::FindClient(call) | Self::FindKnownClient(call) if !call.is_stale() => {
                let found = truth.clients.find_client(&call.request).await;
                call.answer(found.map_err(Into::into));
            }
            Self::AddUser(call) if !call.is_stale() => {
                let added = truth.users.insert_user(&call.request).await;
                call.answer(added.map_err(Into::into));
            }
            Self::ReplacePasswordHash(call) if !call.is_stale() => {
                let (id, old, new) = &call.request;
                let replaced = truth.users.replace_password_hash(*id, old, new).await;
                call.answer(replaced.map_err(Into::into));
            }
            Self::AddClient(call) if !call.is_stale() => {
                let added = truth.clients.insert_client(&call.request).await;
                call.answer(added.map_err(Into::into));
            }
            Self::ListUsers(call) if !call.is_stale() => {
                let (after, limit) = call.request;
                let page = list_users(truth, after, limit).await;
                call.answer(page);
            }
            Self::ListClients(call) if !call.is_stale() => {
                let (after, limit) = &call.request;
                let page = list_clients(truth, after.as_ref(), *limit).await;
                call.answer(page);
            }
            Self::Ping(call) if !call.is_stale() => {
                let reached = truth.tokens.ping().await;
                call.answer(reached.map_err(Into::into));
            }
            // Nobody waits for these any more; dropping them answers.
            Self::FindUser(_)
            | Self::FindClient(_)
            | Self::FindKnownClient(_)
            | Self::AddUser(_)
            | Self::ReplacePasswordHash(_)
            | Self::AddClient(_)
            | Self::ListUsers(_)
            | Self::ListClients(_)
            | Self::Ping(_) => {}
        }
    }
}

async fn list_users(
    truth: &Truth,
    after: Option<UserId>,
    limit: usize,
) -> Result<Page<User>, RegistryError> {
    let items = truth.users.list_users(after, limit + 1).await?;
    Ok(page(items, limit, truth.users.count_users().await?))
}

async fn list_clients(
    truth: &Truth,
    after: Option<&ClientId>,
    limit: usize,
) -> Result<Page<Client>, RegistryError> {
    let items = truth.clients.list_clients(after, limit + 1).await?;
    Ok(page(items, limit, truth.clients.count_clients().await?))
}

// One record more than asked for was read, to know whether others follow.
fn page<T>(mut items: Vec<T>, limit: usize, total: u64) -> Page<T> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    Page {
        items,
        has_more,
        total,
    }
}
