//! The collection `ended_tokens`: what became of the ends.

use mongodb::bson::doc;

use crate::domain::token::TokenValue;
use crate::stores::error::StoreError;

use super::documents::token;
use super::{MongoStore, within_deadline};

impl MongoStore {
    /// Takes marks off ends, in one write.
    pub(super) async fn settle(
        &self,
        answered: &[TokenValue],
        published: &[TokenValue],
    ) -> Result<(), StoreError> {
        let updates = token::settle(answered, published);
        if updates.is_empty() {
            return Ok(());
        }
        if !answered.is_empty() {
            self.update_grouped("ended_tokens", updates).await?;
            return Ok(());
        }
        // A mark that comes back in a crash does no harm, so the journal is not waited for.
        let command = doc! {
            "update": "ended_tokens", "updates": updates, "ordered": false,
            "writeConcern": { "w": 1, "j": false },
        };
        within_deadline(self.database.run_command(command)).await?;
        Ok(())
    }
}
