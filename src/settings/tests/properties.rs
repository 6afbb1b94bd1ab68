//! What holds of any environment and any file, however hostile.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::{environment, load, refusal, with_file};
use crate::settings::Settings;
use crate::settings::config_file::ConfigFile;
use crate::settings::keys::KEYS;

/// Values that some setting might take, and values that none does.
fn value() -> impl Strategy<Value = OsString> {
    let telling = select(
        &[
            "", "on", "off", "adhoc", "true", "embedded", "0", "-1", "[]",
        ][..],
    );
    prop_oneof![
        "[0-9]{1,20}".prop_map(OsString::from),
        "(mongodb|rediss?|https?|unix)://?[ -~]{0,40}".prop_map(OsString::from),
        "[0-9a-z.:/]{0,30}".prop_map(OsString::from),
        ".{0,40}".prop_map(OsString::from),
        vec(any::<u8>(), 0..20).prop_map(OsString::from_vec),
        telling.prop_map(OsString::from),
    ]
}

/// Lines that look like a configuration file, and bytes that do not.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let lines = "([A-Z_.\\[\\]]{1,12} ?= ?(\"[^\"]{0,8}\"|[0-9.-]{1,6}|\\[|\\{|'|\"\"\")?\n){0,6}";
    prop_oneof![lines.prop_map(String::into_bytes), vec(any::<u8>(), 0..200)]
}

// Found by the property below.
#[test]
fn a_hint_that_repeats_a_line_break_is_one_line() {
    let text = refusal(&environment(&[("SENTINEL_ROUTE_PREFIX", "a\nb")]));
    assert!(text.ends_with("write /a\\nb"), "{text}");
}

proptest! {
    #[test]
    fn any_environment_is_read_or_every_fault_is_told_in_a_line(
        pairs in vec((select(KEYS), value()), 0..6),
    ) {
        let mut sources = environment(&[]);
        sources.environment = pairs.into_iter().map(|(key, value)| (key.name.into(), value)).collect();
        if let Err(error) = Settings::load(&sources) {
            prop_assert!(!error.faults.is_empty());
            for fault in &error.faults {
                prop_assert_eq!(fault.to_string().lines().count(), 1, "{}", fault);
            }
        }
    }

    #[test]
    fn what_is_shown_of_a_setting_says_the_same_when_it_is_set(
        cost in 4_u32..=14,
        queue in 1_u32..1_000,
        lifetime in 1_u32..1_000_000,
        prefix in "(/[a-z]{1,8}){0,3}",
    ) {
        let (cost, queue) = (cost.to_string(), queue.to_string());
        let lifetime = lifetime.to_string();
        let shown = |pairs: &[(&str, &str)]| {
            let effective = load(pairs).map(|loaded| loaded.effective);
            effective.map_err(|error| error.to_string())
        };
        let first = shown(&[
            ("SENTINEL_BCRYPT_COST", &cost),
            ("SENTINEL_PASSWORD_QUEUE", &queue),
            ("SENTINEL_REFRESH_TOKEN_EXPIRES_IN", &lifetime),
            ("SENTINEL_ROUTE_PREFIX", &prefix),
        ]);
        let first = first.map_err(TestCaseError::fail)?;
        let names = ["BCRYPT_COST", "PASSWORD_QUEUE", "REFRESH_TOKEN_EXPIRES_IN", "ROUTE_PREFIX"];
        let is_set = |name: &str| names.iter().any(|own| name == format!("SENTINEL_{own}"));
        let again: Vec<(&str, &str)> = first
            .iter()
            .filter(|setting| is_set(setting.name))
            .map(|setting| (setting.name, setting.shown.as_str()))
            .collect();
        prop_assert_eq!(shown(&again), Ok(first.clone()));
    }

    #[test]
    fn any_file_is_read_or_refused_with_its_path_in_a_line(bytes in file()) {
        let (folder, sources) = with_file(&bytes, 0o600);
        if let Err(error) = Settings::load(&sources) {
            let path = folder.path().display().to_string();
            for fault in &error.faults {
                let text = fault.to_string();
                prop_assert_eq!(text.lines().count(), 1, "{}", text);
                prop_assert!(text.contains(&path) || text.contains("not set"), "{}", text);
            }
        }
    }

    #[test]
    fn any_text_in_a_file_comes_back_as_it_was_written(
        sent in btree_map("[A-Z_]{1,12}", "[^\\x7f]{0,40}", 1..6),
    ) {
        // A string of JSON is one of TOML, but for DEL.
        let line = |(key, value): (&String, &String)| format!("{key} = {}\n", serde_json::json!(value));
        let text: String = sent.iter().map(line).collect();
        prop_assume!(!text.contains('\0'));
        let (folder, _sources) = with_file(text.as_bytes(), 0o600);
        let file = ConfigFile::read(&folder.path().join("sentinel.toml"));
        let read = file.map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        for (key, value) in &sent {
            let found = read.values.get(key).and_then(|value| value.as_str());
            prop_assert_eq!(found, Some(value.as_str()));
        }
    }
}
