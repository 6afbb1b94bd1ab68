//! `sentinel serve` does not start on bad settings or files: 78, and one line that names the
//! setting or file and quotes no secret.

use rcgen::{CertifiedKey, KeyPair};

use super::{Ended, assert_shows_no_secret, place};
use crate::support::process::{Place, set_mode};

/// What is refused: a name for messages, how it comes about, and words of the answer.
struct Row {
    name: &'static str,
    prepare: fn(&mut Place),
    words: &'static [&'static str],
}

const fn row(name: &'static str, prepare: fn(&mut Place), words: &'static [&'static str]) -> Row {
    Row {
        name,
        prepare,
        words,
    }
}

/// The file and what is in it.
fn file(place: &mut Place, text: &str) {
    place.write("sentinel.toml", text);
}

const SETTINGS: &[Row] = &[
    row(
        "unknown key of the environment",
        |place| place.set("SENTINEL_BCRYPT_COSTS", "canary-Zq8"),
        &[
            "SENTINEL_BCRYPT_COSTS (from environment)",
            "SENTINEL_BCRYPT_COST?",
        ],
    ),
    row(
        "unknown key of the file",
        |place| file(place, "SENTINEL_LISTENS = \"canary-Zq8\"\n"),
        &["SENTINEL_LISTENS (from sentinel.toml)", "SENTINEL_LISTEN?"],
    ),
    row(
        "bad number",
        |place| place.set("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "-5"),
        &[
            "OAUTH2_PROVIDER_TOKEN_EXPIRES_IN = '-5' (from environment)",
            "from 1 to",
        ],
    ),
    row(
        "too cheap a hash",
        |place| file(place, "SENTINEL_BCRYPT_COST = 3\n"),
        &[
            "SENTINEL_BCRYPT_COST = '3' (from sentinel.toml)",
            "from 4 to 15",
        ],
    ),
    row(
        "generator of Flask-OAuthlib",
        |place| place.set("OAUTH2_PROVIDER_TOKEN_GENERATOR", "a.b"),
        &["OAUTH2_PROVIDER_TOKEN_GENERATOR", "not supported"],
    ),
    row(
        "syntax error",
        |place| {
            file(
                place,
                "SENTINEL_LOG = \"info\"\nSENTINEL_MONGO_PASSWORD = canary-Zq8\n",
            );
        },
        &["configuration file sentinel.toml", "line 2, column"],
    ),
    row(
        "duplicate key",
        |place| file(place, "SENTINEL_LOG = \"info\"\nSENTINEL_LOG = \"info\"\n"),
        &["line 2, column 1", "duplicate key"],
    ),
    row(
        "empty file",
        |place| file(place, ""),
        &["sentinel.toml", "is empty"],
    ),
    row(
        "file with secrets that everyone may read",
        |place| {
            file(place, "SENTINEL_MANAGEMENT_PASSWORD = \"canary-Zq8\"\n");
            set_mode(&place.path("sentinel.toml"), 0o644);
        },
        &[
            "sentinel.toml",
            "everyone may read it (mode 644)",
            "chmod 600",
        ],
    ),
    row(
        "unacknowledged writes",
        |place| {
            place.set(
                "SENTINEL_MONGO_URI",
                "mongodb://a:canary-Zq8@localhost/?w=0",
            );
        },
        &["SENTINEL_MONGO_URI = 'mongodb://a:***@localhost/?w=0'"],
    ),
    row(
        "remote Redis without TLS",
        |place| place.set("SENTINEL_REDIS_URL", "redis://:canary-Zq8@192.0.2.1"),
        &["SENTINEL_REDIS_URL", "SENTINEL_ALLOW_INSECURE_STORES"],
    ),
    row(
        "every proxy trusted",
        |place| place.set("SENTINEL_TRUSTED_PROXIES", "0.0.0.0/0"),
        &["SENTINEL_TRUSTED_PROXIES = '0.0.0.0/0'", "forge"],
    ),
    row(
        "console user with a colon",
        |place| place.set("SENTINEL_MANAGEMENT_USERNAME", "a:b"),
        &["SENTINEL_MANAGEMENT_USERNAME", "colon"],
    ),
    row(
        "broken template",
        |place| place.write("templates/errors.html", "<p>\n{{ broken"),
        &["SENTINEL_TEMPLATES", "templates/errors.html:2"],
    ),
    row(
        "template with an unknown variable",
        |place| place.write("templates/management.html", "<p>\n\n{{ nosuch }}"),
        &[
            "SENTINEL_TEMPLATES",
            "templates/management.html:3",
            "nosuch",
        ],
    ),
    row(
        "error page that is not there",
        |place| place.set("OAUTH2_PROVIDER_ERROR_ENDPOINT", "nosuch"),
        &[
            "OAUTH2_PROVIDER_ERROR_ENDPOINT",
            "nosuch.html",
            "SENTINEL_TEMPLATES",
        ],
    ),
];

const TLS_FILES: &[Row] = &[
    row("no files", |_| {}, &["`certs/cert.pem` does not exist"]),
    row(
        "no key",
        |place| place.write("certs/cert.pem", pair().cert.pem()),
        &["`certs/key.pem` does not exist"],
    ),
    row(
        "empty certificate",
        |place| files(place, "", &pair().signing_key.serialize_pem()),
        &["`certs/cert.pem` is empty"],
    ),
    row(
        "garbage",
        |place| files(place, "garbage", &pair().signing_key.serialize_pem()),
        &["`certs/cert.pem` is not valid PEM"],
    ),
    row(
        "DER",
        |place| {
            files(
                place,
                pair().cert.der(),
                &pair().signing_key.serialize_pem(),
            );
        },
        &["`certs/cert.pem` is DER"],
    ),
    row(
        "exchanged",
        |place| {
            files(
                place,
                pair().signing_key.serialize_pem(),
                &pair().cert.pem(),
            );
        },
        &["`certs/cert.pem` holds a key and no certificate"],
    ),
    row(
        "key of another certificate",
        |place| {
            files(
                place,
                pair().cert.pem(),
                &pair().signing_key.serialize_pem(),
            );
        },
        &["`certs/key.pem` does not belong"],
    ),
    row(
        "encrypted key",
        |place| {
            let plain = pair().signing_key.serialize_pem();
            files(
                place,
                pair().cert.pem(),
                &plain.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            );
        },
        &["`certs/key.pem` is encrypted"],
    ),
    row(
        "key that everyone may read",
        |place| {
            let pair = pair();
            files(place, pair.cert.pem(), &pair.signing_key.serialize_pem());
            set_mode(&place.path("certs/key.pem"), 0o644);
        },
        &[
            "`certs/key.pem` is open to every user (mode 644)",
            "chmod 600",
        ],
    ),
];

fn pair() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn files(place: &mut Place, certificate: impl AsRef<[u8]>, key: &str) {
    place.write("certs/cert.pem", certificate);
    place.write("certs/key.pem", key);
}

/// What is wrong with how the command ended, if anything is.
fn complaint(row: &Row, ended: &Ended, start: &str) -> Option<String> {
    let told: Vec<&str> = ended.err.lines().collect();
    let is_right = ended.code == Some(78)
        && ended.out.is_empty()
        && told.len() == 1
        && told[0].starts_with(start)
        && row.words.iter().all(|words| told[0].contains(words));
    (!is_right).then(|| format!("{}: {ended:?}", row.name))
}

async fn assert_refused(rows: &[Row], tls: &str, start: &str) {
    let mut wrong = Vec::new();
    for row in rows {
        let mut place = place();
        place.set("SENTINEL_TLS", tls);
        (row.prepare)(&mut place);
        let ended = place.run("serve").await;
        assert_shows_no_secret(&ended);
        wrong.extend(complaint(row, &ended, start));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn bad_settings_are_told_in_one_line() {
    assert_refused(SETTINGS, "adhoc", "sentinel: ").await;
}

#[tokio::test]
async fn bad_tls_files_are_told_in_one_line_that_names_the_settings() {
    let start = "sentinel: SENTINEL_TLS_CERT, SENTINEL_TLS_KEY: ";
    assert_refused(TLS_FILES, "on", start).await;
}

#[tokio::test]
async fn a_named_file_has_to_be_there() {
    let mut place = place();
    let ended = place.run("serve --config nosuch.toml").await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended
            .err
            .contains("configuration file nosuch.toml: there is no such file")
    );
    // All faults at once, one line each.
    place.set("SENTINEL_TLS", "yes");
    place.set("SENTINEL_STORE", "mysql");
    let ended = place.run("check").await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let told = ended
        .out
        .lines()
        .filter(|line| line.starts_with("FAILED   settings: SENTINEL_"));
    assert_eq!(told.count(), 2, "{ended:?}");
    assert_shows_no_secret(&ended);
}
