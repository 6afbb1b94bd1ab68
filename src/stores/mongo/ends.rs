//! The collection `ended_tokens`: what became of the ends, and whether what was not found can be
//! believed.

use mongodb::bson::doc;
use mongodb::options::ReadConcern;

use crate::domain::token::TokenValue;
use crate::stores::error::StoreError;

use super::documents::token;
use super::{MongoStore, WRITE_TIMEOUT, error_code, within_deadline};

/// What a server says that is of no replica set.
const NOT_A_REPLICA_SET: i32 = 123;

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

    /// Lets a majority confirm the primary, and thereby what is read from now on.
    //
    // A write that changes nothing would not do: it waits for the last entry of the log, which a
    // majority may have had long before this server was cut off from it. A linearizable read writes
    // an entry of its own, and answers when a majority has that.
    pub(super) async fn confirm_primary(&self) -> Result<(), StoreError> {
        let nothing = doc! { "_id": "" };
        let read = self.ended_tokens.find_one(nothing);
        let read = read
            .read_concern(ReadConcern::linearizable())
            .max_time(WRITE_TIMEOUT);
        let confirmed = within_deadline(async {
            match read.await {
                // A single server has no successor.
                Err(error) if error_code(&error) == Some(NOT_A_REPLICA_SET) => Ok(()),
                answer => answer.map(drop),
            }
        });
        confirmed.await
    }
}
