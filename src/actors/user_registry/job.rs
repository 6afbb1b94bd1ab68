//! What the registry is asked, and how the store is asked for it.

use super::{Page, RegistryError};
use crate::actors::handle::Call;
use crate::domain::client::{Client, ClientId};
use crate::domain::client_secret::StoredSecret;
use crate::domain::user::{NewUser, PasswordHash, User, UserId};
use crate::stores::Truth;
use crate::stores::users_and_clients::{ClientChange, UserChange};

/// A call with its answer's type.
pub(super) type Asked<Q, A> = Call<Q, Result<A, RegistryError>>;

/// A call that waits for a round trip.
pub(super) enum Job {
    FindClient(Asked<ClientId, Option<Client>>),
    FindKnownClient(Asked<ClientId, Option<Client>>),
    AddUser(Asked<NewUser, User>),
    ReplacePasswordHash(Asked<(UserId, PasswordHash, PasswordHash), ()>),
    AddClient(Asked<Client, ()>),
    FindUserById(Asked<UserId, Option<User>>),
    UpdateUser(Asked<(UserId, UserChange), Option<User>>),
    DeleteUser(Asked<(UserId, u64), bool>),
    UpdateClient(Asked<(ClientId, ClientChange), Option<Client>>),
    DeleteClient(Asked<(ClientId, u64), bool>),
    CountEndOfAllSessions(Asked<(), ()>),
    ReplaceSecrets(Asked<(ClientId, Vec<StoredSecret>, Vec<StoredSecret>), bool>),
    ListUsers(Asked<(Option<UserId>, usize), Page<User>>),
    ListClients(Asked<(Option<ClientId>, usize), Page<Client>>),
}

/// Jobs that share their round trips.
pub(super) enum Lane {
    Logins,
    Known,
    Changes,
    Pages,
}

impl Job {
    /// What it asks for, in a word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::FindClient(_) => "find_client",
            Self::FindKnownClient(_) => "find_known_client",
            Self::AddUser(_) => "add_user",
            Self::ReplacePasswordHash(_) => "replace_password_hash",
            Self::AddClient(_) => "add_client",
            Self::FindUserById(_) => "find_user_by_id",
            Self::UpdateUser(_) => "update_user",
            Self::DeleteUser(_) => "delete_user",
            Self::UpdateClient(_) => "update_client",
            Self::DeleteClient(_) => "delete_client",
            Self::CountEndOfAllSessions(_) => "count_end_of_all_sessions",
            Self::ReplaceSecrets(_) => "replace_secrets",
            Self::ListUsers(_) => "list_users",
            Self::ListClients(_) => "list_clients",
        }
    }

    /// Which others it goes with.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::FindClient(_)
            | Self::AddUser(_)
            | Self::ReplacePasswordHash(_)
            | Self::AddClient(_) => Lane::Logins,
            Self::FindKnownClient(_) => Lane::Known,
            Self::FindUserById(_)
            | Self::UpdateUser(_)
            | Self::DeleteUser(_)
            | Self::UpdateClient(_)
            | Self::DeleteClient(_)
            | Self::CountEndOfAllSessions(_)
            | Self::ReplaceSecrets(_) => Lane::Changes,
            Self::ListUsers(_) | Self::ListClients(_) => Lane::Pages,
        }
    }

    /// Whether nobody waits for it any more.
    fn is_stale(&self) -> bool {
        match self {
            Self::FindClient(call) | Self::FindKnownClient(call) => call.is_stale(),
            Self::AddUser(call) => call.is_stale(),
            Self::ReplacePasswordHash(call) => call.is_stale(),
            Self::AddClient(call) => call.is_stale(),
            Self::FindUserById(call) => call.is_stale(),
            Self::UpdateUser(call) => call.is_stale(),
            Self::DeleteUser(call) => call.is_stale(),
            Self::UpdateClient(call) => call.is_stale(),
            Self::DeleteClient(call) => call.is_stale(),
            Self::CountEndOfAllSessions(call) => call.is_stale(),
            Self::ReplaceSecrets(call) => call.is_stale(),
            Self::ListUsers(call) => call.is_stale(),
            Self::ListClients(call) => call.is_stale(),
        }
    }

    /// Asks the store and answers, unless nobody waits any more: dropping it answers, too.
    pub(super) async fn run(self, truth: &Truth) {
        if self.is_stale() {
            return;
        }
        match self {
            Self::FindClient(call) | Self::FindKnownClient(call) => {
                let found = truth.clients.find_client(&call.request).await;
                call.answer(found.map_err(Into::into));
            }
            Self::AddUser(call) => {
                let added = truth.users.insert_user(&call.request).await;
                call.answer(added.map_err(Into::into));
            }
            Self::ReplacePasswordHash(call) => {
                let (id, old, new) = &call.request;
                let replaced = truth.users.replace_password_hash(*id, old, new).await;
                call.answer(replaced.map_err(Into::into));
            }
            Self::AddClient(call) => {
                let added = truth.clients.insert_client(&call.request).await;
                call.answer(added.map_err(Into::into));
            }
            administered => administered.administer(truth).await,
        }
    }

    // What people ask for.
    async fn administer(self, truth: &Truth) {
        match self {
            Self::FindUserById(call) => {
                let found = truth.users.find_users_by_id(&[call.request]).await;
                let found = found.map(|mut users| users.pop().flatten());
                call.answer(found.map_err(Into::into));
            }
            Self::UpdateUser(call) => {
                let (id, change) = &call.request;
                let updated = truth.users.update_user(*id, change).await;
                call.answer(updated.map_err(Into::into));
            }
            Self::DeleteUser(call) => {
                let (id, sessions_ended) = call.request;
                let deleted = truth.users.delete_user(id, sessions_ended).await;
                call.answer(deleted.map_err(Into::into));
            }
            Self::UpdateClient(call) => {
                let (id, change) = &call.request;
                let updated = truth.clients.update_client(id, change).await;
                call.answer(updated.map_err(Into::into));
            }
            Self::DeleteClient(call) => {
                let (id, sessions_ended) = &call.request;
                let deleted = truth.clients.delete_client(id, *sessions_ended).await;
                call.answer(deleted.map_err(Into::into));
            }
            Self::CountEndOfAllSessions(call) => {
                let counted = truth.clients.count_end_of_all_sessions().await;
                call.answer(counted.map_err(Into::into));
            }
            Self::ReplaceSecrets(call) => {
                let (id, old, new) = &call.request;
                let replaced = truth.clients.replace_secrets(id, old, new).await;
                call.answer(replaced.map_err(Into::into));
            }
            Self::ListUsers(call) => {
                let (after, limit) = call.request;
                let page = list_users(truth, after, limit).await;
                call.answer(page);
            }
            Self::ListClients(call) => {
                let (after, limit) = &call.request;
                let page = list_clients(truth, after.as_ref(), *limit).await;
                call.answer(page);
            }
            Self::FindClient(_)
            | Self::FindKnownClient(_)
            | Self::AddUser(_)
            | Self::ReplacePasswordHash(_)
            | Self::AddClient(_) => {}
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
