//! Metrics: their names, and their text for Prometheus.

use std::sync::{Mutex, OnceLock, PoisonError};

use metrics::{describe_counter, describe_gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use thiserror::Error;

/// Token requests; labels `grant_type` (`other` for what we do not serve or could not read) and
/// `outcome`.
pub const TOKEN_REQUESTS: &str = "token_requests_total";
/// Introspection requests; label `outcome`.
pub const INTROSPECTION_REQUESTS: &str = "introspection_requests_total";
/// Revocation requests of clients; label `outcome`.
pub const REVOCATION_REQUESTS: &str = "revocation_requests_total";
/// Token records written, replaced or deleted.
pub const TOKEN_WRITES: &str = "token_writes_total";
/// Groups in which they were: each is confirmed by the truth once.
pub const TOKEN_WRITE_GROUPS: &str = "token_write_groups_total";
/// Verified access tokens; label `outcome`.
pub const VERIFICATIONS: &str = "verifications_total";
/// Restarts of actors; label `actor`.
pub const ACTOR_RESTARTS: &str = "actor_restarts_total";
/// Calls that an actor had no room for, or no time; label `actor`.
pub const ACTOR_CALLS_SHED: &str = "actor_calls_shed_total";
/// Calls that were not begun, since their deadline had passed or their caller had left; label
/// `actor`.
pub const ACTOR_CALLS_SKIPPED: &str = "actor_calls_skipped_total";
/// Operations of the fast copy that failed; the truth answered instead.
pub const CACHE_ERRORS: &str = "cache_errors_total";
/// Live tokens that a full Redis did not take; the truth has them.
pub const CACHE_TOKENS_REFUSED: &str = "cache_tokens_refused_total";
/// Bcrypt hashes begun, for a login or a new password.
pub const PASSWORD_HASHES: &str = "password_hashes_total";
/// Stored password hashes that could not be read.
pub const CORRUPT_PASSWORD_HASHES: &str = "corrupt_password_hashes_total";
/// Logins and client authentications refused unseen; label `by`.
pub const THROTTLED: &str = "throttled_attempts_total";
/// Log lines that could not be written.
pub const LOG_LINES_LOST: &str = "log_lines_lost_total";
/// Reads of new files that failed, so that the old ones stay; label `what`.
pub const RELOAD_FAILURES: &str = "reload_failures_total";
/// Jumps of wall time by more than five minutes; label `direction`.
pub const CLOCK_JUMPS: &str = "clock_jumps_total";
/// When the certificate in use expires, in seconds since 1970.
pub const TLS_CERTIFICATE_EXPIRY: &str = "tls_certificate_expiry_timestamp_seconds";

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why metrics cannot be collected.
#[derive(Debug, Error)]
#[error("the process has a metrics recorder already")]
pub struct InstallError;

/// Collects metrics from now on, for the whole process; what came before is lost. A second call
/// does nothing.
///
/// # Errors
/// [`InstallError`] when the program around us has installed a recorder of its own.
pub fn install() -> Result<(), InstallError> {
    // Servers of one test process may come here at once.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if HANDLE.get().is_some() {
        return Ok(());
    }
    // Its upkeep is for histograms, of which there are none.
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|_| InstallError)?;
    HANDLE.get_or_init(|| handle);
    describe();
    Ok(())
}

/// The metrics in Prometheus's text format; empty before [`install`].
pub fn render() -> String {
    HANDLE
        .get()
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

fn describe() {
    describe_counter!(TOKEN_REQUESTS, "Token requests by grant type and outcome");
    describe_counter!(INTROSPECTION_REQUESTS, "Introspection requests by outcome");
    describe_counter!(
        REVOCATION_REQUESTS,
        "Revocation requests of clients by outcome"
    );
    describe_counter!(TOKEN_WRITES, "Token records written, replaced or deleted");
    describe_counter!(TOKEN_WRITE_GROUPS, "Groups of such writes");
    describe_counter!(VERIFICATIONS, "Verified access tokens by outcome");
    describe_counter!(ACTOR_RESTARTS, "Restarts of actors");
    describe_counter!(
        ACTOR_CALLS_SHED,
        "Calls that an actor had no room for, or no time"
    );
    describe_counter!(
        ACTOR_CALLS_SKIPPED,
        "Calls not begun since nobody waited for them any more"
    );
    describe_counter!(CACHE_ERRORS, "Failed operations of the fast copy");
    describe_counter!(PASSWORD_HASHES, "Bcrypt hashes begun");
    describe_counter!(
        CACHE_TOKENS_REFUSED,
        "Live tokens that a full Redis did not take"
    );
    describe_counter!(
        CORRUPT_PASSWORD_HASHES,
        "Stored password hashes that could not be read"
    );
    describe_counter!(
        THROTTLED,
        "Logins and client authentications refused unseen, by what they were counted by"
    );
    describe_counter!(LOG_LINES_LOST, "Log lines that could not be written");
    describe_counter!(
        RELOAD_FAILURES,
        "Failed reloads, after which the old files stay"
    );
    describe_counter!(CLOCK_JUMPS, "Jumps of wall time by more than five minutes");
    describe_gauge!(
        TLS_CERTIFICATE_EXPIRY,
        "When the certificate in use expires, Unix seconds"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        install().unwrap();
        install().unwrap();
        let restarts = metrics::counter!(ACTOR_RESTARTS, "actor" => "metrics \"test\"\n");
        restarts.increment(2);
        let text = render();
        let line = r#"actor_restarts_total{actor="metrics \"test\"\n"} 2"#;
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("# HELP actor_restarts_total Restarts of actors"),
            "{text}"
        );
    }
}
