//! What the console and its API ask of the registry beside new records and lists.

use super::job::Job;
use super::{RegistryError, UserRegistry, ask, find_user};
use crate::actors::batch::Haste;
use crate::domain::client::{Client, ClientId};
use crate::domain::user::{User, UserId};
use crate::stores::users_and_clients::{ClientChange, UserChange};

impl UserRegistry {
    /// The user of this name, for the console: it does not share the room of logins.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn look_up_user(&self, username: String) -> Result<Option<User>, RegistryError> {
        find_user(&self.console, username, Haste::AtOnce).await
    }

    /// The user of this identifier.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn look_up_user_by_id(&self, id: UserId) -> Result<Option<User>, RegistryError> {
        ask(&self.console, id, Job::FindUserById).await
    }

    /// The client of this identifier, as the store has it now.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn look_up_client(&self, id: ClientId) -> Result<Option<Client>, RegistryError> {
        ask(&self.console, id, Job::FindClient).await
    }

    /// Changes a user, and gives it as it is then.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn update_user(
        &self,
        id: UserId,
        change: UserChange,
    ) -> Result<Option<User>, RegistryError> {
        ask(&self.console, (id, change), Job::UpdateUser).await
    }

    /// Removes a user as it was disabled, and tells whether it is there no more.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn delete_user(&self, user: &User) -> Result<bool, RegistryError> {
        let expected = (user.id, user.sessions_ended);
        ask(&self.console, expected, Job::DeleteUser).await
    }

    /// Changes a client, and gives it as it is then. This server knows at once, the others within a
    /// second.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn update_client(
        &self,
        id: ClientId,
        change: ClientChange,
    ) -> Result<Option<Client>, RegistryError> {
        let changed = ask(&self.console, (id.clone(), change), Job::UpdateClient).await;
        // Also after a failure: nobody knows what became of the change.
        self.clients.remove(&id);
        changed
    }

    /// Removes a client as it was disabled, and tells whether it is there no more.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn delete_client(&self, client: &Client) -> Result<bool, RegistryError> {
        let expected = (client.id.clone(), client.sessions_ended);
        let deleted = ask(&self.console, expected, Job::DeleteClient).await;
        self.clients.remove(&client.id);
        deleted
    }

    /// Counts for each client that its sessions are ended.
    ///
    /// # Errors
    /// [`RegistryError::Overloaded`], [`RegistryError::Unavailable`].
    pub async fn count_end_of_all_sessions(&self) -> Result<(), RegistryError> {
        ask(&self.console, (), Job::CountEndOfAllSessions).await
    }
}
