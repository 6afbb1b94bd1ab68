//! Users by their names: those of one round trip are looked up as one.

use std::sync::Arc;

use super::RegistryError;
use super::job::Asked;
use crate::actors::batch::Haste;
use crate::domain::user::User;
use crate::stores::Truth;

/// A user that is looked up.
pub(super) type LookUp = Asked<(String, Haste), Option<User>>;

/// Looks up several users, and answers.
pub(super) async fn find_all(truth: Truth, look_ups: Vec<LookUp>) {
    let awaited = look_ups.into_iter().filter(|call| !call.is_stale());
    let awaited: Vec<LookUp> = awaited.collect();
    if awaited.is_empty() {
        return;
    }
    let usernames: Vec<String> = awaited.iter().map(|call| call.request.0.clone()).collect();
    match truth.users.find_users(&usernames).await {
        Ok(found) => {
            for (call, found) in awaited.into_iter().zip(found) {
                call.answer(found.map_err(Into::into));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for call in awaited {
                let error = Box::new(Arc::clone(&error));
                call.answer(Err(RegistryError::Unavailable(error)));
            }
        }
    }
}
