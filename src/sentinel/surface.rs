//! Where the endpoints are, and by which names clients call the server.

use crate::http::Surface;
use crate::settings::{EndpointSettings, ListenAddress, Settings, TlsSettings};

/// What the routes need to know of the settings.
pub(super) fn surface(settings: &Settings) -> Surface {
    let EndpointSettings {
        route_prefix,
        token_path,
        management_path,
        ..
    } = &settings.endpoints;
    let below = |path: &String| format!("{route_prefix}{path}");
    let error_uri = &settings.endpoints.error_uri;
    Surface {
        token_path: token_path.as_ref().map(below),
        management_path: management_path.as_ref().map(below),
        verify_path: format!("{route_prefix}/verify"),
        introspection_path: format!("{route_prefix}/introspect"),
        revocation_path: format!("{route_prefix}/revoke"),
        issuer: issuer(settings),
        error_path: error_uri.starts_with('/').then(|| error_uri.clone()),
        hosts: hosts(settings).into(),
        trusted_proxies: settings.server.trusted_proxies.clone().into(),
    }
}

// Who listens on every address or on a Unix socket, lets the system choose the port, or has a
// proxy in front, and names no issuer, does not tell by what name clients call: then any is good.
fn hosts(settings: &Settings) -> Vec<String> {
    let issuer = settings.endpoints.issuer.iter().filter_map(issuer_host);
    let is_plain = matches!(settings.server.tls, TlsSettings::Off);
    match &settings.server.listen {
        ListenAddress::Tcp(address)
            if address.ip().is_loopback() && address.port() != 0 && !is_plain =>
        {
            let own = ["localhost", "127.0.0.1", "[::1]"];
            let own = own.map(|host| format!("{host}:{}", address.port()));
            let bound = address.to_string();
            own.into_iter().chain([bound]).chain(issuer).collect()
        }
        ListenAddress::Tcp(_) | ListenAddress::Unix(_) => issuer.collect(),
    }
}

// Who listens on every address or on a Unix socket, or lets the system choose the port, has to say
// how clients call the server.
fn issuer(settings: &Settings) -> Option<String> {
    if let Some(issuer) = &settings.endpoints.issuer {
        return Some(issuer.as_str().trim_end_matches('/').to_owned());
    }
    let scheme = match settings.server.tls {
        TlsSettings::Off => "http",
        _ => "https",
    };
    match &settings.server.listen {
        ListenAddress::Tcp(address) if !address.ip().is_unspecified() && address.port() != 0 => {
            Some(format!("{scheme}://{address}"))
        }
        ListenAddress::Tcp(_) | ListenAddress::Unix(_) => None,
    }
}

fn issuer_host(issuer: &url::Url) -> Option<String> {
    let host = issuer.host_str()?;
    Some(match issuer.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;
    use crate::settings::sources::{ConfigSource, Mode, Sources};

    #[test]
    fn the_console_answers_under_the_address_that_it_listens_on() {
        let hosts_of = |listen: &str| {
            let listen = (OsString::from("SENTINEL_LISTEN"), OsString::from(listen));
            let settings = Settings::load(&Sources {
                mode: Mode::Dev,
                flags: Vec::new(),
                environment: vec![listen],
                config: ConfigSource::Optional(PathBuf::from("/nonexistent/sentinel.toml")),
            });
            surface(&settings.unwrap().settings).hosts
        };
        for listen in ["127.0.0.2:5000", "127.0.0.1:5000", "[::1]:5000"] {
            let hosts = hosts_of(listen);
            assert!(hosts.iter().any(|host| host == listen), "{hosts:?}");
            assert!(hosts.iter().any(|host| host == "localhost:5000"));
        }
        assert!(hosts_of("0.0.0.0:5000").is_empty());
    }
}
