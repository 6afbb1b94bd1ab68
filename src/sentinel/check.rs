//! Whether a server with these settings could run: files, templates and stores, one finding each.
//!
//! Nothing is made or changed: no index, no certificate, no file. What does not live here: whether
//! the settings themselves are good (`settings`).

use std::path::Path;
use std::time::Duration;

use futures_util::future;
use time::format_description::well_known::Rfc3339;

use super::{compose, token_storage};
use crate::clock::Clock;
use crate::domain::token_key::TokenStorage;
use crate::server::tls::Loaded;
use crate::settings::{MongoSettings, RedisTopology, Settings, StoreSettings, TlsSettings};
use crate::stores::error::OpenError;
use crate::stores::mongo;
use crate::stores::redis::endpoints::{RedisDeadlines, RedisEndpoint, RedisEndpoints};
use crate::telemetry::chain::Chain;

/// Nobody waits behind a check, so a slow Redis is given more time than a request gives it.
const REDIS_DEADLINES: RedisDeadlines = RedisDeadlines {
    connect: Duration::from_secs(3),
    response: Duration::from_secs(2),
};

/// What was found of one thing that a server needs.
#[derive(Debug)]
pub struct CheckLine {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub result: Result<Finding, CheckFault>,
}

/// Something that a server can run with.
#[derive(Debug)]
pub struct Finding {
    /// What it is, in a few words.
    pub text: String,
    /// What an operator should mend nevertheless; one sentence each.
    pub warnings: Vec<String>,
}

/// Something that a server cannot run with, or would run without.
#[derive(Debug, thiserror::Error)]
pub enum CheckFault {
    /// A setting or a file has to be mended.
    #[error("{0}")]
    Configuration(String),
    /// A store does not answer.
    #[error("{0}")]
    Unreachable(String),
}

/// Looks at everything that a server with these settings needs.
pub async fn check(settings: &Settings) -> Vec<CheckLine> {
    let mut lines = vec![certificate(settings), templates(settings)];
    match &settings.store {
        StoreSettings::MongoDb { mongo, redis, .. } => {
            // Both may take their time to be found away.
            let mongodb = mongodb(mongo, token_storage::wanted(settings));
            let (redis, mongo) = future::join(all_redis(&redis.topology), mongodb).await;
            lines.extend(redis);
            lines.push(mongo);
        }
        StoreSettings::Embedded => lines.push(data_folder(&settings.data_dir)),
    }
    lines
}

fn certificate(settings: &Settings) -> CheckLine {
    let issuer = settings.endpoints.issuer.as_ref();
    let host = issuer.and_then(|issuer| issuer.host_str());
    let result = match &settings.server.tls {
        TlsSettings::Off => Ok(Finding::of("TLS is off: a proxy in front has to end it")),
        // Made by another user, such as root, it would be of no use to the server.
        TlsSettings::AdHoc { folder } => {
            let folder = folder.display();
            let text = format!("self-signed, kept in `{folder}`, made at the start if need be");
            Ok(Finding::of(text))
        }
        TlsSettings::Files { certificate, key } => {
            match Loaded::from_files(certificate, key, host, &Clock::default()) {
                Ok(loaded) => {
                    let until = loaded.certificates.not_after();
                    let until = until.format(&Rfc3339).unwrap_or_default();
                    Ok(Finding {
                        text: format!("`{}`, valid until {until}", certificate.display()),
                        warnings: loaded.warnings,
                    })
                }
                Err(error) => Err(CheckFault::Configuration(Chain(&error).to_string())),
            }
        }
    };
    CheckLine::new("certificate and key", result)
}

fn templates(settings: &Settings) -> CheckLine {
    let result = match compose::load_pages(settings) {
        Ok(_) => Ok(Finding::of("every page can be shown")),
        Err(error) => Err(CheckFault::Configuration(Chain(&error).to_string())),
    };
    CheckLine::new("templates", result)
}

/// The file itself is locked by a server that runs, so it is not opened.
fn data_folder(folder: &Path) -> CheckLine {
    let shown = folder.display();
    let result = match folder.metadata() {
        Ok(metadata) if !metadata.is_dir() => Err(CheckFault::Configuration(format!(
            "`{shown}` is not a folder; move it away, or set SENTINEL_DATA_DIR"
        ))),
        Ok(metadata) if metadata.permissions().readonly() => Err(CheckFault::Configuration(
            format!("`{shown}` cannot be written to; give the server's user access to it"),
        )),
        Ok(_) => Ok(Finding::of(format!("in `{shown}`"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Finding::of(format!("in `{shown}`, made at the start")))
        }
        Err(error) => Err(CheckFault::Configuration(format!(
            "`{shown}` cannot be read: {error}; give the server's user access to it"
        ))),
    };
    CheckLine::new("embedded store", result)
}

async fn all_redis(topology: &RedisTopology) -> Vec<CheckLine> {
    match RedisEndpoints::new(topology) {
        Ok(endpoints) => future::join_all(endpoints.endpoints().iter().map(redis)).await,
        Err(error) => vec![CheckLine::new("Redis", Err(CheckFault::from(error)))],
    }
}

async fn redis(endpoint: &RedisEndpoint) -> CheckLine {
    let probe = async {
        let connection = endpoint.connect(REDIS_DEADLINES, None, |_| {}).await?;
        connection.ping().await?;
        Ok(connection.diagnose().await)
    };
    let result = match probe.await {
        Ok(warnings) => Ok(Finding {
            text: "answers".to_owned(),
            warnings,
        }),
        Err::<_, crate::stores::error::StoreError>(error) => {
            Err(CheckFault::Unreachable(Chain(&error).to_string()))
        }
    };
    CheckLine::new(format!("Redis {}", endpoint.name()), result)
}

async fn mongodb(settings: &MongoSettings, wanted: Option<TokenStorage>) -> CheckLine {
    let result = match mongo::reach(settings).await {
        Ok(kept) => match token_storage::foretell(kept, wanted) {
            Ok(warning) => Ok(Finding {
                text: format!("answers, database `{}`", settings.database),
                warnings: warning.into_iter().map(str::to_owned).collect(),
            }),
            Err(fault) => Err(CheckFault::Configuration(fault.to_owned())),
        },
        Err(error) => Err(CheckFault::from(error)),
    };
    CheckLine::new("MongoDB", result)
}

impl CheckLine {
    fn new(name: impl Into<String>, result: Result<Finding, CheckFault>) -> Self {
        Self {
            name: name.into(),
            result,
        }
    }
}

impl Finding {
    fn of(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            warnings: Vec::new(),
        }
    }
}

impl From<OpenError> for CheckFault {
    fn from(error: OpenError) -> Self {
        let text = error.to_string();
        match error {
            OpenError::Unreachable { .. } => Self::Unreachable(text),
            OpenError::Duplicates(_) | OpenError::Unusable(_) => Self::Configuration(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;
    use crate::settings::sources::{ConfigSource, Mode, Sources};

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        let sources = Sources {
            mode: Mode::Serve,
            flags: Vec::new(),
            environment: pairs.iter().map(pair).collect(),
            config: ConfigSource::Optional(PathBuf::from("/nonexistent/sentinel.toml")),
        };
        Settings::load(&sources).unwrap().settings
    }

    fn fault(line: &CheckLine) -> &CheckFault {
        line.result.as_ref().unwrap_err()
    }

    #[tokio::test]
    async fn a_redis_that_is_away_is_named_without_its_password() {
        // Port 1 of the loopback is not listened on.
        let address = ("SENTINEL_REDIS_URL", "redis://:hunter2@127.0.0.1:1/0");
        let StoreSettings::MongoDb { redis, .. } = settings(&[address]).store else {
            panic!("another store");
        };
        let lines = all_redis(&redis.topology).await;
        assert_eq!(lines[0].name, "Redis 127.0.0.1:1");
        let fault = fault(&lines[0]);
        assert!(matches!(fault, CheckFault::Unreachable(_)), "{fault}");
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
    }

    #[test]
    fn a_missing_certificate_is_a_matter_of_configuration() {
        let line = certificate(&settings(&[("SENTINEL_TLS_CERT", "/nonexistent/cert.pem")]));
        let fault = fault(&line);
        assert!(matches!(fault, CheckFault::Configuration(_)), "{fault}");
        assert!(
            fault.to_string().contains("/nonexistent/cert.pem"),
            "{fault}"
        );
    }

    #[test]
    fn a_missing_error_page_is_told_as_at_the_start() {
        let line = templates(&settings(&[
            ("OAUTH2_PROVIDER_ERROR_ENDPOINT", "nosuch"),
            ("SENTINEL_TEMPLATES", "/nonexistent/templates"),
        ]));
        let fault = fault(&line);
        assert!(matches!(fault, CheckFault::Configuration(_)), "{fault}");
        let words = "OAUTH2_PROVIDER_ERROR_ENDPOINT: there is no page nosuch";
        assert!(fault.to_string().contains(words), "{fault}");
    }

    #[tokio::test]
    async fn a_check_makes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let templates = parent.path().join("templates");
        let lines = check(&settings(&[
            ("SENTINEL_DATA_DIR", folder.to_str().unwrap()),
            ("SENTINEL_TEMPLATES", templates.to_str().unwrap()),
            ("SENTINEL_STORE", "embedded"),
            ("SENTINEL_TLS", "adhoc"),
        ]))
        .await;
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(
            names,
            ["certificate and key", "templates", "embedded store"]
        );
        assert!(lines.iter().all(|line| line.result.is_ok()), "{lines:?}");
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_place_of_the_data_folder_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(data_folder(file.path()).result.is_err());
    }
}
