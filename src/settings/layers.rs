//! Sources laid over each other, each value remembering where it came from.
//!
//! What does not live here: which sources there are (`sources`), whether a value is good
//! (`load`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::config_file::{ConfigFile, Readers};
use super::fault::{Fault, Origin, Raw, Wrong};
use super::keys::{self, KEYS, Key, Sensitivity};
use super::redact;
use super::sources::ConfigSource;

/// Prefixes that make a key of the environment ours.
const PREFIXES: [&str; 2] = ["SENTINEL_", "OAUTH2_PROVIDER_"];

/// Flask-OAuthlib's keys that name a Python function.
const UNSUPPORTED: [&str; 2] = [
    "OAUTH2_PROVIDER_TOKEN_GENERATOR",
    "OAUTH2_PROVIDER_REFRESH_TOKEN_GENERATOR",
];

/// Every value that is set, as text with its origin.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) values: BTreeMap<&'static str, Raw>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
}

/// Lays sources over each other; a later one wins.
#[derive(Default)]
pub(super) struct Collector {
    figment: Figment,
    origins: Vec<Origin>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

/// The values of one origin, for figment, which remembers by the name where a value is from.
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

impl Collector {
    pub(super) fn add(&mut self, origin: Origin, values: Dict) {
        let layer = Layer {
            name: self.origins.len().to_string(),
            values,
        };
        self.figment = std::mem::take(&mut self.figment).merge(layer);
        self.origins.push(origin);
    }

    pub(super) fn add_file(&mut self, source: &ConfigSource) {
        let read = match source {
            ConfigSource::Required(path) => ConfigFile::read(path).map(Some),
            ConfigSource::Optional(path) => ConfigFile::read_if_present(path),
        };
        let file = match read {
            Ok(Some(file)) => file,
            Ok(None) => return,
            Err(fault) => return self.faults.push(fault),
        };
        let origin = Origin::File(file.path.clone());
        let mut values = Dict::new();
        let mut has_secret = false;
        for (name, value) in &file.values {
            let Some(key) = self.known(name, &origin) else {
                continue;
            };
            match text_of(key, value) {
                Ok(text) => {
                    has_secret |= redact::holds_secret(key, &text);
                    values.insert(name.clone(), text.into());
                }
                Err(wrong) => {
                    has_secret |= key.sensitivity != Sensitivity::Open;
                    let raw = Raw {
                        text: value_kind(value).to_owned(),
                        origin: origin.clone(),
                    };
                    self.faults.push(wrong.of(key, &raw));
                }
            }
        }
        if has_secret {
            match file.readers() {
                Readers::Owner => {}
                Readers::Group => self.warnings.push(format!(
                    "configuration file {}: holds secrets and its group may read it; \
                     run chmod 600 on it",
                    file.path.display()
                )),
                Readers::World => self.faults.push(file.exposed()),
            }
        }
        self.add(origin, values);
    }

    pub(super) fn add_environment(&mut self, environment: &[(OsString, OsString)]) {
        let mut values = Dict::new();
        for (name, value) in environment.iter().filter(|(name, _)| is_ours(name)) {
            let Some(key) = self.known(&name.to_string_lossy(), &Origin::Environment) else {
                continue;
            };
            match value.to_str() {
                Some(text) => {
                    values.insert(key.name.to_owned(), text.to_owned().into());
                }
                None => self.faults.push(Fault::Invalid {
                    name: key.name,
                    shown: "(bytes)".to_owned(),
                    origin: Origin::Environment,
                    reason: "is not UTF-8".to_owned(),
                    mend: "write it as UTF-8".to_owned(),
                }),
            }
        }
        self.add(Origin::Environment, values);
    }

    /// The key of this name; notes a fault when there is none.
    fn known(&mut self, name: &str, origin: &Origin) -> Option<&'static Key> {
        if let Some(name) = UNSUPPORTED.iter().find(|unsupported| **unsupported == name) {
            self.faults.push(Fault::Unsupported {
                name,
                origin: origin.clone(),
            });
            return None;
        }
        let key = keys::find(name);
        if key.is_none() {
            self.unknown(name, origin.clone());
        }
        key
    }

    pub(super) fn unknown(&mut self, name: &str, origin: Origin) {
        let nearest = keys::nearest(name).name;
        let hint = if name.starts_with("SENTINEL_MONGO_") {
            format!("did you mean {nearest}? Options of the driver go into SENTINEL_MONGO_URI")
        } else if is_service_link(name) {
            "Kubernetes sets it for a service of that name: write enableServiceLinks: false".into()
        } else {
            format!("did you mean {nearest}?")
        };
        let name = name.escape_debug().to_string();
        self.faults.push(Fault::Unknown { name, origin, hint });
    }

    pub(super) fn finish(self) -> Collected {
        let mut values = BTreeMap::new();
        for key in KEYS {
            let (Ok(value), Some(metadata)) = (
                self.figment.find_value(key.name),
                self.figment.find_metadata(key.name),
            ) else {
                continue;
            };
            let layer = metadata
                .name
                .parse()
                .ok()
                .and_then(|layer: usize| self.origins.get(layer));
            if let (Some(text), Some(origin)) = (value.into_string(), layer) {
                values.insert(
                    key.name,
                    Raw {
                        text,
                        origin: origin.clone(),
                    },
                );
            }
        }
        Collected {
            values,
            faults: self.faults,
            warnings: self.warnings,
        }
    }
}

fn is_ours(name: &OsStr) -> bool {
    PREFIXES
        .iter()
        .any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
}

/// Whether Kubernetes puts such a variable into every container, for a service named `sentinel`.
fn is_service_link(name: &str) -> bool {
    name == "SENTINEL_PORT"
        || name.ends_with("_SERVICE_HOST")
        || ["_SERVICE_PORT", "_TCP", "_UDP"]
            .iter()
            .any(|part| name.contains(part))
}

/// A value of the file as the text the environment would have.
fn text_of(key: &Key, value: &Value) -> Result<String, Wrong> {
    match value {
        Value::String(_, text) => Ok(text.clone()),
        Value::Bool(_, flag) => Ok(flag.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|number| number.to_string())
            .ok_or_else(|| Wrong::new("is not a whole number", "write a whole number or a text")),
        Value::Array(_, items) if key.is_list => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(",")).ok_or_else(|| {
                Wrong::new(
                    "is an array of something else than texts",
                    "write an array of texts",
                )
            })
        }
        _ => Err(Wrong::new(
            "has a type that no setting has",
            "write a text, number or boolean",
        )),
    }
}

fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) => "a text",
        Value::Char(..) => "a character",
        Value::Bool(..) => "a boolean",
        Value::Num(..) => "a fraction",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a table",
        Value::Array(..) => "an array",
    }
}
