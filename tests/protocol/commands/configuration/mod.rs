//! What is wrong with a configuration is told in clear lines, with the exit code that says so.
//! Refusals at start are in `refused`.

mod refused;

use std::time::Duration;

use mongodb::bson::doc;
use reqwest::StatusCode;
use tokio::net::TcpListener;

use crate::support::app::answer;
use crate::support::process::{Ended, PATIENCE, Place, Running, https, set_mode};
use crate::support::stores::stores;

/// A password that no output may hold.
const CANARY: &str = "canary-Zq8";
/// Nobody listens there.
const MONGO_AWAY: &str = "mongodb://admin:canary-Zq8@127.0.0.1:1/?directConnection=true";
/// Nobody listens there either.
const REDIS_AWAY: &str = "redis://:canary-Zq8@127.0.0.1:1/0";

/// A place whose stores are away and whose settings hold secrets.
fn place() -> Place {
    Place::with(&[
        ("SENTINEL_LISTEN", "127.0.0.1:0"),
        ("SENTINEL_TLS", "adhoc"),
        ("SENTINEL_MONGO_URI", MONGO_AWAY),
        ("SENTINEL_REDIS_URL", REDIS_AWAY),
        ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
        ("SENTINEL_MANAGEMENT_PASSWORD", CANARY),
    ])
}

/// A place whose stores are there and whose settings hold secrets.
async fn place_with_stores(database: &str) -> Place {
    let stores = stores().await;
    let mut place = place();
    place.set("SENTINEL_MONGO_URI", &stores.mongo_uri());
    place.set("SENTINEL_MONGO_DBNAME", database);
    let redis = stores.redis_url(stores.fresh_redis_db());
    place.set("SENTINEL_REDIS_URL", &redis);
    place
}

#[track_caller]
fn assert_shows_no_secret(ended: &Ended) {
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains(CANARY), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_2_and_help_is_0() {
    let place = Place::new();
    for (arguments, code) in [
        ("", 2),
        ("start", 2),
        ("serve --nosuch", 2),
        ("serve --log-format xml", 2),
        ("user", 2),
        ("--help", 0),
        ("serve --help", 0),
        ("--version", 0),
    ] {
        let ended = place.run(arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments}: {ended:?}");
        assert_eq!(ended.out.is_empty(), code == 2, "{arguments}: {ended:?}");
        assert_eq!(ended.err.is_empty(), code == 0, "{arguments}: {ended:?}");
    }
}

#[tokio::test]
async fn a_mongodb_that_is_away_is_69_within_ten_seconds() {
    let mut patient = place();
    // Our limit ends the wait, not the driver's.
    patient.set("SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS", "60000");
    let usual = place();
    let (serve, check) = tokio::join!(usual.run("serve"), patient.run("check"));
    for ended in [&serve, &check] {
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert_shows_no_secret(ended);
        let took = Duration::from_secs(9)..Duration::from_secs(15);
        assert!(took.contains(&ended.took), "{ended:?}");
    }
    let told: Vec<&str> = serve
        .err
        .lines()
        .filter(|line| line.starts_with("sentinel: "))
        .collect();
    assert_eq!(told.len(), 1, "{serve:?}");
    assert!(
        told[0].contains("127.0.0.1:1 cannot be reached within 10 s"),
        "{serve:?}"
    );
    assert!(told[0].contains("Connection refused"), "{serve:?}");
    // The driver's view of all its servers helps nobody.
    assert!(!told[0].contains("Topology"), "{serve:?}");
    for words in [
        "FAILED   Redis 127.0.0.1:1: ",
        "FAILED   MongoDB: ",
        "ok       templates: ",
    ] {
        assert!(
            check.out.lines().any(|line| line.starts_with(words)),
            "{check:?}"
        );
    }
}

#[tokio::test]
async fn check_tells_each_thing_in_a_line_and_makes_nothing() {
    let database = stores().await.fresh_database();
    let mut place = place_with_stores(&database).await;
    let ended = place.run("check").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_shows_no_secret(&ended);
    for name in [
        "settings",
        "certificate and key",
        "templates",
        "Redis ",
        "MongoDB",
    ] {
        let told = ended
            .out
            .lines()
            .filter(|line| line.starts_with(&format!("ok       {name}")));
        assert_eq!(told.count(), 1, "{name}: {ended:?}");
    }
    assert!(!place.path("data").exists());

    place.set("SENTINEL_REDIS_URL", REDIS_AWAY);
    let ended = place.run("check").await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(
        ended.out.contains("FAILED   Redis 127.0.0.1:1: "),
        "{ended:?}"
    );

    place.set("SENTINEL_TLS", "on");
    let ended = place.run("check").await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended
            .out
            .contains("FAILED   certificate and key: `certs/cert.pem`"),
        "{ended:?}"
    );
    assert_shows_no_secret(&ended);
}

#[tokio::test]
async fn duplicates_of_an_old_database_are_named_and_left() {
    let database = stores().await.fresh_database();
    let place = place_with_stores(&database).await;
    let client = mongodb::Client::with_uri_str(stores().await.mongo_uri());
    let users = client
        .await
        .unwrap()
        .database(&database)
        .collection("users");
    let user = || doc! { "username": "anna", "hashpw": CANARY };
    users.insert_many([user(), user()]).await.unwrap();
    let ended = place.run("serve").await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let told: Vec<&str> = ended
        .err
        .lines()
        .filter(|line| line.starts_with("sentinel: "))
        .collect();
    assert_eq!(told.len(), 1, "{ended:?}");
    assert!(
        told[0].contains("users") && told[0].contains("anna"),
        "{ended:?}"
    );
    assert_shows_no_secret(&ended);
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn a_port_in_use_is_told_within_a_second() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (name, command) in [
        ("SENTINEL_LISTEN", "serve"),
        ("SENTINEL_METRICS_LISTEN", "serve"),
        ("SENTINEL_LISTEN", "dev"),
    ] {
        let mut place = place();
        place.set("SENTINEL_STORE", "embedded");
        place.set(name, &address);
        let mut times = Vec::new();
        // Other tests keep the machine busy, so the fastest of some starts counts.
        while times.len() < 5 && times.iter().all(|took| *took >= Duration::from_secs(1)) {
            let ended = place.run(command).await;
            assert_eq!(ended.code, Some(78), "{name}: {ended:?}");
            let line = ended.err.lines().last().unwrap();
            assert!(
                line.starts_with(&format!("sentinel: {name}: ")),
                "{ended:?}"
            );
            let words = format!("{address} is in use by another program");
            assert!(line.contains(&words), "{ended:?}");
            assert_shows_no_secret(&ended);
            times.push(ended.took);
        }
        assert!(
            times.iter().any(|took| *took < Duration::from_secs(1)),
            "{times:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_its_group_may_read_is_taken_with_a_warning() {
    let place = Place::new();
    place.write(
        "sentinel.toml",
        format!("SENTINEL_MONGO_URI = '{MONGO_AWAY}'\n"),
    );
    set_mode(&place.path("sentinel.toml"), 0o640);
    let ended = place.run("settings").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("sentinel.toml"), "{ended:?}");
    assert_shows_no_secret(&ended);
}

#[tokio::test]
async fn settings_tell_value_and_origin_and_the_nearer_source_wins() {
    let mut place = place();
    place.write(
        "sentinel.toml",
        "SENTINEL_LISTEN = \"127.0.0.1:1111\"\nSENTINEL_DATA_DIR = \"of file\"\n\
         SENTINEL_LOG_FORMAT = \"json\"\nSENTINEL_BCRYPT_COST = 11\n\
         SENTINEL_MONGO_PASSWORD = \"canary-Zq8\"\nSENTINEL_MONGO_USERNAME = \"u\"\n",
    );
    place.set("SENTINEL_DATA_DIR", "of environment");
    place.set("SENTINEL_LOG_FORMAT", "text");
    let shown = place.run("settings --json --data-dir of-flag").await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_shows_no_secret(&shown);
    let all: Vec<serde_json::Value> = serde_json::from_str(&shown.out).unwrap();
    let redacted_mongo = MONGO_AWAY.replace(CANARY, "***");
    for (name, value, origin) in [
        ("SENTINEL_DATA_DIR", "of-flag", "--data-dir"),
        ("SENTINEL_LOG_FORMAT", "text", "environment"),
        ("SENTINEL_BCRYPT_COST", "11", "sentinel.toml"),
        ("SENTINEL_TOKEN_URL", "/token", "default"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "***", "environment"),
        ("SENTINEL_MONGO_URI", &redacted_mongo, "environment"),
        ("SENTINEL_MONGO_PASSWORD", "***", "sentinel.toml"),
    ] {
        let found = all.iter().find(|one| one["name"] == name).expect(name);
        assert_eq!(found["value"], value, "{name}");
        assert_eq!(found["origin"], origin, "{name}");
    }
    let table = place.run("settings").await;
    assert_shows_no_secret(&table);
    for one in &all {
        let name = one["name"].as_str().unwrap();
        let told = table
            .out
            .lines()
            .filter(|line| line.split(' ').next() == Some(name));
        assert_eq!(told.count(), 1, "{name}: {table:?}");
    }
}

#[tokio::test]
async fn bad_templates_at_reload_leave_the_old_ones() {
    let mut place = place();
    place.set("SENTINEL_STORE", "embedded");
    place.set("OAUTH2_PROVIDER_ERROR_ENDPOINT", "oops");
    place.write("templates/oops.html", "<p>good</p>");
    let mut running = place.start("serve");
    let url = format!(
        "https://localhost:{}/oauth/errors",
        running.port(false).await
    );
    assert_eq!(answer(https().get(&url)).await.body, "<p>good</p>");
    place.write("templates/oops.html", "<p>\n{{ broken");
    assert_the_old_page_stays(&mut running, &url, "templates/oops.html:2").await;
    std::fs::remove_file(place.path("templates/oops.html")).unwrap();
    let told = "OAUTH2_PROVIDER_ERROR_ENDPOINT: there is no page oops";
    assert_the_old_page_stays(&mut running, &url, told).await;
    running.signal("TERM");
    assert_eq!(running.ended(PATIENCE).await.code, Some(0));
}

async fn assert_the_old_page_stays(running: &mut Running, url: &str, told: &str) {
    running.signal("HUP");
    let line = running.line(told).await;
    assert!(line.contains("the old templates stay"), "{line}");
    let page = answer(https().get(url)).await;
    let (status, body) = (page.status, page.body.as_str());
    assert_eq!((status, body), (StatusCode::OK, "<p>good</p>"));
}
