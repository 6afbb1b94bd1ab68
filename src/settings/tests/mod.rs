//! What the loader accepts, refuses and says.

mod accepted;
mod file;
mod origins;
mod properties;
mod refused;
mod stores;

use std::ffi::OsString;
use std::path::PathBuf;

use super::Settings;
use super::fault::SettingsError;
use super::load::Loaded;
use super::sources::{ConfigSource, Mode, Sources};

/// Sources that hold this environment and nothing else.
fn environment(pairs: &[(&str, &str)]) -> Sources {
    let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    Sources {
        mode: Mode::Serve,
        flags: Vec::new(),
        environment: pairs.iter().map(pair).collect(),
        config: ConfigSource::Optional(PathBuf::from("/nonexistent/sentinel.toml")),
    }
}

fn load(pairs: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
    Settings::load(&environment(pairs))
}

#[track_caller]
fn loaded(pairs: &[(&str, &str)]) -> Loaded {
    load(pairs).unwrap_or_else(|error| panic!("{pairs:?}: {error}"))
}

/// Sources whose file holds this text; the folder lives as long as the test needs it.
fn with_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, Sources) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.toml");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let sources = Sources {
        config: ConfigSource::Required(path),
        ..environment(&[])
    };
    (folder, sources)
}

/// The text of the only fault.
#[track_caller]
fn refusal(sources: &Sources) -> String {
    let error = Settings::load(sources).err().expect("it should be refused");
    let text = error.to_string();
    assert_eq!(error.faults.len(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "one fault is one line: {text}");
    text
}
