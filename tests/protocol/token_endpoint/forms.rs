//! What is not a single form, and what belongs into one (RFC 6749 §2.3.1, §3.2, appendix B).

use super::{form_body, form_text, with_client, with_form};
use crate::rows::{CANARY, ask, check, group, token_answer_faults};
use crate::support::app::{FORM, spawn_app};

/// RFC 6749 §3.2, §5.2, appendix B.
#[tokio::test]
async fn a_body_that_is_no_single_form_is_refused() {
    let app = spawn_app().await;
    let login = form_text(&with_client(("client_id", &app.client_id)));
    let many = (0..33).map(|n| format!("&{CANARY}{n}=1"));
    let crowded = format!("{login}{}", many.collect::<String>());
    let hollow = format!("{login}{}", "&".repeat(1_000));
    let long_name = format!("{login}&{}=1", "n".repeat(10_000));
    let typed = |media: &str, body: &str| {
        let request = app.post("/oauth/token").header("content-type", media);
        request.body(body.to_owned())
    };
    let json = format!("{{\"grant_type\":\"{CANARY}\"}}");
    let multipart = "multipart/form-data; boundary=x";
    let gzip = form_body(&app, login.clone()).header("content-encoding", "gzip");
    let bad = "invalid_request";
    let with = |more: &str| form_body(&app, format!("{login}{more}"));
    let malformed = vec![
        ("T2 no body", app.post("/oauth/token")),
        ("T2 an empty form", typed(FORM, "")),
        ("T3 JSON", typed("application/json", &json)),
        ("T3 multipart", typed(multipart, &login)),
        ("T3 plain text", typed("text/plain", &login)),
        (
            "T3 no media type",
            app.post("/oauth/token").body(login.clone()),
        ),
        ("T3 unparsable media type", typed(";;;", &login)),
        (
            "T3 other charset",
            typed(&format!("{FORM}; charset=utf-16"), &login),
        ),
        (
            "T3 two media types",
            typed(FORM, &login).header("content-type", FORM),
        ),
        ("T5 a repeated parameter", with("&username=jonas")),
        ("T5 repeated, once empty", with("&username=")),
        ("T5 repeated, encoded", with("&user%6eame=jonas")),
        ("T5 an unknown one repeated", with("&x=1&x=2")),
        ("T40 33 parameters", form_body(&app, crowded)),
        ("T40 1,000 separators", form_body(&app, hollow)),
        ("T40 a name of 10 KB", form_body(&app, long_name)),
    ];
    let granted = vec![
        (
            "T3 our charset",
            typed(&format!("{FORM}; charset=UTF-8"), &login),
        ),
        ("T6 unknown parameters", with("&state=canary7f&resource=x")),
    ];
    let encoded = vec![("T41 compressed", gzip)];
    let rows = vec![
        group(400, bad, malformed),
        group(200, "", granted),
        group(415, bad, encoded),
    ];
    check(&ask(rows).await, token_answer_faults);
}

/// RFC 6749 appendix B: names and values are UTF-8, percent-encoded.
#[tokio::test]
async fn a_parameter_that_is_not_well_encoded_is_refused() {
    let app = spawn_app().await;
    let login = form_text(&with_client(("client_id", &app.client_id)));
    let with = |more: &[u8]| {
        let body = [login.as_bytes(), more].concat();
        form_body(&app, body)
    };
    let rows = vec![
        ("a bad percent code", with(b"&x=%zzcanary7f")),
        ("half a percent code", with(b"&x=canary7f%a")),
        ("no UTF-8 in a value", with(b"&x=canary7f%ff")),
        ("no UTF-8 in a name", with(b"&canary7f%ff=x")),
        ("a raw byte that is no UTF-8", with(b"&x=canary7f\xff")),
    ];
    let asked = ask(vec![group(400, "invalid_request", rows)]).await;
    check(&asked, token_answer_faults);
}

/// RFC 6749 §2.3.1: "The parameters [..] MUST NOT be included in the request URI."
#[tokio::test]
async fn what_belongs_into_the_body_is_refused_in_the_query() {
    let app = spawn_app().await;
    let query = |query: &str| {
        let client = ("client_id", app.client_id.as_str());
        let request = app.post(&format!("/oauth/token?{query}"));
        with_form(request, &with_client(client))
    };
    let bad = "invalid_request";
    let malformed = vec![
        ("T4 grant_type", query("grant_type=canary7f")),
        ("T4 client_id", query("client_id=canary7f")),
        ("T4 client_secret", query("client_secret=canary7f")),
        ("T4 username", query("username=canary7f")),
        ("T4 password", query("password=canary7f")),
        ("T4 refresh_token", query("refresh_token=canary7f")),
        ("T4 scope", query("scope=canary7f")),
        ("T4 an encoded name", query("pass%77ord=canary7f")),
        ("T4 behind another", query("x=1&password=canary7f")),
        ("T4 an empty value", query("password=")),
    ];
    let granted = vec![
        ("an unknown parameter", query("x=canary7f")),
        ("a bad percent code", query("%zz=canary7f$")),
    ];
    let rows = vec![group(400, bad, malformed), group(200, "", granted)];
    check(&ask(rows).await, token_answer_faults);
}
