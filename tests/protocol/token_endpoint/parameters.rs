//! Missing, empty, overlong and unsupported parameters (RFC 6749 §3.3, §4.3.2, §5.2, §6).

use super::{with_client, with_form};
use crate::rows::{CANARY, ask, check, group, token_answer_faults};
use crate::support::app::spawn_app;

/// RFC 6749 §3.2, §4.3.2, §5.2.
#[tokio::test]
async fn a_missing_or_bad_parameter_is_refused_by_its_code() {
    let app = spawn_app().await;
    let with = |name: &str, value: &str| {
        let mut form = with_client(("client_id", &app.client_id));
        form.retain(|(own, _)| *own != name);
        form.push((name, value));
        with_form(app.post("/oauth/token"), &form)
    };
    let without = |name: &str| {
        let mut form = with_client(("client_id", &app.client_id));
        form.retain(|(own, _)| *own != name);
        with_form(app.post("/oauth/token"), &form)
    };
    let malformed = vec![
        ("T7 no grant_type", without("grant_type")),
        ("T7 an empty grant_type", with("grant_type", "")),
        ("T9 no username", without("username")),
        ("T9 an empty username", with("username", "")),
        ("T9 no password", without("password")),
        ("T9 an empty password", with("password", "")),
        ("T10 no client", without("client_id")),
        ("T10 an empty client_id", with("client_id", "")),
        ("T24 username, 257 bytes", with("username", &long(257))),
        ("T24 password, 1,025 bytes", with("password", &long(1_025))),
    ];
    let unsupported = vec![
        ("T8 an unknown grant_type", with("grant_type", CANARY)),
        ("T8 in capitals", with("grant_type", "PASSWORD")),
        ("T8 of another RFC", with("grant_type", "urn:ietf:params:x")),
    ];
    let ungranted = vec![
        ("T24 username, 256 bytes", with("username", &long(256))),
        ("T24 password, 1,024 bytes", with("password", &long(1_024))),
        ("a NUL in the password", with("password", "pass word 1\0")),
        ("a NUL in the username", with("username", "jonas\0")),
    ];
    let rows = vec![
        group(400, "invalid_request", malformed),
        group(400, "unsupported_grant_type", unsupported),
        group(400, "invalid_grant", ungranted),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 6749 §3.3, §5.2, appendix A.4.
#[tokio::test]
async fn a_scope_is_the_clients_and_well_formed_or_refused() {
    let app = spawn_app().await;
    let scope = |scope: &str| {
        let mut form = with_client(("client_id", &app.client_id));
        form.push(("scope", scope));
        with_form(app.post("/oauth/token"), &form)
    };
    let refused = vec![
        ("T28 a quote", scope("read\"canary7f")),
        ("T28 a backslash", scope("read\\canary7f")),
        ("T28 a control character", scope("read\u{1}")),
        ("T28 a double blank", scope("read  write")),
        ("T28 a leading blank", scope(" read")),
        ("T28 a closing blank", scope("read ")),
        ("T28 a tab", scope("read\twrite")),
        ("T28 no ASCII", scope("read\u{e9}")),
        ("T28 1,001 characters", scope(&long(1_001))),
        ("T29 not the client's", scope("canary7f")),
        ("T29 one of two not the client's", scope("read canary7f")),
    ];
    let granted = vec![
        ("T29 the client's", scope("read write")),
        ("T29 twice the same", scope("read read")),
        ("an empty scope is none", scope("")),
    ];
    let rows = vec![
        group(400, "invalid_scope", refused),
        group(200, "", granted),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// CVE-2025-6004: a name that is spelled otherwise is another name.
#[tokio::test]
async fn a_username_is_compared_byte_for_byte() {
    let app = spawn_app().await;
    app.add_user("Ren\u{e9}", "pass word 2").await;
    let client = ("client_id", app.client_id.as_str());
    let login = |username: &str| {
        let (username, password) = (("username", username), ("password", "pass word 2"));
        let form = [("grant_type", "password"), client, username, password];
        with_form(app.post("/oauth/token"), &form)
    };
    let no = "invalid_grant";
    let granted = vec![("T27 as stored", login("Ren\u{e9}"))];
    let refused = vec![
        ("T27 decomposed", login("Rene\u{301}")),
        ("T27 in another case", login("ren\u{e9}")),
        ("T27 a blank behind", login("Ren\u{e9} ")),
        ("T27 a blank before", login(" Ren\u{e9}")),
        ("T27 a zero-width blank", login("Ren\u{e9}\u{200b}")),
        ("T27 full-width letters", login("\u{ff32}en\u{e9}")),
        ("P23 an operator", login("{\"$ne\":null}")),
    ];
    let rows = vec![group(200, "", granted), group(400, no, refused)];
    check(&ask(rows).await, token_answer_faults);
}

/// A text of so many bytes.
fn long(bytes: usize) -> String {
    format!("{CANARY}{}", "x".repeat(bytes - CANARY.len()))
}
