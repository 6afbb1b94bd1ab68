//! Addresses of Redis and MongoDB.

use std::time::Duration;

use super::{environment, loaded, refusal};
use crate::settings::{MongoSettings, RedisTopology, StoreSettings};

const INSECURE: (&str, &str) = ("SENTINEL_ALLOW_INSECURE_STORES", "true");

fn redis(url: &str) -> (&'static str, Vec<String>) {
    let settings = loaded(&[("SENTINEL_REDIS_URL", url)]).settings;
    let StoreSettings::MongoDb { redis, .. } = settings.store else {
        panic!("not MongoDB")
    };
    let (kind, secrets) = match redis.topology {
        RedisTopology::Endpoints(secrets) => ("endpoints", secrets),
        RedisTopology::Cluster(secrets) => ("cluster", secrets),
    };
    (
        kind,
        secrets
            .iter()
            .map(|secret| secret.expose().to_owned())
            .collect(),
    )
}

fn mongo(pairs: &[(&str, &str)]) -> MongoSettings {
    match loaded(pairs).settings.store {
        StoreSettings::MongoDb { mongo, .. } => mongo,
        StoreSettings::Embedded => panic!("not MongoDB"),
    }
}

#[test]
fn one_or_several_redis_addresses_are_endpoints() {
    for (url, expected) in [
        ("redis://localhost:6379/0", vec!["redis://localhost:6379/0"]),
        (
            "redis://127.0.0.1:1/3, rediss://localhost",
            vec!["redis://127.0.0.1:1/3", "rediss://localhost"],
        ),
        (
            "unix:///run/r.sock?db=2,redis+unix:///run/q.sock",
            vec!["unix:///run/r.sock?db=2", "redis+unix:///run/q.sock"],
        ),
        (
            "rediss://:pw@cache.example:6380/1",
            vec!["rediss://:pw@cache.example:6380/1"],
        ),
    ] {
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(redis(url), ("endpoints", expected), "{url}");
    }
}

#[test]
fn a_redis_cluster_carries_its_credentials_to_each_node() {
    assert_eq!(
        redis("redis+cluster://u:p@localhost:7000,127.0.0.1:7001"),
        (
            "cluster",
            vec![
                "redis://u:p@localhost:7000".to_owned(),
                "redis://u:p@127.0.0.1:7001".to_owned()
            ]
        )
    );
    let (kind, nodes) = redis("rediss+cluster://:p@a.example:7000");
    assert_eq!(
        (kind, nodes),
        ("cluster", vec!["rediss://:p@a.example:7000".to_owned()])
    );
}

/// Rows of (address, words of the answer, the address as it is shown).
const REDIS: &[(&str, &str, &str)] = &[
    ("", "unknown kind", ""),
    ("localhost:6379", "unknown kind", "localhost:6379"),
    ("http://localhost", "unknown kind", "http://localhost"),
    ("redis://", "does not parse", "redis://"),
    (
        "redis://localhost/x",
        "does not parse",
        "redis://localhost/x",
    ),
    (
        "redis://localhost/-1",
        "negative database",
        "redis://localhost/-1",
    ),
    ("redis://localhost,", "unknown kind", "redis://localhost,"),
    (
        "redis://localhost,redis://localhost",
        "twice",
        "redis://localhost,redis://localhost",
    ),
    (
        "redis+cluster://localhost:1/1",
        "only 0",
        "redis+cluster://localhost:1/1",
    ),
    (
        "redis://localhost,redis+cluster://localhost:1",
        "unknown kind",
        "redis://localhost,redis+cluster://localhost:1",
    ),
    (
        "redis://:canary@cache.example",
        "without verified TLS",
        "redis://:***@cache.example",
    ),
    (
        "rediss://:canary@cache.example#insecure",
        "without verified TLS",
        "rediss://:***@cache.example#insecure",
    ),
    (
        "rediss://cache.example",
        "without a password",
        "rediss://cache.example",
    ),
    (
        "rediss://u:@cache.example",
        "without a password",
        "rediss://u:***@cache.example",
    ),
    (
        "redis+cluster://u:canary@a.example:1,b.example:2",
        "without verified TLS",
        "redis+cluster://u:***@a.example:1,b.example:2",
    ),
    (
        "redis://:ca,nary@cache.example",
        "does not parse",
        "redis://:***@cache.example",
    ),
    (
        "redis://u:canary/x@y@localhost:x",
        "does not parse",
        "redis://u:***@localhost:x",
    ),
    ("redis:/u:canary@localhost", "", "redis:***@localhost"),
    (
        "unix:///run/s?db=x&pass=canary",
        "does not parse",
        "unix:///run/s?db=x&pass=***",
    ),
];

#[test]
fn bad_redis_addresses_are_refused_without_their_passwords() {
    for (url, words, shown) in REDIS {
        let text = refusal(&environment(&[("SENTINEL_REDIS_URL", url)]));
        assert!(text.contains(words), "{url}: {text}");
        assert!(
            text.contains(&format!("SENTINEL_REDIS_URL = '{shown}' (from")),
            "{url}: {text}"
        );
        assert!(
            !text.contains("canary") && !text.contains("nary@"),
            "{text}"
        );
    }
}

/// Rows of (connection string, words of the answer).
const MONGO: &[(&str, &str)] = &[
    ("", "no scheme"),
    ("localhost", "no scheme"),
    ("mysql://localhost", "unsupported connection string scheme"),
    ("mongodb://localhost/?w=0", "w=0 or w=1"),
    ("mongodb://localhost/?w=1", "w=0 or w=1"),
    ("mongodb://localhost/?journal=false", "journal=false"),
    (
        "mongodb://localhost/?readPreference=secondary",
        "reads from secondaries",
    ),
    (
        "mongodb://localhost/?readPreference=nearest",
        "reads from secondaries",
    ),
    ("mongodb://localhost/?connectTimeoutMS=0", "time-out of 0"),
    (
        "mongodb://localhost/?nosuch=1&connectTimeoutMS=x",
        "not a connection string",
    ),
    ("mongodb://u:canary@db.example", "without verified TLS"),
    (
        "mongodb://u:canary@localhost,db.example",
        "without verified TLS",
    ),
    (
        "mongodb://u:canary@db.example/?tls=true&tlsInsecure=true",
        "without verified TLS",
    ),
    ("mongodb://db.example/?tls=true", "without a password"),
    ("mongodb+srv://db.example", "without a password"),
    ("mongodb://u:canary?x@localhost", "not a connection string"),
    ("mongodb://u:canary/x@localhost", "% codes"),
    ("mongodb://u:canary@x@localhost", "not a connection string"),
];

#[test]
fn bad_connection_strings_are_refused_without_their_passwords() {
    for (uri, words) in MONGO {
        let text = refusal(&environment(&[("SENTINEL_MONGO_URI", uri)]));
        assert!(text.starts_with("SENTINEL_MONGO_URI = '"), "{text}");
        assert!(text.contains(words), "{uri}: {text}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn stores_on_other_machines_need_tls_and_password_or_a_named_override() {
    let remote = [
        ("SENTINEL_REDIS_URL", "redis://cache.example"),
        ("SENTINEL_MONGO_URI", "mongodb://db.example"),
    ];
    for pair in remote {
        assert!(refusal(&environment(&[pair])).contains("SENTINEL_ALLOW_INSECURE_STORES=true"));
    }
    loaded(&[remote[0], remote[1], INSECURE]);
    loaded(&[
        ("SENTINEL_REDIS_URL", "rediss://:pw@cache.example"),
        ("SENTINEL_MONGO_URI", "mongodb+srv://u:pw@db.example"),
    ]);
    loaded(&[("SENTINEL_MONGO_URI", "mongodb://%2Frun%2Fmongo.sock")]);
}

#[test]
fn the_parts_make_a_connection_string_with_encoded_credentials() {
    let mongo = mongo(&[
        ("SENTINEL_MONGO_HOST", "localhost"),
        ("SENTINEL_MONGO_PORT", "27018"),
        ("SENTINEL_MONGO_USERNAME", "an@user"),
        ("SENTINEL_MONGO_PASSWORD", "p:/? ss"),
        ("SENTINEL_MONGO_REPLICA_SET", "rs0"),
        ("SENTINEL_MONGO_CONNECT_TIMEOUT_MS", "1500"),
        ("SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS", "2500"),
    ]);
    assert_eq!(
        mongo.uri.expose(),
        "mongodb://an%40user:p%3A%2F%3F%20ss@localhost:27018/?authSource=oauth&replicaSet=rs0"
    );
    assert_eq!(mongo.database, "oauth");
    assert_eq!(mongo.connect_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(
        mongo.server_selection_timeout,
        Some(Duration::from_millis(2500))
    );
}

#[test]
fn each_kind_of_host_makes_an_address() {
    for (host, uri) in [
        ("127.0.0.1", "mongodb://127.0.0.1:27017/"),
        ("::1", "mongodb://[::1]:27017/"),
        ("/run/mongo.sock", "mongodb://%2Frun%2Fmongo.sock/"),
    ] {
        assert_eq!(mongo(&[("SENTINEL_MONGO_HOST", host)]).uri.expose(), uri);
    }
}

#[test]
fn parts_of_another_machine_need_tls_too() {
    let text = refusal(&environment(&[("SENTINEL_MONGO_HOST", "db.example")]));
    assert!(
        text.starts_with("SENTINEL_MONGO_HOST = 'db.example'"),
        "{text}"
    );
    assert!(text.contains("SENTINEL_MONGO_URI with tls=true"), "{text}");
    mongo(&[("SENTINEL_MONGO_HOST", "db.example"), INSECURE]);
}

#[test]
fn a_connection_string_wins_over_the_parts_with_a_warning() {
    let pairs = [
        (
            "SENTINEL_MONGO_URI",
            "mongodb://localhost:1/?connectTimeoutMS=300",
        ),
        ("SENTINEL_MONGO_HOST", "127.0.0.1"),
        ("SENTINEL_MONGO_CONNECT_TIMEOUT_MS", "1500"),
        ("SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS", "2500"),
    ];
    let settings = mongo(&pairs);
    assert!(settings.uri.expose().starts_with("mongodb://localhost:1/"));
    assert_eq!(settings.connect_timeout, Some(Duration::from_millis(300)));
    assert_eq!(
        settings.server_selection_timeout,
        Some(Duration::from_millis(2500))
    );
    let warnings = loaded(&pairs).warnings;
    assert_eq!(
        warnings,
        ["SENTINEL_MONGO_HOST has no effect: SENTINEL_MONGO_URI wins"]
    );
}
