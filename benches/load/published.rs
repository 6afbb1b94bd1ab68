//! Tokens that are put into Redis straight from the truth, as a server publishes them.

use time::Duration;
use warp_sentinel::clock::Clock;
use warp_sentinel::domain::token_key::TokenKey;
use warp_sentinel::stores::redis::connection::Publication;

use super::Outcome;
use super::stores::Stores;

/// Tokens per round trip.
const GROUP: usize = 1_000;
/// What a bench leaves in Redis is gone after this, for however long its tokens are good.
const KEPT_FOR: Duration = Duration::hours(1);

/// Publishes these access tokens, all of which the truth has.
///
/// # Errors
/// What the stores say.
pub(crate) async fn write(stores: &Stores, tokens: &[String]) -> Outcome<()> {
    let truth = stores.open().await?;
    let redis = stores.connect().await?;
    let now = Clock::default().now();
    for group in tokens.chunks(GROUP) {
        let group = values(group)?;
        let grants = truth.tokens.find_grants(&group).await?;
        let mut changes = Vec::new();
        for (token, grant) in group.into_iter().zip(grants) {
            let mut grant = grant.ok_or("the truth does not have a token")?;
            grant.expires_at = grant.expires_at.min(now + KEPT_FOR);
            changes.push(Publication {
                set: vec![(token, grant)],
                delete: Vec::new(),
            });
        }
        redis.publish(&changes, now).await?;
    }
    Ok(())
}

/// Takes these tokens out of Redis, and so out of the local copies.
///
/// # Errors
/// What Redis says.
pub(crate) async fn forget(stores: &Stores, tokens: &[String]) -> Outcome<()> {
    let redis = stores.connect().await?;
    for group in tokens.chunks(GROUP) {
        redis.delete(&values(group)?).await?;
    }
    Ok(())
}

fn values(texts: &[String]) -> Outcome<Vec<TokenKey>> {
    let values = texts.iter().map(|text| TokenKey::parse(text));
    let values: Option<Vec<TokenKey>> = values.collect();
    Ok(values.ok_or("a token of another shape")?)
}
