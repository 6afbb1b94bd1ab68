//! Changing and deleting users and clients, and ending their tokens.
//!
//! Each first makes the user or client unusable in the truth, or counts there that its tokens are
//! ended; then ends the tokens; and a record is removed last. So a repeat finishes what a server
//! that died has begun, and what logs in meanwhile finds out (`token_issuer::standing`).

use super::Management;
use super::error::ManagementError;
use crate::actors::password_pool::fair_queue::Requester;
use crate::domain::client::{Client, ClientId};
use crate::domain::standing::SessionsOf;
use crate::domain::user::{Password, User, UserId};
use crate::stores::users_and_clients::{ClientChange, UserChange};

/// How often a record is disabled and found changed by somebody else before it could be removed.
const ATTEMPTS: usize = 3;

/// What is to become of a user. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    /// Whether it is refused everywhere.
    pub is_disabled: Option<bool>,
    /// A new password.
    pub password: Option<Password>,
}

/// What is to become of a client. What is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientPatch {
    /// Whether it is refused everywhere.
    pub is_disabled: Option<bool>,
}

impl Management {
    /// The user of this name.
    ///
    /// # Errors
    /// [`ManagementError::Unavailable`].
    pub async fn find_user(&self, username: String) -> Result<Option<User>, ManagementError> {
        Ok(self.registry.look_up_user(username).await?)
    }

    /// The user of this identifier.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`], [`ManagementError::Unavailable`].
    pub async fn user(&self, id: UserId) -> Result<User, ManagementError> {
        let found = self.registry.look_up_user_by_id(id).await?;
        found.ok_or(ManagementError::NotFound)
    }

    /// The client of this identifier.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`], [`ManagementError::Unavailable`].
    pub async fn client(&self, id: ClientId) -> Result<Client, ManagementError> {
        let found = self.registry.look_up_client(id).await?;
        found.ok_or(ManagementError::NotFound)
    }

    /// Whether this is the password of a user, disabled or not. It counts as no login.
    ///
    /// # Errors
    /// [`ManagementError::Overloaded`], [`ManagementError::Unavailable`].
    pub async fn is_password_of(
        &self,
        user: &User,
        password: Password,
    ) -> Result<bool, ManagementError> {
        let hash = user.password_hash.clone();
        let requester = Requester::administrator();
        Ok(self.passwords.verify(password, hash, &requester).await?)
    }

    /// Changes a user. A new password, or that it is disabled, ends all of its tokens. To repeat it
    /// is safe.
    ///
    /// # Errors
    /// [`ManagementError`], each.
    pub async fn change_user(&self, id: UserId, patch: UserPatch) -> Result<User, ManagementError> {
        let mut change = UserChange {
            is_disabled: patch.is_disabled,
            ..UserChange::default()
        };
        if let Some(password) = patch.password {
            let user = self.user(id).await?;
            password.check_new(self.policy.min_password_characters, &user.username)?;
            let requester = Requester::administrator();
            change.password_hash = Some(self.passwords.hash(password, &requester).await?);
        }
        let ends_sessions = change.ends_sessions();
        let changed = self.registry.update_user(id, change).await?;
        let user = changed.ok_or(ManagementError::NotFound)?;
        tracing::info!(user.id = %id, user.disabled = user.is_disabled, "a user was changed");
        if ends_sessions {
            self.end_sessions(&SessionsOf::User(id)).await?;
        }
        Ok(user)
    }

    /// Deletes a user, and ends all of its tokens. To repeat it is safe.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`] when there is neither the user nor a token of it;
    /// [`ManagementError::Unavailable`].
    pub async fn delete_user(&self, id: UserId) -> Result<(), ManagementError> {
        for _ in 0..ATTEMPTS {
            let disabled = UserChange {
                is_disabled: Some(true),
                ..UserChange::default()
            };
            let disabled = self.registry.update_user(id, disabled).await?;
            let ended = self.end_sessions(&SessionsOf::User(id)).await?;
            let Some(user) = disabled else {
                return found(ended);
            };
            if self.registry.delete_user(&user).await? {
                tracing::info!(user.id = %id, "a user was deleted");
                return Ok(());
            }
        }
        Err(changed_meanwhile())
    }

    /// Disables or enables a client. To disable it ends all of its tokens. To repeat it is safe.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`], [`ManagementError::Unavailable`].
    pub async fn change_client(
        &self,
        id: ClientId,
        patch: ClientPatch,
    ) -> Result<Client, ManagementError> {
        let change = ClientChange {
            is_disabled: patch.is_disabled,
            ..ClientChange::default()
        };
        let ends_sessions = change.ends_sessions();
        let changed = self.registry.update_client(id.clone(), change).await?;
        let client = changed.ok_or(ManagementError::NotFound)?;
        tracing::info!(client.id = %id, client.disabled = client.is_disabled, "a client was changed");
        if ends_sessions {
            self.end_sessions(&SessionsOf::Client(id)).await?;
        }
        Ok(client)
    }

    /// Deletes a client, and ends all of its tokens. To repeat it is safe.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`] when there is neither the client nor a token of it;
    /// [`ManagementError::Unavailable`].
    pub async fn delete_client(&self, id: ClientId) -> Result<(), ManagementError> {
        for _ in 0..ATTEMPTS {
            let disabled = ClientChange {
                is_disabled: Some(true),
                ..ClientChange::default()
            };
            let disabled = self.registry.update_client(id.clone(), disabled).await?;
            let ended = self.end_sessions(&SessionsOf::Client(id.clone())).await?;
            let Some(client) = disabled else {
                return found(ended);
            };
            if self.registry.delete_client(&client).await? {
                tracing::info!(client.id = %id, "a client was deleted");
                return Ok(());
            }
        }
        Err(changed_meanwhile())
    }

    /// Ends all tokens that somebody has now. Who logs in later is let in. To repeat it is safe.
    ///
    /// # Errors
    /// [`ManagementError::NotFound`] when there is neither who is meant nor a token of it;
    /// [`ManagementError::Unavailable`].
    pub async fn sign_out(&self, of: SessionsOf) -> Result<(), ManagementError> {
        let is_signed_out = true;
        let is_there = match &of {
            SessionsOf::User(id) => {
                let change = UserChange {
                    is_signed_out,
                    ..UserChange::default()
                };
                self.registry.update_user(*id, change).await?.is_some()
            }
            SessionsOf::Client(id) => {
                let change = ClientChange {
                    is_signed_out,
                    ..ClientChange::default()
                };
                let changed = self.registry.update_client(id.clone(), change).await?;
                changed.is_some()
            }
            // Each pair has a client.
            SessionsOf::Everyone => {
                self.registry.count_end_of_all_sessions().await?;
                true
            }
        };
        let ended = self.end_sessions(&of).await?;
        if is_there { Ok(()) } else { found(ended) }
    }

    async fn end_sessions(&self, of: &SessionsOf) -> Result<usize, ManagementError> {
        let ended = self.issuer.end_sessions(of).await?;
        match of {
            SessionsOf::User(id) => {
                tracing::info!(user.id = %id, pairs = ended, "all tokens of a user were ended");
            }
            SessionsOf::Client(id) => {
                tracing::info!(client.id = %id, pairs = ended, "all tokens of a client were ended");
            }
            SessionsOf::Everyone => tracing::info!(pairs = ended, "all tokens were ended"),
        }
        Ok(ended)
    }
}

// What was deleted before may have left tokens behind, when a server died in between.
fn found(ended: usize) -> Result<(), ManagementError> {
    if ended == 0 {
        return Err(ManagementError::NotFound);
    }
    Ok(())
}

/// Others were quicker each time.
pub(super) fn changed_meanwhile() -> ManagementError {
    ManagementError::Unavailable("somebody else changes the same record".into())
}
