//! The certificate and key that connections are encrypted with, and their exchange while serving.
//!
//! `error` says what can be wrong with the files, `pem` reads them, `inspect` judges them, `dates`
//! tells when they end.

mod dates;
pub mod error;
mod inspect;
mod pem;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

use self::dates::Dates;
use self::error::TlsError;
use super::adhoc;
use crate::clock::Clock;
use crate::settings::TlsSettings;

/// A pair of files in use.
#[derive(Debug)]
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    host: Option<String>,
    clock: Clock,
    active: Arc<Active>,
    config: Arc<ServerConfig>,
    /// The warnings of dates that an operator has heard already.
    told: Mutex<Vec<String>>,
}

/// A pair that may serve, and what an operator should know about it.
#[derive(Debug)]
pub struct Loaded {
    /// The pair.
    pub certificates: Arc<Certificates>,
    /// One sentence for each thing to mend; for the log.
    pub warnings: Vec<String>,
}

/// A pair as it was read.
#[derive(Debug)]
struct Pair {
    certified_key: Arc<CertifiedKey>,
    /// Of the server's own certificate.
    own_dates: Dates,
    /// Of the others in the chain.
    other_dates: Vec<Dates>,
}

/// The pair for new handshakes.
#[derive(Debug)]
struct Active(ArcSwap<Pair>);

impl Loaded {
    /// Loads what the settings name, making the ad-hoc pair if that is to be used; `None` if TLS
    /// is off. `host` is the name that clients dial, if it is known.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn from_settings(
        settings: &TlsSettings,
        host: Option<&str>,
        clock: &Clock,
    ) -> Result<Option<Self>, TlsError> {
        match settings {
            TlsSettings::Off => Ok(None),
            TlsSettings::Files { certificate, key } => {
                Self::from_files(certificate, key, host, clock).map(Some)
            }
            TlsSettings::AdHoc { folder } => {
                let files = adhoc::ensure(folder, clock)?;
                // It is for the local host whatever clients dial: nothing to warn of.
                Self::from_files(&files.certificate, &files.key, None, clock).map(Some)
            }
        }
    }

    /// Loads a pair of PEM files.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        host: Option<&str>,
        clock: &Clock,
    ) -> Result<Self, TlsError> {
        let (pair, warnings) = read_pair(certificate, key, host, clock)?;
        let told = pair.date_warnings(certificate, clock.now());
        let active = Arc::new(Active(ArcSwap::from_pointee(pair)));
        let certificates = Certificates {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            host: host.map(str::to_owned),
            clock: clock.clone(),
            config: server_config(Arc::clone(&active))?,
            active,
            told: Mutex::new(told),
        };
        Ok(Self {
            certificates: Arc::new(certificates),
            warnings,
        })
    }
}

impl Certificates {
    /// Reads the files again. New handshakes use the new pair; open connections and resumed
    /// sessions keep theirs. Reads from disk: a moment's blocking.
    ///
    /// # Errors
    /// What is wrong with the files; then the old pair stays. It also stays where clients take its
    /// certificate at this instant and would refuse the new one.
    pub fn reload(&self) -> Result<Vec<String>, TlsError> {
        let host = self.host.as_deref();
        let (pair, warnings) = read_pair(&self.certificate, &self.key, host, &self.clock)?;
        let now = self.clock.now();
        if self.active.0.load().own_dates.hold_at(now) && !pair.own_dates.hold_at(now) {
            return Err(TlsError::OutOfDate {
                path: self.certificate.clone(),
                from: pair.own_dates.not_before,
                until: pair.own_dates.not_after,
            });
        }
        self.note_told(pair.date_warnings(&self.certificate, now));
        self.active.0.store(Arc::new(pair));
        Ok(warnings)
    }

    /// When the certificate in use expires.
    pub fn not_after(&self) -> OffsetDateTime {
        self.active.0.load().own_dates.not_after
    }

    /// What there is to say about dates since this was asked last, or since the pair was read: one
    /// sentence for each certificate whose end has come near or passed, each day anew.
    pub fn news(&self) -> Vec<String> {
        let warnings = self
            .active
            .0
            .load()
            .date_warnings(&self.certificate, self.clock.now());
        let told = self.note_told(warnings.clone());
        let is_new = |warning: &String| !told.contains(warning);
        warnings.into_iter().filter(is_new).collect()
    }

    /// Notes what is told now, and gives what was before.
    fn note_told(&self, warnings: Vec<String>) -> Vec<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *told, warnings)
    }

    /// The configuration of a handshake.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl Pair {
    fn date_warnings(&self, path: &Path, now: OffsetDateTime) -> Vec<String> {
        let all = std::iter::once(&self.own_dates).chain(&self.other_dates);
        all.filter_map(|dates| dates.warning(path, now)).collect()
    }
}

impl ResolvesServerCert for Active {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified_key))
    }
}

fn read_pair(
    certificate: &Path,
    key: &Path,
    host: Option<&str>,
    clock: &Clock,
) -> Result<(Pair, Vec<String>), TlsError> {
    let chain = pem::read_chain(certificate)?;
    // Before the key is parsed: a weak certificate is what the operator should hear of first.
    let mut findings = inspect::chain(certificate, &chain, host, clock.now())?;
    let read_key = pem::read_key(key)?;
    findings.warnings.extend(read_key.warning);
    let signing_key = ring::sign::any_supported_type(&read_key.key)
        .map_err(|_error| TlsError::UnsupportedKey(key.to_owned()))?;
    let certified_key = CertifiedKey::new(chain, signing_key);
    certified_key
        .keys_match()
        .map_err(|_error| TlsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })?;
    let pair = Pair {
        certified_key: Arc::new(certified_key),
        own_dates: findings.own_dates,
        other_dates: findings.other_dates,
    };
    Ok((pair, findings.warnings))
}

/// TLS 1.2 and 1.3. rustls knows AEAD suites alone, does not renegotiate, and offers early data
/// only when told to.
fn server_config(active: Arc<Active>) -> Result<Arc<ServerConfig>, TlsError> {
    // More than one provider is compiled in, so there is no default one.
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Library)?
        .with_no_client_auth()
        .with_cert_resolver(active);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new().map_err(TlsError::Library)?;
    Ok(Arc::new(config))
}
