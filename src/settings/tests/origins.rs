//! Which source wins, what `sentinel settings` shows, and the texts made from the table.

use std::collections::HashSet;

use super::{environment, loaded, refusal, with_file};
use crate::settings::fault::Origin;
use crate::settings::keys::{self, KEYS};
use crate::settings::load::{EffectiveSetting, Loaded};
use crate::settings::sources::{ConfigSource, Mode, Sources};
use crate::settings::{Settings, StoreSettings, TlsSettings};

fn find<'a>(loaded: &'a Loaded, name: &str) -> &'a EffectiveSetting {
    loaded
        .effective
        .iter()
        .find(|setting| setting.name == name)
        .unwrap()
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let text = b"SENTINEL_LISTEN = \"127.0.0.1:1\"\nSENTINEL_DATA_DIR = \"file\"\n\
                 SENTINEL_LOG = \"debug\"\n";
    let (_folder, mut sources) = with_file(text, 0o600);
    sources.environment = environment(&[
        ("SENTINEL_LISTEN", "127.0.0.1:2"),
        ("SENTINEL_DATA_DIR", "environment"),
    ])
    .environment;
    sources.flags = vec![("SENTINEL_LISTEN", "127.0.0.1:3".to_owned())];
    let ConfigSource::Required(path) = sources.config.clone() else {
        panic!("required")
    };
    let loaded = Settings::load(&sources).unwrap_or_else(|error| panic!("{error}"));
    for (name, shown, origin) in [
        ("SENTINEL_LISTEN", "127.0.0.1:3", Origin::Flag("--listen")),
        ("SENTINEL_DATA_DIR", "environment", Origin::Environment),
        ("SENTINEL_LOG", "debug", Origin::File(path)),
        ("SENTINEL_LOG_FORMAT", "text", Origin::Default),
    ] {
        let expected = EffectiveSetting {
            name,
            shown: shown.to_owned(),
            origin,
        };
        assert_eq!(*find(&loaded, name), expected);
    }
}

#[test]
fn a_fault_names_the_flag_or_file_it_came_from() {
    let mut sources = environment(&[]);
    sources.flags = vec![("SENTINEL_LOG_FORMAT", "xml".to_owned())];
    assert!(refusal(&sources).contains("(from --log-format)"));
    let (_folder, sources) = with_file(b"SENTINEL_LOG_FORMAT = \"xml\"", 0o600);
    assert!(refusal(&sources).contains("sentinel.toml): is not a form"));
}

#[test]
fn dev_differs_in_two_defaults_only() {
    let sources = Sources {
        mode: Mode::Dev,
        ..environment(&[])
    };
    let dev = Settings::load(&sources).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(dev.settings.store, StoreSettings::Embedded));
    assert!(matches!(dev.settings.server.tls, TlsSettings::AdHoc { .. }));
    let serve = loaded(&[]);
    let differing: Vec<&str> = dev
        .effective
        .iter()
        .zip(&serve.effective)
        .filter(|(dev, serve)| dev != serve)
        .map(|(dev, _)| dev.name)
        // The embedded store has one way to keep tokens.
        .filter(|name| *name != "SENTINEL_TOKEN_STORAGE")
        .collect();
    assert_eq!(differing, ["SENTINEL_TLS", "SENTINEL_STORE"]);
}

#[test]
fn settings_of_the_operator_beat_the_defaults_of_dev() {
    let pairs = [("SENTINEL_STORE", "mongodb"), ("SENTINEL_TLS", "off")];
    let sources = Sources {
        mode: Mode::Dev,
        ..environment(&pairs)
    };
    let dev = Settings::load(&sources).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(dev.settings.store, StoreSettings::MongoDb { .. }));
    assert!(matches!(dev.settings.server.tls, TlsSettings::Off));
}

#[test]
fn every_key_is_shown_and_secrets_are_not() {
    let loaded = loaded(&[
        (
            "SENTINEL_REDIS_URL",
            "redis://:canary@localhost/1,redis://u:canary@127.0.0.1",
        ),
        ("SENTINEL_MONGO_USERNAME", "u"),
        ("SENTINEL_MONGO_PASSWORD", "canary"),
        ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "canary"),
    ]);
    assert_eq!(loaded.effective.len(), KEYS.len());
    assert!(
        loaded
            .effective
            .iter()
            .all(|setting| !setting.shown.contains("canary"))
    );
    for (name, shown) in [
        (
            "SENTINEL_REDIS_URL",
            "redis://:***@localhost/1,redis://u:***@127.0.0.1",
        ),
        ("SENTINEL_MONGO_PASSWORD", "***"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "***"),
        ("OAUTH2_PROVIDER_ERROR_URI", "/oauth/errors"),
        ("SENTINEL_ISSUER", "scheme and address of SENTINEL_LISTEN"),
    ] {
        assert_eq!(find(&loaded, name).shown, shown, "{name}");
    }
}

#[test]
fn what_mongodb_is_asked_with_is_shown() {
    const URI: &str = "mongodb://localhost/?connectTimeoutMS=300";
    let connect = "SENTINEL_MONGO_CONNECT_TIMEOUT_MS";
    let selection = "SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS";
    let file = format!("SENTINEL_MONGO_URI = \"{URI}\"");
    let (_folder, mut sources) = with_file(file.as_bytes(), 0o600);
    sources.environment = environment(&[(connect, "1500"), (selection, "900")]).environment;
    let ConfigSource::Required(path) = sources.config.clone() else {
        panic!("required")
    };
    let of_file = || Origin::File(path.clone());
    let of_uri = Settings::load(&sources).unwrap_or_else(|error| panic!("{error}"));
    let told = loaded(&[("SENTINEL_MONGO_URI", URI)]);
    let of_parts = loaded(&[
        ("SENTINEL_MONGO_PORT", "27018"),
        ("SENTINEL_MONGO_USERNAME", "u"),
        ("SENTINEL_MONGO_PASSWORD", "c@nary"),
    ]);
    let made = "mongodb://u:***@localhost:27018/?authSource=oauth";
    for (loaded, name, shown, origin) in [
        (&of_uri, "SENTINEL_MONGO_URI", URI, of_file()),
        (&of_uri, connect, "300", of_file()),
        (&of_uri, selection, "900", Origin::Environment),
        (&told, connect, "300", Origin::Environment),
        (&told, selection, "2000", Origin::Default),
        (&of_parts, "SENTINEL_MONGO_URI", made, Origin::Default),
        (
            &of_parts,
            "SENTINEL_MONGO_PORT",
            "27018",
            Origin::Environment,
        ),
        (&of_parts, connect, "1000", Origin::Default),
    ] {
        let shown = shown.to_owned();
        let expected = EffectiveSetting {
            name,
            shown,
            origin,
        };
        assert_eq!(*find(loaded, name), expected);
    }
}

#[test]
fn each_key_stands_in_the_table_once_with_a_meaning() {
    let names: HashSet<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), KEYS.len());
    for key in KEYS {
        assert!(key.name.starts_with("SENTINEL_") || key.name.starts_with("OAUTH2_PROVIDER_"));
        assert!(
            !key.meaning.is_empty() && !key.meaning.contains(['\n', '|']),
            "{}",
            key.name
        );
        assert_eq!(keys::nearest(key.name).name, key.name);
    }
}

#[test]
fn help_and_readme_table_hold_every_key() {
    let (help, table) = (keys::help(), keys::markdown_table());
    for key in KEYS {
        assert!(help.contains(&format!("  {} [", key.name)), "{}", key.name);
        assert!(
            table.contains(&format!("| `{}` | ", key.name)),
            "{}",
            key.name
        );
    }
    assert_eq!(table.lines().count(), KEYS.len() + 2);
    assert!(
        table.contains("| `SENTINEL_STORE` | `mongodb`; dev: embedded | "),
        "{table}"
    );
    assert!(
        table.contains("| `OAUTH2_PROVIDER_TOKEN_EXPIRES_IN` | `3600` seconds | "),
        "{table}"
    );
}
