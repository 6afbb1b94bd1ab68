//! Where settings come from: flag over environment over file over default.
//!
//! The sources are arguments of the loader, so tests never touch the environment. What does not
//! live here: whether a value is good (`load`), how a value remembers its origin (`layers`).

use std::ffi::OsString;
use std::path::PathBuf;

use figment::value::Dict;

use super::fault::Origin;
use super::keys::{self, KEYS, Key};
use super::layers::{Collected, Collector};

/// Which defaults hold; nothing else differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of `sentinel dev`.
    Dev,
    /// Those of everything else.
    Serve,
}

/// Everything settings are read from.
pub struct Sources {
    /// Which defaults hold.
    pub mode: Mode,
    /// Settings given by flags, as name of the setting and value.
    pub flags: Vec<(&'static str, String)>,
    /// The environment; what is not ours in it is left alone.
    pub environment: Vec<(OsString, OsString)>,
    /// The configuration file.
    pub config: ConfigSource,
}

/// Which configuration file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// This one, which has to be there.
    Required(PathBuf),
    /// This one, if it is there.
    Optional(PathBuf),
}

impl Sources {
    /// The sources of this process. `config` is what `--config` says; without it
    /// `sentinel.toml` of the working directory is read if there is one.
    pub fn from_process(
        mode: Mode,
        flags: Vec<(&'static str, String)>,
        config: Option<PathBuf>,
    ) -> Self {
        Self {
            mode,
            flags,
            environment: std::env::vars_os().collect(),
            config: config.map_or_else(
                || ConfigSource::Optional(PathBuf::from("sentinel.toml")),
                ConfigSource::Required,
            ),
        }
    }

    /// Lays the sources over each other.
    pub(super) fn collect(&self) -> Collected {
        let mut collector = Collector::default();
        collector.add(Origin::Default, defaults(self.mode));
        collector.add_file(&self.config);
        collector.add_environment(&self.environment);
        for (name, value) in &self.flags {
            match keys::find(name) {
                Some(key) => {
                    let origin = Origin::Flag(key.flag.unwrap_or(key.name));
                    collector.add(
                        origin,
                        Dict::from([(key.name.to_owned(), value.clone().into())]),
                    );
                }
                None => collector.unknown(name, Origin::Flag(name)),
            }
        }
        collector.finish()
    }
}

fn defaults(mode: Mode) -> Dict {
    let default = |key: &Key| match mode {
        Mode::Dev => key.development_default.or(key.default),
        Mode::Serve => key.default,
    };
    KEYS.iter()
        .filter_map(|key| Some((key.name.to_owned(), default(key)?.to_owned().into())))
        .collect()
}
