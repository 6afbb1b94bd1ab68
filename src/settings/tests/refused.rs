//! Every value that is refused, with the words that tell why.

use std::os::unix::ffi::OsStringExt;

use super::{environment, load, loaded, refusal};

/// Rows of (setting, value, words of the answer). The answer must also name the setting, show
/// the value and say where it came from.
const VALUES: &[(&str, &str, &str)] = &[
    (
        "SENTINEL_ROUTE_PREFIX",
        "oauth",
        "does not begin with /; write /oauth",
    ),
    ("SENTINEL_ROUTE_PREFIX", "/oauth/", "a / too many"),
    ("SENTINEL_ROUTE_PREFIX", "//oauth", "a / too many"),
    ("SENTINEL_ROUTE_PREFIX", "/a?b", "not a plain path"),
    ("SENTINEL_ROUTE_PREFIX", "/../a", "not a plain path"),
    ("SENTINEL_TOKEN_URL", "", "does not begin with /"),
    ("SENTINEL_TOKEN_URL", "True", "is no path"),
    ("SENTINEL_TOKEN_URL", "/t#x", "not a plain path"),
    (
        "SENTINEL_TOKEN_URL",
        "/management",
        "path of SENTINEL_TOKEN_URL too",
    ),
    ("SENTINEL_TOKEN_URL", "/revoke", "path of another endpoint"),
    (
        "SENTINEL_MANAGEMENT_URL",
        "management",
        "does not begin with /",
    ),
    (
        "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN",
        "0",
        "Flask-Sentinel took for 3600",
    ),
    (
        "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN",
        "-5",
        "from 1 to 4294967295",
    ),
    (
        "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN",
        "1.5",
        "from 1 to 4294967295",
    ),
    (
        "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN",
        "4294967296",
        "from 1 to 4294967295",
    ),
    (
        "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN",
        "1h",
        "from 1 to 4294967295",
    ),
    (
        "OAUTH2_PROVIDER_ERROR_URI",
        "errors",
        "neither a path nor an address",
    ),
    (
        "OAUTH2_PROVIDER_ERROR_URI",
        "javascript:alert(1)",
        "neither a path nor an address",
    ),
    ("OAUTH2_PROVIDER_ERROR_URI", "/a \"b", "not a plain path"),
    ("OAUTH2_PROVIDER_ERROR_URI", "/a?b", "not a plain path"),
    ("OAUTH2_PROVIDER_ERROR_URI", "/a#b", "not a plain path"),
    ("OAUTH2_PROVIDER_ERROR_URI", "/errors/", "a / too many"),
    ("OAUTH2_PROVIDER_ERROR_URI", "//host/a", "a / too many"),
    (
        "OAUTH2_PROVIDER_ERROR_ENDPOINT",
        "../etc",
        "not the name of a page",
    ),
    ("OAUTH2_PROVIDER_ERROR_ENDPOINT", "", "is empty"),
    ("SENTINEL_LISTEN", "5000", "not an address and a port"),
    ("SENTINEL_LISTEN", ":5000", "not an address and a port"),
    (
        "SENTINEL_LISTEN",
        "example.com:5000",
        "not an address and a port",
    ),
    (
        "SENTINEL_LISTEN",
        "127.0.0.1:65536",
        "not an address and a port",
    ),
    ("SENTINEL_LISTEN", "unix:run/socket", "no absolute path"),
    ("SENTINEL_LISTEN", "unix:", "no absolute path"),
    (
        "SENTINEL_METRICS_LISTEN",
        "unix:/run/metrics",
        "not an address and a port",
    ),
    ("SENTINEL_TLS", "yes", "write on, adhoc or off"),
    ("SENTINEL_TLS_CERT", "", "is empty"),
    ("SENTINEL_TLS_KEY", "", "is empty"),
    ("SENTINEL_TEMPLATES", "", "is empty"),
    ("SENTINEL_DATA_DIR", "", "is empty"),
    ("SENTINEL_STORE", "mysql", "write mongodb or embedded"),
    ("SENTINEL_TOKEN_STORAGE", "sha1", "write plain or hashed"),
    ("SENTINEL_CACHE_SHARDS", "0", "from 1 to 1024"),
    (
        "SENTINEL_REFRESH_TOKEN_EXPIRES_IN",
        "-1",
        "from 0 to 4294967295",
    ),
    ("SENTINEL_BCRYPT_COST", "3", "from 4 to 15"),
    ("SENTINEL_BCRYPT_COST", "16", "from 4 to 15"),
    ("SENTINEL_PASSWORD_MIN_LENGTH", "0", "from 1 to 71"),
    ("SENTINEL_PASSWORD_MIN_LENGTH", "72", "from 1 to 71"),
    ("SENTINEL_PASSWORD_QUEUE", "0", "from 1 to 100000"),
    ("SENTINEL_ISSUER", "sentinel.example", "is no URL"),
    (
        "SENTINEL_ISSUER",
        "http://sentinel.example",
        "does not begin with https://",
    ),
    (
        "SENTINEL_ISSUER",
        "ftp://localhost",
        "does not begin with https://",
    ),
    (
        "SENTINEL_ISSUER",
        "https://sentinel.example?a=b",
        "a query or a fragment",
    ),
    (
        "SENTINEL_ISSUER",
        "https://sentinel.example#a",
        "a query or a fragment",
    ),
    (
        "SENTINEL_ISSUER",
        "https://sentinel.example/",
        "write https://sentinel.example",
    ),
    (
        "SENTINEL_ISSUER",
        "https://Sentinel.example:443",
        "write https://sentinel.example",
    ),
    ("SENTINEL_TRUSTED_PROXIES", "0.0.0.0/0", "lets anyone forge"),
    (
        "SENTINEL_TRUSTED_PROXIES",
        "10.0.0.0/8, ::/0",
        "lets anyone forge",
    ),
    (
        "SENTINEL_TRUSTED_PROXIES",
        "10.0.0.0/33",
        "'10.0.0.0/33' is not a network",
    ),
    (
        "SENTINEL_TRUSTED_PROXIES",
        "nginx",
        "'nginx' is not a network",
    ),
    ("SENTINEL_LOG", "", "is empty"),
    ("SENTINEL_LOG", "warp_sentinel=loud", "not a tracing filter"),
    ("SENTINEL_LOG_FORMAT", "xml", "write text or json"),
    (
        "SENTINEL_ALLOW_INSECURE_STORES",
        "yes",
        "write true or false",
    ),
    ("SENTINEL_MONGO_DBNAME", "", "is empty"),
    ("SENTINEL_MONGO_DBNAME", "a/b", "not the name of a database"),
    ("SENTINEL_MONGO_HOST", "a,b", "not one host"),
    (
        "SENTINEL_MONGO_HOST",
        "localhost:27017",
        "the port goes into SENTINEL_MONGO_PORT",
    ),
    ("SENTINEL_MONGO_PORT", "0", "from 1 to 65535"),
    (
        "SENTINEL_MONGO_CONNECT_TIMEOUT_MS",
        "0",
        "from 1 to 3600000",
    ),
    (
        "SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS",
        "2s",
        "from 1 to 3600000",
    ),
];

#[test]
fn every_bad_value_is_refused_in_one_line_that_names_it() {
    let mut wrong = Vec::new();
    for (name, value, words) in VALUES {
        // SENTINEL_TOKEN_URL=/management is told of the second of the two.
        let is_collision = words.contains("too") && words.contains("path of");
        match load(&[(name, value)]) {
            Ok(_) => wrong.push(format!("{name}={value}: accepted")),
            Err(error) => {
                let text = error.to_string();
                let subject = format!("{name} = '{value}' (from environment): ");
                if text.lines().count() != 1
                    || !text.contains(words)
                    || !(is_collision || text.starts_with(&subject))
                {
                    wrong.push(format!("{name}={value}: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_fault_quotes_stays_on_its_line() {
    let text = load(&[("SENTINEL_TRUSTED_PROXIES", "ng\u{1b}[1m\ninx")]);
    let text = text.err().unwrap().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    let quoted = r"'ng\u{1b}[1m\ninx'";
    assert_eq!(text.matches(quoted).count(), 2, "{text}");
}

#[test]
fn at_the_root_the_health_checks_keep_their_paths() {
    let sources = environment(&[
        ("SENTINEL_ROUTE_PREFIX", "/"),
        ("SENTINEL_TOKEN_URL", "/readyz"),
    ]);
    assert!(refusal(&sources).contains("path of another endpoint"));
}

#[test]
fn an_error_page_at_another_endpoint_is_refused() {
    let refused = |prefix: &str, path: &str| {
        let sources = environment(&[
            ("SENTINEL_ROUTE_PREFIX", prefix),
            ("OAUTH2_PROVIDER_ERROR_URI", path),
        ]);
        let text = refusal(&sources);
        assert!(text.starts_with("OAUTH2_PROVIDER_ERROR_URI"), "{text}");
        assert!(text.contains("path of another endpoint"), "{text}");
        text
    };
    for name in ["token", "management", "management/x", "verify", "revoke"] {
        let text = refused("/id", &format!("/id/{name}"));
        assert!(text.contains("such as /id/errors"), "{text}");
        refused("/", &format!("/{name}"));
    }
    refused("/oauth", "/oauth/introspect");
    refused("/oauth", "/healthz");
    refused("/oauth", "/readyz");
    refused("/", "/.well-known/oauth-authorization-server");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (unknown, nearest) in [
        ("SENTINEL_LISTENS", "SENTINEL_LISTEN?"),
        ("SENTINEL_BCRYPT_ROUNDS", "SENTINEL_BCRYPT_COST?"),
        (
            "SENTINEL_TOKEN_EXPIRES_IN",
            "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN?",
        ),
        (
            "OAUTH2_PROVIDER_REFRESH_TOKEN_EXPIRES_IN",
            "SENTINEL_REFRESH_TOKEN_EXPIRES_IN?",
        ),
        (
            "SENTINEL_MONGO_CONNECT_TIMEOUT",
            "SENTINEL_MONGO_CONNECT_TIMEOUT_MS?",
        ),
        ("SENTINEL_MONGO_MAX_POOL_SIZE", "go into SENTINEL_MONGO_URI"),
        ("SENTINEL_REDIS_URI", "SENTINEL_REDIS_URL?"),
        ("SENTINEL_PORT_5000_TCP_ADDR", "enableServiceLinks: false"),
    ] {
        let text = refusal(&environment(&[(unknown, "s3cret")]));
        assert!(
            text.starts_with(&format!("{unknown} (from environment): unknown")),
            "{text}"
        );
        assert!(text.contains(nearest), "{unknown}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn keys_of_others_are_left_alone() {
    loaded(&[
        ("PATH", "/bin"),
        ("sentinel_listen", "x"),
        ("MY_SENTINEL_LISTEN", "x"),
    ]);
}

#[test]
fn the_generators_of_flask_oauthlib_are_refused_by_name() {
    for name in [
        "OAUTH2_PROVIDER_TOKEN_GENERATOR",
        "OAUTH2_PROVIDER_REFRESH_TOKEN_GENERATOR",
    ] {
        let text = refusal(&environment(&[(name, "module.function")]));
        assert!(
            text.starts_with(name) && text.contains("not supported"),
            "{text}"
        );
    }
}

#[test]
fn half_of_a_pair_names_the_missing_half() {
    for (given, value, missing) in [
        (
            "SENTINEL_MANAGEMENT_USERNAME",
            "admin",
            "SENTINEL_MANAGEMENT_PASSWORD: not set",
        ),
        (
            "SENTINEL_MANAGEMENT_PASSWORD",
            "s3cret",
            "SENTINEL_MANAGEMENT_USERNAME: not set",
        ),
        (
            "SENTINEL_MONGO_USERNAME",
            "admin",
            "SENTINEL_MONGO_PASSWORD: not set",
        ),
        (
            "SENTINEL_MONGO_PASSWORD",
            "s3cret",
            "SENTINEL_MONGO_USERNAME: not set",
        ),
    ] {
        let text = refusal(&environment(&[(given, value)]));
        assert!(text.starts_with(missing) && text.contains(given), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_console_user_with_a_colon_is_refused() {
    let pairs = [
        ("SENTINEL_MANAGEMENT_USERNAME", "a:b"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "c"),
    ];
    assert!(refusal(&environment(&pairs)).contains("colon"));
}

#[test]
fn a_bad_console_password_is_refused_and_not_shown() {
    let costly = "$2b$16$abcdefghijklmnopqrstuuvCyXLg3wLWLM8zGHqzDJ8bNFQgbGfhi";
    for (password, words) in [
        ("", "is empty"),
        ("s3cret\n", "control character"),
        ("$2b$12$s3cret", "not a whole one"),
        (costly, "cost beyond 4 to 15"),
    ] {
        let pairs = [
            ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
            ("SENTINEL_MANAGEMENT_PASSWORD", password),
        ];
        let text = refusal(&environment(&pairs));
        assert!(text.contains(words) && text.contains("'***'"), "{text}");
        assert!(
            password.is_empty() || !text.contains(password.trim()),
            "{text}"
        );
    }
}

#[test]
fn an_address_in_the_place_of_a_part_is_refused_without_its_password() {
    for name in ["SENTINEL_MONGO_HOST", "SENTINEL_MONGO_DBNAME"] {
        for (address, shown) in [
            ("mongodb://anna:hunter2@db", "mongodb://anna:***@db"),
            (
                "mongodb+srv://anna:hunter2@db/?x=1",
                "mongodb+srv://anna:***@db/?x=1",
            ),
            ("anna:hunter2@db", "anna:***@db"),
        ] {
            let text = refusal(&environment(&[(name, address)]));
            let told = format!("{name} = '{shown}' (from");
            assert!(text.contains(&told) && !text.contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn a_value_that_is_not_utf_8_is_refused() {
    let mut sources = environment(&[]);
    let bytes = std::ffi::OsString::from_vec(vec![b'd', 0xff]);
    sources
        .environment
        .push(("SENTINEL_DATA_DIR".into(), bytes));
    assert!(refusal(&sources).contains("SENTINEL_DATA_DIR = (bytes) (from environment): is not"));
}

#[test]
fn all_faults_are_told_at_once() {
    let error = load(&[
        ("SENTINEL_BCRYPT_COST", "3"),
        ("SENTINEL_LOG_FORMAT", "xml"),
        ("SENTINEL_NOSUCH", "1"),
        ("SENTINEL_REDIS_URL", "http://localhost"),
        ("SENTINEL_MONGO_DBNAME", "a b"),
    ])
    .err()
    .unwrap();
    assert_eq!(error.faults.len(), 5, "{error}");
    assert_eq!(error.to_string().lines().count(), 5, "{error}");
}

#[test]
fn a_value_with_line_breaks_is_told_in_one_line() {
    let text = refusal(&environment(&[("SENTINEL_STORE", "a\nb\u{1b}[2J")]));
    assert!(text.contains("'a\\nb\\u{1b}[2J'"), "{text}");
}
