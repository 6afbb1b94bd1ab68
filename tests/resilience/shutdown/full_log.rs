//! No room for the log: the server goes on, and counts what it could not write.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::place_of;
use crate::support::app::{AsConsole, USER, answer};
use crate::support::process::{PATIENCE, PAUSE, https};
use crate::support::server::free_port;

/// Two seconds of notice, and what a busy machine takes.
const END_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_full_disk_under_the_log_stops_nothing_and_is_counted() {
    let (port, operations) = (free_port(), free_port());
    let listen = format!("127.0.0.1:{operations}");
    let (place, _) = place_of(&[("SENTINEL_METRICS_LISTEN", &listen)]).await;
    let program = env!("CARGO_BIN_EXE_sentinel");
    let line = format!("exec '{program}' serve --listen 127.0.0.1:{port} 2>/dev/full");
    let mut running = place.start_shell(&line);
    let http = https();
    let deadline = Instant::now() + PATIENCE;
    let metrics = format!("http://{listen}/metrics");
    while http.get(&metrics).send().await.is_err() {
        assert!(
            running.runs() && Instant::now() < deadline,
            "it did not start"
        );
        sleep(PAUSE).await;
    }
    let lost = async || -> u64 {
        let text = answer(http.get(&metrics)).await.body;
        let count = text
            .lines()
            .find_map(|it| it.strip_prefix("log_lines_lost_total "));
        count.unwrap_or("0").parse().unwrap()
    };

    let before = lost().await;
    assert!(before > 0, "the lines of the start");
    let users = format!("https://localhost:{port}/oauth/management/api/v1/users");
    let user = serde_json::json!({"username": USER.0, "password": USER.1});
    let made = http.post(users).with_console_credentials().json(&user);
    assert_eq!(answer(made).await.status, 201);
    // Each of these is one line of the log.
    for _ in 0..10 {
        let token = http.post(format!("https://localhost:{port}/oauth/token"));
        let user = [("username", USER.0), ("password", USER.1)];
        let form = [("grant_type", "password"), ("client_id", "nobody")];
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .extend_pairs(user)
            .finish();
        let token = token
            .header("content-type", crate::support::app::FORM)
            .body(body);
        assert_eq!(answer(token).await.status, 401);
    }
    running.signal("HUP");
    while lost().await < before + 11 {
        assert!(
            running.runs() && Instant::now() < deadline,
            "{} lost",
            lost().await
        );
        sleep(PAUSE).await;
    }
    running.signal("TERM");
    assert_eq!(running.ended(END_WITHIN).await.code, Some(0));
}
