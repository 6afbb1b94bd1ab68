//! From sources to settings: every section is read, every fault told.

use std::time::Duration;

use super::endpoints::endpoints;
use super::fault::{Origin, SettingsError, Wrong};
use super::keys::{self, KEYS, Key};
use super::mongo::{mongo, told_by_uri};
use super::reader::{Reader, boolean, number, path, socket_address};
use super::redact;
use super::redis::redis;
use super::server::{log, management, server};
use super::sources::{Mode, Sources};
use super::{
    PasswordSettings, Settings, StoreSettings, ThrottleSettings, TlsSettings, TokenSettings,
    TokenStorageMode,
};

/// Settings with the story of how they came to be.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every key with its value, for `sentinel settings`.
    pub effective: Vec<EffectiveSetting>,
    /// What works but should not stay so, for the log; without secrets.
    pub warnings: Vec<String>,
}

/// The value of one key, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Its name.
    pub name: &'static str,
    /// Its value, secrets redacted.
    pub shown: String,
    /// Where it was set.
    pub origin: Origin,
}

impl Settings {
    /// Loads and checks all settings.
    ///
    /// # Errors
    /// [`SettingsError`] with every fault of the file, of unknown keys and of values.
    pub fn load(sources: &Sources) -> Result<Loaded, SettingsError> {
        let mut reader = Reader::new(sources.collect());
        match read(&mut reader) {
            Some(settings) if reader.faults.is_empty() => Ok(Loaded {
                effective: KEYS
                    .iter()
                    .map(|key| effective(key, &reader, &settings))
                    .collect(),
                warnings: reader.warnings,
                settings,
            }),
            _ => Err(SettingsError {
                faults: reader.faults,
            }),
        }
    }

    /// Loads settings from the environment and `sentinel.toml` of the working directory, with
    /// the defaults of production. Warnings are logged.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_environment() -> Result<Self, SettingsError> {
        let loaded = Self::load(&Sources::from_process(Mode::Serve, Vec::new(), None))?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.settings)
    }
}

fn read(reader: &mut Reader) -> Option<Settings> {
    // Everything is read before the first `?`, so that all faults are told at once.
    let data_dir = reader.required(&keys::DATA_DIR, path);
    let server = server(reader, data_dir.as_deref());
    let is_plain = server
        .as_ref()
        .map(|server| matches!(server.tls, TlsSettings::Off));
    let endpoints = endpoints(reader, is_plain);
    let store = store(reader);
    let tokens = tokens(reader);
    let passwords = passwords(reader);
    let throttle = throttle(reader);
    let management = management(reader);
    let templates = reader.required(&keys::TEMPLATES, path);
    let log = log(reader);
    let metrics_listen = reader.optional(&keys::METRICS_LISTEN, socket_address);
    Some(Settings {
        endpoints: endpoints?,
        store: store?,
        tokens: tokens?,
        passwords: passwords?,
        throttle: throttle?,
        management: management?,
        server: server?,
        templates: templates?,
        log: log?,
        metrics_listen: metrics_listen?,
        data_dir: data_dir?,
    })
}

enum StoreKind {
    MongoDb,
    Embedded,
}

fn store(reader: &mut Reader) -> Option<StoreSettings> {
    let kind = reader.required(&keys::STORE, |text| match text {
        "mongodb" => Ok(StoreKind::MongoDb),
        "embedded" => Ok(StoreKind::Embedded),
        _ => Err(Wrong::new("is not a store", "write mongodb or embedded")),
    });
    let may_be_insecure = reader.required(&keys::ALLOW_INSECURE_STORES, boolean);
    let token_storage = reader.optional(&keys::TOKEN_STORAGE, |text| match text {
        "plain" => Ok(TokenStorageMode::Plain),
        "hashed" => Ok(TokenStorageMode::Hashed),
        _ => Err(Wrong::new(
            "is no way to keep tokens",
            "write plain or hashed",
        )),
    });
    match kind? {
        StoreKind::Embedded => {
            let mut useless = vec![&keys::REDIS_URL, &keys::MONGO_URI, &keys::MONGO_HOST];
            if token_storage? == Some(TokenStorageMode::Plain) {
                useless.push(&keys::TOKEN_STORAGE);
            }
            for key in useless {
                if reader.is_set(key) {
                    let store = keys::STORE.name;
                    let text = format!("{} has no effect with {store}=embedded", key.name);
                    reader.warnings.push(text);
                }
            }
            Some(StoreSettings::Embedded)
        }
        StoreKind::MongoDb => {
            let may_be_insecure = may_be_insecure?;
            let (mongo, redis) = (
                mongo(reader, may_be_insecure),
                redis(reader, may_be_insecure),
            );
            Some(StoreSettings::MongoDb {
                mongo: mongo?,
                redis: redis?,
                token_storage: token_storage?,
            })
        }
    }
}

fn tokens(reader: &mut Reader) -> Option<TokenSettings> {
    let access = reader.required(&keys::TOKEN_EXPIRES_IN, |text| match text.parse() {
        Ok(0_u64) => Err(Wrong::new(
            "is zero, which Flask-Sentinel took for 3600",
            "write the seconds",
        )),
        _ => number(1..=u32::MAX)(text),
    });
    let refresh = reader.required(&keys::REFRESH_TOKEN_EXPIRES_IN, number(0..=u32::MAX));
    let idle = reader.required(&keys::REFRESH_TOKEN_IDLE_EXPIRES_IN, number(0..=u32::MAX));
    let seconds = |number: u32| Duration::from_secs(number.into());
    Some(TokenSettings {
        access_lifetime: seconds(access?),
        refresh_lifetime: Some(refresh?).filter(|number| *number > 0).map(seconds),
        refresh_idle_lifetime: Some(idle?).filter(|number| *number > 0).map(seconds),
    })
}

fn passwords(reader: &mut Reader) -> Option<PasswordSettings> {
    let cost = reader.required(&keys::BCRYPT_COST, number(4..=15));
    let min_characters = reader.required(&keys::PASSWORD_MIN_LENGTH, number(1..=71));
    let queue = reader.required(&keys::PASSWORD_QUEUE, number(1..=100_000));
    let lanes = reader.required(&keys::PASSWORD_LANES, number(0..=6));
    if let Some(cost) = cost.filter(|cost| *cost < 10) {
        let name = keys::BCRYPT_COST.name;
        reader.warnings.push(format!(
            "{name} = {cost} is for tests: stolen hashes of it are soon guessed; write 10 or more"
        ));
    }
    Some(PasswordSettings {
        cost: cost?,
        min_characters: min_characters?,
        queue: queue?,
        lanes: lanes?,
    })
}

fn throttle(reader: &mut Reader) -> Option<ThrottleSettings> {
    let user = reader.required(&keys::THROTTLE_USER, number(0..=1_000_000));
    let network = reader.required(&keys::THROTTLE_NETWORK, number(0..=1_000_000));
    let window = reader.required(&keys::THROTTLE_WINDOW, number(1..=86_400));
    Some(ThrottleSettings {
        user: user?,
        network: network?,
        window: Duration::from_secs(window?),
    })
}

fn effective(key: &'static Key, reader: &Reader, settings: &Settings) -> EffectiveSetting {
    let told_by_uri = match &settings.store {
        StoreSettings::MongoDb { mongo, .. } => told_by_uri(key, mongo),
        StoreSettings::Embedded => None,
    };
    let is_told = told_by_uri.is_some();
    let raw = reader.raw(if is_told { &keys::MONGO_URI } else { key });
    let shown = match told_by_uri.as_deref().or(raw.map(|raw| raw.text.as_str())) {
        Some(text) => redact::shown(key, text),
        None => worked_out(key, settings).unwrap_or_else(|| key.when_absent.to_owned()),
    };
    let origin = raw.map_or(Origin::Default, |raw| raw.origin.clone());
    EffectiveSetting {
        name: key.name,
        shown,
        origin,
    }
}

/// The value of a default that depends on other settings.
fn worked_out(key: &Key, settings: &Settings) -> Option<String> {
    if key.name == keys::ERROR_URI.name {
        return Some(settings.endpoints.error_uri.clone());
    }
    let is_hashed = matches!(settings.store, StoreSettings::Embedded);
    (is_hashed && key.name == keys::TOKEN_STORAGE.name).then(|| "hashed".to_owned())
}
