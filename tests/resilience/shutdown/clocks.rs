//! Clocks that jump (P28): nothing is accepted past its end, and the operator hears of it.

use std::ffi::OsString;
use std::path::PathBuf;

use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, sleep};
use warp_sentinel::clock::Clock;
use warp_sentinel::telemetry::metrics;

use super::place_of;
use crate::support::app::{TestApp, spawn_app_with};
use crate::support::process::{PATIENCE, PAUSE, https};
use crate::support::server::free_port;
use crate::support::tls::{make_pair_valid, write_pair};

/// Jumps that were told so far, of all servers of this process.
fn jumps(direction: &str) -> u64 {
    let line = format!("clock_jumps_total{{direction=\"{direction}\"}} ");
    let text = metrics::render();
    let count = text.lines().find_map(|it| it.strip_prefix(&line));
    count.map_or(0, |count| count.parse().unwrap())
}

async fn told_more_than(before: u64, direction: &str) {
    let deadline = Instant::now() + PATIENCE;
    while jumps(direction) <= before {
        assert!(Instant::now() < deadline, "no alarm: {direction}");
        sleep(PAUSE).await;
    }
}

/// What each server, who may have copies, says of a token.
async fn statuses(servers: [&TestApp; 2], token: &str) -> [u16; 2] {
    let mut statuses = [0; 2];
    for (status, server) in statuses.iter_mut().zip(servers) {
        *status = server.verify(token).await.status.as_u16();
    }
    statuses
}

#[tokio::test]
async fn no_token_outlives_its_end_although_the_clock_stood_back_in_between() {
    let app = spawn_app_with(&[("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "600")]).await;
    let sibling = app.sibling().await;
    let both = [&app, &sibling];
    for back in [
        Duration::hours(1),
        Duration::days(1),
        Duration::days(20_000),
    ] {
        let tokens = app.login().await;
        assert_eq!(statuses(both, &tokens.access).await, [204; 2]);
        let (ahead, behind) = (jumps("ahead"), jumps("back"));
        app.clock.advance(-back);
        // A jump makes nobody log in again.
        assert_eq!(
            statuses(both, &tokens.access).await,
            [204; 2],
            "back {back}"
        );
        told_more_than(behind, "back").await;
        // As far ahead, and to a moment before the end.
        app.clock.advance(back + Duration::seconds(570));
        assert_eq!(
            statuses(both, &tokens.access).await,
            [204; 2],
            "before the end"
        );
        told_more_than(ahead, "ahead").await;
        app.clock.advance(Duration::seconds(31));
        assert_eq!(
            statuses(both, &tokens.access).await,
            [401; 2],
            "past the end"
        );
        // The session goes on: nothing was revoked.
        let renewed = app.refresh(&tokens.refresh).await;
        assert_eq!(renewed.status, 200, "{}", renewed.body);
        let renewed = renewed.tokens();
        assert_eq!(statuses(both, &renewed.access).await, [204; 2]);
        assert_eq!(
            statuses(both, &tokens.access).await,
            [401; 2],
            "the old one"
        );
    }
    sibling.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_token_that_ended_while_the_clock_was_right_is_not_put_back_by_a_clock_ahead() {
    let app = spawn_app_with(&[("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "600")]).await;
    let tokens = app.login().await;
    app.clock.advance(Duration::hours(1));
    assert_eq!(app.verify(&tokens.access).await.status, 401);
    // Right again: what was refused meanwhile is good, since nobody revoked it.
    app.clock.advance(-Duration::hours(1));
    let deadline = Instant::now() + PATIENCE;
    while app.verify(&tokens.access).await.status != 204 {
        // An absence is believed for a second.
        assert!(Instant::now() < deadline, "a clock ahead revoked a token");
        sleep(PAUSE).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_certificate_near_its_end_is_warned_of_and_a_metric_at_start_and_at_reload() {
    let operations = format!("127.0.0.1:{}", free_port());
    let (place, _) = place_of(&[("SENTINEL_METRICS_LISTEN", &operations)]).await;
    let now = Clock::default().now();
    let ending = |days: i64| {
        let pair = make_pair_valid(now - Duration::days(80), now + Duration::days(days));
        write_pair(&place, &pair, &pair);
    };
    ending(12);
    let mut running = place.start("serve --listen 127.0.0.1:0");
    let line = running.line("expires within 12 days").await;
    assert!(line.contains(" WARN "), "{line}");
    expiry_becomes(&operations, now + Duration::days(12)).await;
    ending(3);
    running.signal("HUP");
    running.line("expires within 3 days").await;
    expiry_becomes(&operations, now + Duration::days(3)).await;
    running.signal("INT");
    let ended = running.ended(PATIENCE).await;
    assert_eq!(
        ended.err.matches("expires within").count(),
        2,
        "{}",
        ended.err
    );
}

/// Waits until the metric of the certificate's end tells this instant.
async fn expiry_becomes(operations: &str, end: OffsetDateTime) {
    let url = format!("http://{operations}/metrics");
    let deadline = Instant::now() + PATIENCE;
    let expected = end.unix_timestamp();
    loop {
        let told = match https().get(&url).send().await {
            Ok(answered) => answered.text().await.unwrap(),
            Err(error) => error.to_string(),
        };
        let mut lines = told.lines();
        let line =
            lines.find_map(|line| line.strip_prefix("tls_certificate_expiry_timestamp_seconds "));
        if line.is_some_and(|figure| figure.parse() == Ok(expected)) {
            return;
        }
        assert!(Instant::now() < deadline, "not {expected}: {told}");
        sleep(PAUSE).await;
    }
}

/// The library that gives a program another clock, where it is installed.
fn faketime() -> Option<PathBuf> {
    let named = std::env::var_os("SENTINEL_TEST_FAKETIME").map(PathBuf::from);
    let installed = ["x86_64", "aarch64"].map(|machine| {
        PathBuf::from(format!(
            "/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"
        ))
    });
    named
        .into_iter()
        .chain(installed)
        .find(|file| file.is_file())
}

#[tokio::test]
async fn a_clock_before_the_program_was_made_ends_the_start() {
    // The movable clock everywhere; the program itself where it can be deceived.
    let clock = Clock::default();
    clock.advance(Duration::days(-20_000));
    let settings = crate::support::app::load(&[("SENTINEL_STORE", "embedded".to_owned())]);
    let started = warp_sentinel::Sentinel::start_with_clock(settings, clock).await;
    let error = started.err().expect("it started in 1972");
    assert_eq!(error.exit_code(), 69, "{error}");
    assert!(error.to_string().contains("the clock says 19"), "{error}");

    let Some(library) = faketime() else {
        return;
    };
    let (mut place, _) = place_of(&[]).await;
    let library = OsString::from(library);
    place.set("LD_PRELOAD", library.to_str().unwrap());
    place.set("FAKETIME", "1970-01-02 00:00:00");
    let ended = place.run("serve --listen 127.0.0.1:0").await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.err.contains("the clock says 1970"), "{ended:?}");
}
