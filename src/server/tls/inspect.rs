//! Judges a chain of certificates: refuses what is weak, warns of what clients will refuse.

use std::path::Path;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::dates::Dates;
use super::error::TlsError;

/// Shorter RSA keys are refused (NIST SP 800-131A).
const LEAST_RSA_BITS: usize = 2048;

/// Signature algorithms over MD2, MD5 and SHA-1, with RSA, DSA and ECDSA.
const WEAK_SIGNATURES: [&str; 7] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.27",
    "1.3.14.3.2.29",
    "1.2.840.10040.4.3",
    "1.2.840.10045.4.1",
];

/// What there is to say about a chain that may serve.
pub(super) struct Findings {
    /// Of the server's own certificate.
    pub(super) own_dates: Dates,
    /// Of those behind it.
    pub(super) other_dates: Vec<Dates>,
    /// Those of the dates among them.
    pub(super) warnings: Vec<String>,
}

/// Judges a chain, the server's own certificate first. `host` is the name that clients dial.
pub(super) fn chain(
    path: &Path,
    chain: &[CertificateDer<'_>],
    host: Option<&str>,
    now: OffsetDateTime,
) -> Result<Findings, TlsError> {
    let bad = |index: usize| TlsError::BadCertificate {
        path: path.to_owned(),
        number: index + 1,
    };
    let mut certificates = Vec::with_capacity(chain.len());
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_error| bad(index))?;
        refuse_weak(path, index + 1, &certificate, chain.len())?;
        certificates.push(certificate);
    }
    let mut dates = certificates.iter().enumerate().map(dates);
    let own_dates = dates.next().ok_or_else(|| bad(0))?;
    let other_dates: Vec<Dates> = dates.collect();
    let told = std::iter::once(&own_dates).chain(&other_dates);
    let mut warnings: Vec<String> = told.filter_map(|it| it.warning(path, now)).collect();
    if let (Some(host), Some(der)) = (host, chain.first()) {
        warnings.extend(host_warning(path, der, host));
    }
    warnings.extend(order_warning(path, &certificates));
    Ok(Findings {
        own_dates,
        other_dates,
        warnings,
    })
}

fn dates((index, certificate): (usize, &X509Certificate<'_>)) -> Dates {
    let validity = certificate.validity();
    Dates {
        number: index + 1,
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
    }
}

fn refuse_weak(
    path: &Path,
    number: usize,
    certificate: &X509Certificate<'_>,
    chain_length: usize,
) -> Result<(), TlsError> {
    if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed() {
        let bits = significant_bits(key.modulus);
        if bits < LEAST_RSA_BITS {
            let path = path.to_owned();
            return Err(TlsError::WeakKey { path, number, bits });
        }
    }
    // Nobody checks the signature of a root that came along behind the others.
    let is_root = number > 1 && number == chain_length && is_self_issued(certificate);
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    if !is_root && WEAK_SIGNATURES.contains(&algorithm.as_str()) {
        let path = path.to_owned();
        return Err(TlsError::WeakSignature { path, number });
    }
    Ok(())
}

/// Bits of a big-endian number without its leading zeros.
fn significant_bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let rest = number.get(zeros..).unwrap_or_default();
    let leading = rest.first().map_or(0, |byte| byte.leading_zeros() as usize);
    rest.len() * 8 - leading
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == certificate.subject().as_raw()
}

fn host_warning(path: &Path, leaf: &CertificateDer<'_>, host: &str) -> Option<String> {
    // A URL has an IPv6 address in brackets.
    let bare_host = host.trim_start_matches('[').trim_end_matches(']');
    let is_named = ServerName::try_from(bare_host).is_ok_and(|name| {
        ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    });
    (!is_named).then(|| {
        let path = path.display();
        format!(
            "the certificate in `{path}` is not for {host}: clients that dial it will refuse it; \
             have it issued with that name as subjectAltName"
        )
    })
}

fn order_warning(path: &Path, certificates: &[X509Certificate<'_>]) -> Option<String> {
    let path = path.display();
    if let [only] = certificates {
        return (!is_self_issued(only)).then(|| {
            format!(
                "`{path}` holds no intermediate certificate: clients may not find the way to a \
                 root; append the issuer's"
            )
        });
    }
    let is_broken = |pair: &[X509Certificate<'_>]| match pair {
        [certificate, issuer] => certificate.issuer().as_raw() != issuer.subject().as_raw(),
        _ => false,
    };
    let at = certificates.windows(2).position(is_broken)? + 1;
    let next = at + 1;
    Some(format!(
        "certificate {next} in `{path}` is not the issuer of certificate {at}: clients may not \
         find the way to a root; put each one's issuer behind it"
    ))
}
