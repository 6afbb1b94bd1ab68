//! Where the management API is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use url::{Host, Url};

use super::{ConnectionError, Known};
use crate::settings::{ListenAddress, Settings, TlsSettings};

/// The address of the console, below which the API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    /// Scheme, host, port and path, without a slash at the end.
    pub(in crate::cli) url: Url,
    /// The Unix socket to connect to instead of the host.
    pub(in crate::cli) socket: Option<PathBuf>,
}

impl Address {
    /// Whether what is sent stays on this machine.
    pub(in crate::cli) fn is_local(&self) -> bool {
        self.socket.is_some() || is_loopback(&self.url)
    }
}

/// Reads `--url`.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    const EXPECTED: &str = "expected https://host:port/oauth/management";
    let url = Url::parse(text).map_err(|error| format!("{error}; {EXPECTED}"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(EXPECTED.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let mend = "give --username and --management-password-stdin";
        return Err(format!("an address must not hold credentials; {mend}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(EXPECTED.to_owned());
    }
    Ok(url)
}

/// The address that `--url` gives, or else the settings.
pub(super) fn of(given: Option<Url>, known: &Known) -> Result<Address, ConnectionError> {
    match given {
        // A host alone is never the console: its path is that of the settings.
        Some(url) if url.path() == "/" => {
            let path = console_path(known.needed()?)?;
            Ok(below(url, &path))
        }
        Some(url) => Ok(below(url, "")),
        None => from_settings(known.needed()?),
    }
}

fn from_settings(settings: &Settings) -> Result<Address, ConnectionError> {
    let path = console_path(settings)?;
    if let Some(issuer) = &settings.endpoints.issuer {
        let mut url = issuer.clone();
        // What an issuer has for a path is part of its name, not of where its endpoints are.
        url.set_path("/");
        return Ok(below(url, &path));
    }
    let scheme = match settings.server.tls {
        TlsSettings::Off => "http",
        TlsSettings::Files { .. } | TlsSettings::AdHoc { .. } => "https",
    };
    let (host, socket) = match &settings.server.listen {
        ListenAddress::Tcp(address) if address.port() == 0 => return Err(ConnectionError::NoPort),
        ListenAddress::Tcp(address) => (dialed(*address).to_string(), None),
        // The host is that of the certificate and of the Host header.
        ListenAddress::Unix(path) => ("localhost".to_owned(), Some(path.clone())),
    };
    let url = Url::parse(&format!("{scheme}://{host}")).map_err(|_| ConnectionError::NoPort)?;
    Ok(Address {
        socket,
        ..below(url, &path)
    })
}

fn console_path(settings: &Settings) -> Result<String, ConnectionError> {
    let endpoints = &settings.endpoints;
    let path = endpoints.management_path.as_deref();
    let path = path.ok_or(ConnectionError::ManagementOff)?;
    Ok(format!("{}{path}", endpoints.route_prefix))
}

/// The address with `path` behind its own.
fn below(mut url: Url, path: &str) -> Address {
    let joined = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    Address { url, socket: None }
}

/// Who listens on every address is reached on the loopback one.
fn dialed(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::known;
    use super::*;

    #[test]
    fn the_address_follows_the_settings() {
        let rows: [(&[(&str, &str)], &str); 7] = [
            (&[], "https://127.0.0.1:5000/oauth/management"),
            (
                &[("SENTINEL_LISTEN", "0.0.0.0:8443")],
                "https://127.0.0.1:8443/oauth/management",
            ),
            (
                &[("SENTINEL_LISTEN", "[::]:8443"), ("SENTINEL_TLS", "off")],
                "http://[::1]:8443/oauth/management",
            ),
            (
                &[("SENTINEL_ISSUER", "https://id.example.com")],
                "https://id.example.com/oauth/management",
            ),
            (
                &[
                    ("SENTINEL_ROUTE_PREFIX", "/"),
                    ("SENTINEL_MANAGEMENT_URL", "/admin/console"),
                ],
                "https://127.0.0.1:5000/admin/console",
            ),
            (
                &[("SENTINEL_LISTEN", "unix:/run/sentinel.sock")],
                "https://localhost/oauth/management",
            ),
            (
                &[("SENTINEL_ISSUER", "https://example.com/id")],
                "https://example.com/oauth/management",
            ),
        ];
        for (pairs, expected) in rows {
            let address = of(None, &known(pairs)).unwrap();
            assert_eq!(address.url.as_str(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_unix_socket_is_dialed() {
        let known = known(&[("SENTINEL_LISTEN", "unix:/run/sentinel.sock")]);
        let address = of(None, &known).unwrap();
        assert_eq!(address.socket, Some(PathBuf::from("/run/sentinel.sock")));
        assert!(address.is_local());
    }

    #[test]
    fn a_given_address_wins_and_a_bare_host_gets_the_path() {
        let url = |text| Some(parse(text).unwrap());
        let known = known(&[("SENTINEL_ROUTE_PREFIX", "/id")]);
        for (given, expected) in [
            ("https://h:1/a/b/", "https://h:1/a/b"),
            ("https://h:1", "https://h:1/id/management"),
            ("http://localhost:1/", "http://localhost:1/id/management"),
        ] {
            let address = of(url(given), &known).unwrap();
            assert_eq!(address.url.as_str(), expected, "{given}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_asked_for() {
        let port = of(None, &known(&[("SENTINEL_LISTEN", "127.0.0.1:0")]));
        assert!(matches!(port, Err(ConnectionError::NoPort)));
        let off = of(None, &known(&[("SENTINEL_MANAGEMENT_URL", "false")]));
        assert!(matches!(off, Err(ConnectionError::ManagementOff)));
    }

    #[test]
    fn only_this_machine_is_local() {
        for (text, is_local) in [
            ("http://localhost:1/x", true),
            ("http://127.9.9.9/x", true),
            ("http://[::1]:1/x", true),
            ("http://localhost.example.com/x", false),
            ("http://10.0.0.1/x", false),
        ] {
            let address = below(parse(text).unwrap(), "");
            assert_eq!(address.is_local(), is_local, "{text}");
        }
    }
}
