//! What the program finds is what the server did.

use std::fs;
use std::process::Command;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use serde_json::Value;

use crate::program;
use crate::program::Outcome;
use crate::program::arguments::Arguments;
use crate::program::report::Report;
use crate::served::{Served, serve, serve_in_turns};

/// The body of an answer with a pair of tokens.
const PAIR: &str = r#"{"access_token":"a","refresh_token":"r"}"#;
/// A whole answer of 204.
const NOTHING: &str = "HTTP/1.1 204 No Content\r\n\r\n";
/// How long a server stalls, once.
const STALL: Duration = Duration::from_millis(600);

/// A whole answer of 200 with this body.
fn content(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn drive(options: &str) -> Outcome<Report> {
    let arguments = ["drive"].into_iter().chain(options.split_whitespace());
    program::run(&Arguments::try_parse_from(arguments)?)
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn a_server_is_driven_at_a_rate_and_over_http2_in_a_closed_loop() {
    let served = Served::start();
    let (json, svg) = (served.path("run.json"), served.path("run.svg"));
    let report = drive(&format!(
        "{} --ca-cert {} --rate 150 --seconds 2 --warm-up 1 --mix verify=6,refresh=3,login=1 \
         --pid {} --json {} --svg {} --bench",
        served.options(),
        served.certificate().display(),
        std::process::id(),
        json.display(),
        svg.display(),
    ))
    .unwrap();
    assert!(report.is_well_formed());
    // Constant arrivals: neither more nor fewer than were due.
    assert_eq!(
        (report.all.count, report.all.good),
        (300, 300),
        "{report:?}"
    );
    let rate = report.all.per_second;
    assert!((rate - 150.0).abs() < 30.0, "{rate}");
    assert!(report.processor.unwrap().micros_per_answer > 0.0);

    let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(json["configuration"]["mix"], "verify=6,refresh=3,login=1");
    assert_eq!(json["seconds"].as_array().unwrap().len(), 2);
    let count = |kind: &str| json["kinds"][kind]["good"].as_u64().unwrap();
    assert_eq!(count("verify") + count("refresh") + count("login"), 300);
    assert!(count("login") > 0 && count("refresh") > count("login"));
    assert!(json["kinds"]["verify"]["latency_ms"]["p99.9"].is_number());
    check_plot(&fs::read_to_string(svg).unwrap());

    let report = drive(&format!(
        "{} --insecure --http 2 --connections 2 --streams 3 --closed --seconds 1 --warm-up 0 \
         --mix verify=1,refresh=1,login=1",
        served.options(),
    ))
    .unwrap();
    assert!(report.is_well_formed());
    assert_eq!(report.all.good, report.all.count, "{report:?}");
    assert!(report.kinds.values().all(|kind| kind.good > 0));
    assert_eq!(report.connections_remade, 0);
}

fn check_plot(svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap();
    let named = |name| {
        document
            .descendants()
            .filter(move |node| node.has_tag_name(name))
    };
    let texts: Vec<&str> = named("text").filter_map(|node| node.text()).collect();
    for wanted in [
        "verify: latency, ms",
        "login: latency, ms",
        "p99",
        "refresh",
    ] {
        assert!(
            texts.iter().any(|text| text.trim() == wanted),
            "{wanted} in {texts:?}"
        );
    }
    // Four curves of latencies for each of three kinds, and five of rates.
    let curves = named("polyline").filter(|node| node.attribute("stroke-width") == Some("2"));
    assert!(curves.count() >= 4 * 3 + 5);
}

#[test]
fn a_stall_is_seen_by_all_that_were_due_in_it() {
    fn stall(path: &str, count: u32) -> String {
        if path == "/oauth/token" {
            return content(PAIR);
        }
        if count == 20 {
            std::thread::park_timeout(STALL);
        }
        NOTHING.to_owned()
    }
    let load = "--mix verify=1 --warm-up 0 --seconds 1";
    let open = drive(&format!("{} {load} --rate 100", serve(stall))).unwrap();
    assert_eq!((open.all.count, open.all.good), (100, 100));
    // 60 were due while it stalled; nine in ten of these waited 60 ms or more.
    assert!(open.all.late >= 50, "{open:?}");
    assert!(open.all.latency_ms.unwrap().p50 > 60.0, "{open:?}");

    let closed = drive(&format!("{} {load} --closed", serve(stall))).unwrap();
    let latency = closed.all.latency_ms.unwrap();
    assert!(latency.p90 < 60.0 && latency.max >= 590.0, "{closed:?}");
}

#[test]
fn answers_are_told_apart_by_status_and_form() {
    fn answer(path: &str, count: u32) -> String {
        match (path, count % 4) {
            ("/oauth/token", _) if count < 1 => content(PAIR),
            ("/oauth/token", _) => content(&PAIR.replace("access", "excess")),
            (_, 0 | 1) => NOTHING.to_owned(),
            (_, 2) => NOTHING.replace("204 No Content", "503 Busy\r\ncontent-length: 0"),
            (_, _) => "not HTTP at all\r\n\r\n".to_owned(),
        }
    }
    let load = "--mix verify=1 --warm-up 0 --seconds 1 --rate 40";
    let report = drive(&format!("{} {load}", serve(answer))).unwrap();
    assert!(!report.is_well_formed());
    assert_eq!(report.all.good, 20, "{report:?}");
    assert_eq!((report.all.unavailable, report.all.errors), (10, 10));
    assert_eq!(report.all.by_cause["malformed"], 10);
    // The last one has no successor that would need a connection.
    assert_eq!(report.connections_remade, 9);

    let load = "--mix refresh=1 --warm-up 0 --seconds 1 --rate 10";
    let report = drive(&format!("{} {load}", serve(answer))).unwrap();
    assert!(!report.is_well_formed(), "a pair without an access token");
}

#[test]
fn silence_is_counted_and_has_a_latency() {
    fn fall_silent(path: &str, count: u32) -> String {
        match (path, count) {
            ("/oauth/token", _) => content(PAIR),
            (_, 0..3) => NOTHING.to_owned(),
            (_, _) => {
                std::thread::park_timeout(Duration::from_secs(10));
                String::new()
            }
        }
    }
    let load = "--mix verify=1 --warm-up 0 --seconds 1 --rate 10 --timeout 1";
    let report = drive(&format!("{} {load}", serve(fall_silent))).unwrap();
    // Three are answered on the first connection and on the second one. The fourth on each is not,
    // and the run ends before the second of these is given up. How many are sent after it depends on
    // when this machine let the run end.
    assert_eq!((report.all.count, report.all.good), (10, 6), "{report:?}");
    let cause = |name: &str| report.all.by_cause.get(name).copied().unwrap_or_default();
    let (given_up, unanswered, unsent) = (cause("timeout"), cause("unanswered"), cause("unsent"));
    assert_eq!((given_up, unanswered + unsent), (1, 3), "{report:?}");
    assert!(unanswered >= 1, "{report:?}");
    assert_eq!(report.connections_remade, 1);
    assert!(report.all.latency_ms.unwrap().max >= 1_000.0);
    assert!(report.is_well_formed());
}

#[test]
fn a_session_that_the_server_forgot_is_begun_again() {
    fn forget(path: &str, count: u32) -> String {
        match (path, count) {
            ("/token", _) => content(PAIR),
            ("/resource", 5) => content("").replace("200 OK", "401 Unauthorized"),
            ("/resource", _) => content("for Jonas"),
            _ => content("").replace("200 OK", "404 Not Found"),
        }
    }
    let paths = "--token-path /token --verify-path /resource --verify-status 200";
    let load = "--mix verify=1 --warm-up 0 --seconds 1 --rate 20";
    let report = drive(&format!("{} {paths} {load}", serve(forget))).unwrap();
    assert!(report.is_well_formed());
    assert_eq!((report.all.good, report.all.by_cause["401"]), (19, 1));
    // The one before the load, and the one that mended the session.
    assert_eq!(report.logins_beside, 2);
}

#[test]
fn a_server_of_one_connection_at_a_time_is_driven_with_many() {
    fn hang_up(path: &str, _: u32) -> String {
        if path == "/oauth/token" {
            return content(PAIR).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        }
        NOTHING.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
    }
    let served = serve_in_turns(hang_up).replace("--connections 1", "--connections 4");
    let load = "--mix verify=1 --warm-up 0 --seconds 1 --rate 40 --open-late";
    let report = drive(&format!("{served} {load}")).unwrap();
    assert_eq!((report.all.count, report.all.good), (40, 40), "{report:?}");
    // One for the login and one for each request, less the four that it may have anyway.
    assert_eq!(report.connections_remade, 37);
}

#[test]
fn the_processor_time_of_a_server_is_that_of_all_its_processes() {
    let idle = Command::new("sleep").arg("60").spawn();
    let mut idle = idle.expect("sleep, as every Unix has it");
    let (own, gone) = (std::process::id(), u32::MAX);
    let load = "--mix verify=1 --warm-up 0 --seconds 1 --rate 40";
    let run = |others: &[u32]| {
        let pids: Vec<String> = others.iter().map(|pid| format!(" --pid {pid}")).collect();
        let answer = |path: &str, _| match path {
            "/oauth/token" => content(PAIR),
            _ => NOTHING.to_owned(),
        };
        drive(&format!("{} {load}{}", serve(answer), pids.concat())).unwrap()
    };
    let micros = |report: Report| report.processor.unwrap().micros_per_answer;
    let (alone, both) = (run(&[idle.id()]), run(&[idle.id(), own]));
    idle.kill().unwrap();
    idle.wait().unwrap();
    assert!(micros(alone) < 1.0);
    assert!(micros(both) > 1.0);
    assert!(run(&[own, gone]).processor.is_none());
}

#[test]
fn what_is_not_ones_own_is_not_driven() {
    let options = "--client-id id --user jonas:pass --insecure --url https://192.0.2.1:5000";
    let error = drive(options).unwrap_err().to_string();
    assert!(error.contains("--yes-remote"), "{error}");
    let error = drive("--client-id id --user jonas:pass --url https://127.0.0.1:1");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("--ca-cert"), "{error}");
}
