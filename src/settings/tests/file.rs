//! `sentinel.toml`: what may be wrong with the file, and what its values become.

use super::{environment, refusal, with_file};
use crate::settings::Settings;
use crate::settings::sources::{ConfigSource, Sources};

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    for (path, words) in [
        (missing, "there is no such file"),
        (folder.path().to_owned(), "is a directory"),
        (
            folder.path().join("missing.toml").join("x"),
            "there is no such file",
        ),
    ] {
        let shown = path.display().to_string();
        let text = refusal(&Sources {
            config: ConfigSource::Required(path),
            ..environment(&[])
        });
        assert!(
            text.starts_with(&format!("configuration file {shown}: {words}")),
            "{text}"
        );
    }
}

#[test]
fn an_optional_file_may_be_absent_but_not_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.toml");
    let sources = || Sources {
        config: ConfigSource::Optional(path.clone()),
        ..environment(&[])
    };
    assert!(Settings::load(&sources()).is_ok());
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
    assert!(refusal(&sources()).contains("there is no such file"));
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_line_and_column() {
    let utf_16: Vec<u8> = "\u{feff}A = 1\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let rows: [(&[u8], &str); 10] = [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (&utf_16, "UTF-16"),
        (
            b"SENTINEL_LOG = \"info\"\n# \xff",
            "line 2, column 3: is not UTF-8",
        ),
        (
            b"SENTINEL_LOG = \"info\"\nSENTINEL_MANAGEMENT_PASSWORD = canary\n",
            "line 2, column 32:",
        ),
        (b"SENTINEL_LOG: canary\n", "line 1, column 13:"),
        (b"SENTINEL_LOG = \"canary\n", "line 1, column"),
        (
            b"SENTINEL_LOG = \"a\"\nSENTINEL_LOG = \"canary\"\n",
            "line 2, column 1: duplicate key",
        ),
        (
            b"SENTINEL_BCRYPT_COST = 99999999999999999999\n",
            "line 1, column 24:",
        ),
    ];
    for (bytes, words) in rows {
        let (_folder, sources) = with_file(bytes, 0o600);
        let text = refusal(&sources);
        assert!(text.starts_with("configuration file /"), "{text}");
        assert!(
            text.contains("sentinel.toml: ") && text.contains(words),
            "{words}: {text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn a_file_that_never_ends_is_refused() {
    let config = ConfigSource::Required("/dev/zero".into());
    assert!(
        refusal(&Sources {
            config,
            ..environment(&[])
        })
        .contains("larger than 1 MiB")
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    let bytes = "\u{feff}SENTINEL_LOG = \"debug\"\r\nSENTINEL_BCRYPT_COST = 11\r\n".as_bytes();
    let (_folder, sources) = with_file(bytes, 0o644);
    let settings = Settings::load(&sources)
        .map(|loaded| loaded.settings)
        .unwrap();
    assert_eq!(settings.log.filter, "debug");
    assert_eq!(settings.passwords.cost, 11);
}

#[test]
fn values_may_be_texts_numbers_booleans_and_arrays() {
    let text = "SENTINEL_TOKEN_URL = false\nSENTINEL_BCRYPT_COST = \"11\"\n\
                SENTINEL_PASSWORD_QUEUE = 7\n\
                SENTINEL_TRUSTED_PROXIES = [\"10.0.0.0/8\", \"192.0.2.1\"]\n";
    let (_folder, sources) = with_file(text.as_bytes(), 0o644);
    let settings = Settings::load(&sources)
        .map(|loaded| loaded.settings)
        .unwrap();
    assert_eq!(settings.endpoints.token_path, None);
    assert_eq!(settings.passwords.cost, 11);
    assert_eq!(settings.passwords.queue, 7);
    assert_eq!(settings.server.trusted_proxies.len(), 2);
}

#[test]
fn values_of_other_types_are_refused() {
    for (line, words) in [
        (
            "SENTINEL_BCRYPT_COST = 11.5",
            "SENTINEL_BCRYPT_COST = 'a fraction' (from /",
        ),
        (
            "SENTINEL_LOG = [\"info\"]",
            "SENTINEL_LOG = 'an array' (from /",
        ),
        (
            "SENTINEL_TRUSTED_PROXIES = [1]",
            "array of something else than texts",
        ),
        (
            "SENTINEL_LOG = { level = \"info\" }",
            "SENTINEL_LOG = 'a table' (from /",
        ),
        (
            "SENTINEL_MANAGEMENT_PASSWORD = [\"canary\"]",
            "SENTINEL_MANAGEMENT_PASSWORD = '***'",
        ),
        ("SENTINEL_LOG = 1979-05-27", "a type that no setting has"),
    ] {
        let (_folder, sources) = with_file(line.as_bytes(), 0o600);
        let text = refusal(&sources);
        assert!(
            text.contains(words) && !text.contains("canary"),
            "{line}: {text}"
        );
    }
}

#[test]
fn any_unknown_key_of_the_file_is_refused() {
    for (line, name, nearest) in [
        ("LISTEN = \"x\"", "LISTEN", "SENTINEL_LISTEN?"),
        (
            "sentinel_listen = \"x\"",
            "sentinel_listen",
            "SENTINEL_LISTEN?",
        ),
        ("[server]\nlisten = \"x\"", "server", "did you mean"),
        ("SENTINEL_LOGS = \"x\"", "SENTINEL_LOGS", "SENTINEL_LOG?"),
        (
            "OAUTH2_PROVIDER_TOKEN_GENERATOR = \"x\"",
            "OAUTH2_PROVIDER_TOKEN_GENERATOR",
            "not supp",
        ),
    ] {
        let (_folder, sources) = with_file(line.as_bytes(), 0o600);
        let text = refusal(&sources);
        assert!(text.starts_with(&format!("{name} (from /")), "{text}");
        assert!(text.contains(nearest), "{text}");
    }
}

#[test]
fn a_file_with_secrets_is_for_its_owner_alone() {
    let secrets = [
        "SENTINEL_MONGO_PASSWORD = \"canary\"\nSENTINEL_MONGO_USERNAME = \"u\"",
        "SENTINEL_MONGO_URI = \"mongodb://u:canary@localhost\"",
        "SENTINEL_REDIS_URL = [\"redis://localhost/1\", \"redis://:canary@localhost\"]",
    ];
    for text in secrets {
        for mode in [0o644, 0o604] {
            let (_folder, sources) = with_file(text.as_bytes(), mode);
            let answer = refusal(&sources);
            assert!(answer.contains("everyone may read it") && answer.contains("chmod 600"));
        }
        for (mode, warnings) in [(0o640, 1), (0o600, 0), (0o400, 0)] {
            let (_folder, sources) = with_file(text.as_bytes(), mode);
            let loaded = Settings::load(&sources).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                loaded.warnings.len(),
                warnings,
                "{mode:o}: {:?}",
                loaded.warnings
            );
        }
    }
    let (_folder, sources) = with_file(b"SENTINEL_REDIS_URL = \"redis://localhost\"", 0o644);
    assert!(Settings::load(&sources).is_ok_and(|loaded| loaded.warnings.is_empty()));
}
