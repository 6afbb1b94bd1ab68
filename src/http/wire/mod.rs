//! What goes over the wire, with the field names of the RFCs.

pub mod actor;
pub mod client;
pub mod introspection;
pub mod list;
pub mod problem;
pub mod revoke;
pub mod token;
pub mod user;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant as JSON has it (RFC 3339). Empty for a year that RFC 3339 cannot write; no store
/// of ours holds one.
pub(super) fn instant(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
