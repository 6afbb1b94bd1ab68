//! What does a verification cost the server, against a bare route over the same TLS? Warm, from an
//! emptied local copy, and beside a flood of logins.

mod cold;
mod flood;
mod warm;

use super::Outcome;
use super::plan::Plan;
use super::process::{Process, Role};
use super::report::Report;

/// Measures `/oauth/verify` of `servers` against the floor.
///
/// # Errors
/// An answer that is not expected, or none.
pub(crate) async fn measure(
    plan: &Plan,
    floor: &Process,
    servers: &[Process],
    report: &mut Report,
) -> Outcome<()> {
    warm::measure(plan, floor, servers, report).await?;
    for server in servers {
        if let Role::MongoDb(stores) = &server.role {
            cold::measure(plan, floor, stores, report).await?;
        }
    }
    flood::measure(plan, servers, report).await
}
