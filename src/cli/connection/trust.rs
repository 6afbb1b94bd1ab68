//! Which certificate of a server is trusted.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Certificate;

use super::address::Address;
use super::{ConnectionError, Known};
use crate::settings::{Settings, TlsSettings};

/// The certificate that a server on this machine makes for itself, below the data folder.
const AD_HOC: &str = "adhoc-cert.pem";

/// Which certificates are trusted.
#[derive(Debug)]
pub(in crate::cli) enum Trust {
    /// Those of the system.
    System,
    /// These alone; none for a connection without TLS.
    Only(Vec<Certificate>),
    /// Any at all.
    Anyone,
}

/// What the command line says, or else: the ad-hoc certificate for a server on this machine that
/// may use it, and the system's for any other.
pub(super) fn of(
    address: &Address,
    ca_cert: Option<PathBuf>,
    insecure: bool,
    known: &Known,
) -> Result<Trust, ConnectionError> {
    if insecure {
        return Ok(Trust::Anyone);
    }
    if address.url.scheme() == "http" {
        return Ok(Trust::Only(Vec::new()));
    }
    if let Some(path) = ca_cert {
        return only(&path);
    }
    let may_be_ad_hoc = address.is_local()
        && known.if_readable().is_some_and(|settings| {
            // `sentinel dev` has a default of its own here, which its users never set.
            let is_left_open = !known.is_set("SENTINEL_TLS") && !known.is_set("SENTINEL_TLS_CERT");
            is_left_open || matches!(settings.server.tls, TlsSettings::AdHoc { .. })
        });
    match known.if_readable().filter(|_| may_be_ad_hoc).map(ad_hoc) {
        Some(path) if path.exists() => only(&path),
        _ => Ok(Trust::System),
    }
}

fn ad_hoc(settings: &Settings) -> PathBuf {
    settings.data_dir.join(AD_HOC)
}

fn only(path: &Path) -> Result<Trust, ConnectionError> {
    let refused = |reason: String| ConnectionError::Certificate {
        path: path.to_owned(),
        reason,
    };
    let pem = fs::read(path).map_err(|error| refused(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(Trust::Only(certificates)),
        _ => Err(refused("there is no PEM certificate in it".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::address;
    use super::super::tests::known;
    use super::*;

    /// Address, settings, and whether the ad-hoc certificate alone is trusted.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

    fn address(url: &str) -> Address {
        address::of(Some(address::parse(url).unwrap()), &known(&[])).unwrap()
    }

    /// A data folder with an ad-hoc certificate.
    fn data_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join(AD_HOC), made.cert.pem()).unwrap();
        folder
    }

    #[test]
    fn an_ad_hoc_certificate_is_trusted_on_this_machine_where_it_may_be_in_use() {
        let folder = data_folder();
        let data_dir = ("SENTINEL_DATA_DIR", folder.path().to_str().unwrap());
        let rows: [Row<'_>; 5] = [
            ("https://localhost:1/m", &[data_dir], true),
            (
                "https://[::1]:1/m",
                &[data_dir, ("SENTINEL_TLS", "adhoc")],
                true,
            ),
            (
                "https://localhost:1/m",
                &[data_dir, ("SENTINEL_TLS", "on")],
                false,
            ),
            ("https://id.example.com/m", &[data_dir], false),
            (
                "https://localhost:1/m",
                &[("SENTINEL_DATA_DIR", "/nonexistent")],
                false,
            ),
        ];
        for (url, pairs, is_pinned) in rows {
            let trust = of(&address(url), None, false, &known(pairs)).unwrap();
            let is_only = matches!(&trust, Trust::Only(certificates) if certificates.len() == 1);
            assert_eq!(is_only, is_pinned, "{url} {pairs:?}: {trust:?}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for text in ["", "no certificate"] {
            fs::write(&path, text).unwrap();
            let refused = of(
                &address("https://h/m"),
                Some(path.clone()),
                false,
                &known(&[]),
            );
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("ca.pem"), "{text}");
        }
        let missing = of(
            &address("https://h/m"),
            Some(PathBuf::from("/nonexistent/ca.pem")),
            false,
            &known(&[]),
        );
        assert!(missing.is_err());
    }
}
