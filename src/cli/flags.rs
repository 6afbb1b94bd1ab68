//! Flags that say where settings come from, and those that are settings themselves.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::settings::sources::{Mode, Sources};

const LISTEN: &str = "SENTINEL_LISTEN";
const DATA_DIR: &str = "SENTINEL_DATA_DIR";
const LOG_FORMAT: &str = "SENTINEL_LOG_FORMAT";

/// Where settings come from.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SourceFlags {
    /// Configuration file [default: sentinel.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Folder of the embedded store and the ad-hoc certificate [default: data]
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data_dir: Option<String>,
}

/// Flags of the commands that run the server.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ServerFlags {
    /// Where to listen, or `unix:/path` [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Option<String>,
    /// Form of the log [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["text", "json"]))]
    pub(super) log_format: Option<String>,
    #[command(flatten)]
    pub(super) sources: SourceFlags,
}

impl SourceFlags {
    /// The sources of this process.
    pub(super) fn sources(self, mode: Mode) -> Sources {
        ServerFlags {
            sources: self,
            ..ServerFlags::default()
        }
        .sources(mode)
    }
}

impl ServerFlags {
    /// The sources of this process.
    pub(super) fn sources(self, mode: Mode) -> Sources {
        let flags = [
            (LISTEN, self.listen),
            (LOG_FORMAT, self.log_format),
            (DATA_DIR, self.sources.data_dir),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Sources::from_process(mode, given.collect(), self.sources.config)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;
    use crate::settings::keys::{self, KEYS};

    #[test]
    fn every_setting_that_has_a_flag_is_set_by_it() {
        let command = ServerFlags::augment_args(Command::new("serve"));
        for key in KEYS.iter().filter(|key| key.flag.is_some()) {
            let flag = key.flag.unwrap().trim_start_matches("--");
            let mut options = command.get_arguments().filter_map(|arg| arg.get_long());
            assert!(options.any(|long| long == flag), "{flag}");
        }
        for (name, flag) in [
            (LISTEN, "--listen"),
            (DATA_DIR, "--data-dir"),
            (LOG_FORMAT, "--log-format"),
        ] {
            assert_eq!(keys::find(name).unwrap().flag, Some(flag));
        }
    }

    #[test]
    fn what_is_not_given_is_no_source() {
        let flags = ServerFlags {
            listen: Some("127.0.0.1:1".to_owned()),
            ..ServerFlags::default()
        };
        let sources = flags.sources(Mode::Serve);
        assert_eq!(sources.flags, [(LISTEN, "127.0.0.1:1".to_owned())]);
    }
}
