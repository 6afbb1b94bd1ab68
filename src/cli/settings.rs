//! `sentinel settings`: the settings in effect, and where each comes from.

use clap::Args;
use serde::Serialize;

use super::exit::Failure;
use super::flags::SourceFlags;
use super::output;
use super::table::table;
use crate::settings::Settings;
use crate::settings::load::EffectiveSetting;
use crate::settings::sources::Mode;

/// Which settings to print, and how.
#[derive(Args)]
pub(super) struct SettingsArguments {
    /// Those of `sentinel dev`
    #[arg(long)]
    dev: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceFlags,
}

/// A setting as a program reads it.
#[derive(Serialize)]
struct SettingRecord<'a> {
    name: &'a str,
    value: &'a str,
    origin: String,
}

/// Prints them, secrets redacted.
///
/// # Errors
/// [`Failure::Settings`], [`Failure::Output`].
pub(super) fn settings(arguments: SettingsArguments) -> Result<(), Failure> {
    let mode = if arguments.dev {
        Mode::Dev
    } else {
        Mode::Serve
    };
    let loaded = Settings::load(&arguments.sources.sources(mode))?;
    for warning in &loaded.warnings {
        output::complain(&format!("sentinel: warning: {warning}"));
    }
    if arguments.json {
        let records: Vec<_> = loaded.effective.iter().map(record).collect();
        return output::print_json(&records);
    }
    output::print(&as_table(&loaded.effective))
}

fn record(setting: &EffectiveSetting) -> SettingRecord<'_> {
    SettingRecord {
        name: setting.name,
        value: &setting.shown,
        origin: setting.origin.to_string(),
    }
}

fn as_table(effective: &[EffectiveSetting]) -> String {
    let row = |setting: &EffectiveSetting| {
        [
            setting.name.to_owned(),
            setting.shown.clone(),
            setting.origin.to_string(),
        ]
    };
    let rows: Vec<_> = effective.iter().map(row).collect();
    table(["setting", "value", "origin"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::fault::Origin;

    #[test]
    fn each_setting_is_a_line_with_its_origin() {
        let effective = [
            EffectiveSetting {
                name: "SENTINEL_TLS",
                shown: "off".to_owned(),
                origin: Origin::Environment,
            },
            EffectiveSetting {
                name: "SENTINEL_LISTEN",
                shown: "127.0.0.1:5000".to_owned(),
                origin: Origin::Flag("--listen"),
            },
        ];
        let expected = "\
SETTING          VALUE           ORIGIN
SENTINEL_TLS     off             environment
SENTINEL_LISTEN  127.0.0.1:5000  --listen";
        assert_eq!(as_table(&effective), expected);
        let json = serde_json::to_value(record(&effective[1])).unwrap();
        assert_eq!(json["origin"], "--listen");
    }
}
