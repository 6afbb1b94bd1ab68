//! Values that are accepted, and what becomes of them.

use std::path::PathBuf;
use std::time::Duration;

use super::loaded;
use crate::settings::{
    ListenAddress, LogFormat, Settings, StoreSettings, TlsSettings, TokenStorageMode,
};

fn settings(pairs: &[(&str, &str)]) -> Settings {
    loaded(pairs).settings
}

#[test]
fn without_any_source_the_documented_defaults_hold() {
    let loaded = loaded(&[]);
    let settings = &loaded.settings;
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(settings.endpoints.route_prefix, "/oauth");
    assert_eq!(settings.endpoints.token_path.as_deref(), Some("/token"));
    assert_eq!(
        settings.endpoints.management_path.as_deref(),
        Some("/management")
    );
    assert_eq!(settings.endpoints.error_uri, "/oauth/errors");
    assert_eq!(settings.endpoints.error_endpoint, None);
    assert_eq!(settings.endpoints.issuer, None);
    assert_eq!(settings.tokens.access_lifetime, Duration::from_hours(1));
    assert_eq!(
        settings.tokens.refresh_lifetime,
        Some(Duration::from_hours(30 * 24))
    );
    assert_eq!(settings.passwords.cost, 12);
    assert_eq!(settings.passwords.min_characters, 8);
    assert_eq!(settings.passwords.queue, 64);
    assert!(settings.management.is_none());
    assert_eq!(
        settings.server.listen,
        ListenAddress::Tcp("127.0.0.1:5000".parse().unwrap())
    );
    assert!(
        matches!(&settings.server.tls, TlsSettings::Files { certificate, key }
        if certificate == &PathBuf::from("certs/cert.pem") && key == &PathBuf::from("certs/key.pem"))
    );
    assert!(settings.server.trusted_proxies.is_empty());
    assert_eq!(settings.templates, PathBuf::from("templates"));
    assert_eq!(settings.log.filter, "info");
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.metrics_listen, None);
    assert_eq!(settings.data_dir, PathBuf::from("data"));
}

#[test]
fn false_turns_an_endpoint_off_in_both_spellings() {
    for word in ["false", "False"] {
        let settings = settings(&[
            ("SENTINEL_TOKEN_URL", word),
            ("SENTINEL_MANAGEMENT_URL", word),
        ]);
        assert_eq!(settings.endpoints.token_path, None);
        assert_eq!(settings.endpoints.management_path, None);
    }
}

#[test]
fn an_empty_prefix_and_a_slash_are_the_root() {
    for prefix in ["", "/"] {
        let settings = settings(&[("SENTINEL_ROUTE_PREFIX", prefix)]);
        assert_eq!(settings.endpoints.route_prefix, "");
        assert_eq!(settings.endpoints.error_uri, "/errors");
    }
}

#[test]
fn the_error_page_may_be_at_any_path_that_is_free() {
    for uri in [
        "/oauth/errors",
        "/errors",
        "/verify",
        "/oauth/managements",
        "/oauth/token",
        "/oauth",
        "https://example.com/oauth/verify?a#b",
    ] {
        let settings = settings(&[
            ("SENTINEL_TOKEN_URL", "false"),
            ("OAUTH2_PROVIDER_ERROR_URI", uri),
        ]);
        assert_eq!(settings.endpoints.error_uri, uri);
    }
    // Where nobody has chosen one, nobody could choose another.
    let settings = settings(&[("SENTINEL_ROUTE_PREFIX", "/healthz")]);
    assert_eq!(settings.endpoints.error_uri, "/healthz/errors");
}

#[test]
fn a_refresh_lifetime_of_zero_is_for_ever() {
    let settings = settings(&[("SENTINEL_REFRESH_TOKEN_EXPIRES_IN", "0")]);
    assert_eq!(settings.tokens.refresh_lifetime, None);
}

#[test]
fn listen_addresses_of_all_forms_are_understood() {
    for (text, expected) in [
        (
            "localhost:8080",
            ListenAddress::Tcp("127.0.0.1:8080".parse().unwrap()),
        ),
        ("[::1]:0", ListenAddress::Tcp("[::1]:0".parse().unwrap())),
        (
            " 0.0.0.0:443 ",
            ListenAddress::Tcp("0.0.0.0:443".parse().unwrap()),
        ),
        (
            "unix:/run/s.sock",
            ListenAddress::Unix(PathBuf::from("/run/s.sock")),
        ),
        (
            "unix:///run/s.sock",
            ListenAddress::Unix(PathBuf::from("/run/s.sock")),
        ),
    ] {
        assert_eq!(
            settings(&[("SENTINEL_LISTEN", text)]).server.listen,
            expected,
            "{text}"
        );
    }
}

#[test]
fn tls_takes_its_three_words_and_booleans() {
    let tls = |word| {
        settings(&[("SENTINEL_TLS", word), ("SENTINEL_DATA_DIR", "/d")])
            .server
            .tls
    };
    for word in ["on", "true", "True"] {
        assert!(matches!(tls(word), TlsSettings::Files { .. }), "{word}");
    }
    for word in ["off", "false", "False"] {
        assert!(matches!(tls(word), TlsSettings::Off), "{word}");
    }
    let data = PathBuf::from("/d");
    assert!(matches!(tls("adhoc"), TlsSettings::AdHoc { folder } if folder == data));
}

#[test]
fn an_issuer_is_kept_as_clients_dial_it() {
    for issuer in [
        "https://sentinel.example",
        "https://sentinel.example:8443/a",
        "http://[::1]:5000",
    ] {
        let url = settings(&[("SENTINEL_ISSUER", issuer)])
            .endpoints
            .issuer
            .unwrap();
        assert_eq!(url.as_str().trim_end_matches('/'), issuer);
    }
    let pairs = [
        ("SENTINEL_ISSUER", "http://sentinel.example"),
        ("SENTINEL_TLS", "off"),
    ];
    assert!(settings(&pairs).endpoints.issuer.is_some());
}

#[test]
fn trusted_proxies_are_networks_or_single_addresses() {
    let pairs = [(
        "SENTINEL_TRUSTED_PROXIES",
        "10.1.2.3/8, 192.0.2.1,2001:db8::/32",
    )];
    let networks = settings(&pairs).server.trusted_proxies;
    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
}

#[test]
fn a_console_password_may_be_a_bcrypt_hash() {
    let hash = bcrypt::hash("pass", 4).unwrap();
    for password in ["pass", hash.as_str()] {
        let management = settings(&[
            ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
            ("SENTINEL_MANAGEMENT_PASSWORD", password),
        ])
        .management
        .unwrap();
        assert_eq!(management.username, "admin");
        assert_eq!(management.password.expose(), password);
    }
}

#[test]
fn a_low_bcrypt_cost_is_accepted_with_a_warning() {
    for (cost, warnings) in [("4", 1), ("9", 1), ("10", 0), ("15", 0)] {
        let loaded = loaded(&[("SENTINEL_BCRYPT_COST", cost)]);
        assert_eq!(
            loaded.warnings.len(),
            warnings,
            "{cost}: {:?}",
            loaded.warnings
        );
    }
}

#[test]
fn the_debug_form_of_settings_holds_no_secret() {
    let settings = settings(&[
        ("SENTINEL_REDIS_URL", "redis://:canary1@localhost"),
        ("SENTINEL_MONGO_URI", "mongodb://u:canary2@localhost"),
        ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "canary3"),
    ]);
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn the_embedded_store_warns_of_store_addresses() {
    let loaded = loaded(&[
        ("SENTINEL_STORE", "embedded"),
        ("SENTINEL_REDIS_URL", "anything"),
    ]);
    assert!(matches!(loaded.settings.store, StoreSettings::Embedded));
    assert_eq!(
        loaded.warnings,
        ["SENTINEL_REDIS_URL has no effect with SENTINEL_STORE=embedded"]
    );
}

#[test]
fn tokens_are_kept_as_asked_in_mongodb_and_hashed_in_the_file() {
    let storage = |pairs: &[(&str, &str)]| match loaded(pairs).settings.store {
        StoreSettings::MongoDb { token_storage, .. } => token_storage,
        StoreSettings::Embedded => None,
    };
    let name = "SENTINEL_TOKEN_STORAGE";
    assert_eq!(storage(&[]), None);
    assert_eq!(storage(&[(name, "plain")]), Some(TokenStorageMode::Plain));
    assert_eq!(storage(&[(name, "hashed")]), Some(TokenStorageMode::Hashed));
    let embedded = ("SENTINEL_STORE", "embedded");
    assert!(loaded(&[embedded, (name, "hashed")]).warnings.is_empty());
    assert_eq!(
        loaded(&[embedded, (name, "plain")]).warnings,
        ["SENTINEL_TOKEN_STORAGE has no effect with SENTINEL_STORE=embedded"]
    );
}
