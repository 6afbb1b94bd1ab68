//! The server that is driven: where it is, how it is spoken to, who asks.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use hyper::header::HeaderValue;
use hyper::{StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::Outcome;
use super::arguments::{Arguments, HttpVersion, SecretIn};
use super::dial;
use super::trust;

/// What stays the same from one request to the next.
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// TLS to it, if it speaks TLS.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The version that is spoken.
    pub(crate) http: HttpVersion,
    /// The `Host` field of HTTP/1.1; HTTP/2 has it in the URI.
    pub(crate) host: Option<HeaderValue>,
    /// The token endpoint.
    pub(crate) token_uri: Uri,
    /// What a bearer token opens.
    pub(crate) verify_uri: Uri,
    /// The status with which it does.
    pub(crate) verify_status: StatusCode,
    /// The client's `Authorization` at the token endpoint.
    pub(crate) client: Option<HeaderValue>,
    client_form: Vec<(&'static str, String)>,
    scope: Option<String>,
}

impl Target {
    /// Looks the server up.
    ///
    /// # Errors
    /// An address that cannot be driven, or must not be.
    pub(crate) async fn find(arguments: &Arguments) -> Outcome<Self> {
        let url = &arguments.url;
        let host = url.host().ok_or("--url has no host")?;
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        // HTTP/1.1 has the path alone in its request line (RFC 9112 §3.2.1).
        let (base, host_field) = match arguments.http {
            HttpVersion::One => (String::new(), Some(authority.parse()?)),
            HttpVersion::Two => (format!("{}://{authority}", url.scheme()), None),
        };
        let prefix = url.path().trim_end_matches('/');
        let uri = |path: &str| -> Outcome<Uri> { Ok(format!("{base}{prefix}{path}").parse()?) };
        let mut target = Self {
            address: address(url, arguments.yes_remote).await?,
            tls: tls(arguments, &host)?,
            http: arguments.http,
            host: host_field,
            token_uri: uri(&arguments.token_path)?,
            verify_uri: uri(&arguments.verify_path)?,
            verify_status: arguments.verify_status,
            client: None,
            client_form: vec![("client_id", arguments.client_id.clone())],
            scope: arguments.scope.clone(),
        };
        if let Some(secret) = &arguments.client_secret {
            target.authenticate(secret, arguments.client_secret_in)?;
        }
        Ok(target)
    }

    /// The body of a password grant (RFC 6749 §4.3.2).
    pub(crate) fn login_form(&self, username: &str, password: &str) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "password")
            .extend_pairs(&self.client_form)
            .append_pair("username", username)
            .append_pair("password", password);
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        form.finish()
    }

    /// The body of a refresh (RFC 6749 §6).
    pub(crate) fn refresh_form(&self, refresh_token: &str) -> String {
        Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .extend_pairs(&self.client_form)
            .append_pair("refresh_token", refresh_token)
            .finish()
    }

    fn authenticate(&mut self, secret: &str, place: SecretIn) -> Outcome<()> {
        match place {
            SecretIn::Body => self.client_form.push(("client_secret", secret.to_owned())),
            SecretIn::Basic => {
                let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
                // The form has no second way of authentication (RFC 6749 §2.3).
                let parts = std::mem::take(&mut self.client_form);
                let id = parts.first().map_or("", |(_, id)| id);
                let credentials = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
                let mut value: HeaderValue = format!("Basic {credentials}").parse()?;
                value.set_sensitive(true);
                self.client = Some(value);
            }
        }
        Ok(())
    }
}

/// Refuses other machines: load on a server of somebody else is an attack.
async fn address(url: &Url, is_remote_wanted: bool) -> Outcome<SocketAddr> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().ok_or("--url has no port")?;
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| format!("{host}: {error}"))?.collect();
    let first = found.first().ok_or("--url has no address")?;
    if !is_remote_wanted && !found.iter().all(|address| address.ip().is_loopback()) {
        return Err(format!(
            "{host} is not this machine; if the server is your own, add --yes-remote"
        )
        .into());
    }
    // Of `localhost` it is not said which family the server listens on.
    for address in &found {
        if dial::tcp(*address).await.is_ok() {
            return Ok(*address);
        }
    }
    Ok(*first)
}

fn tls(
    arguments: &Arguments,
    host: &Host<&str>,
) -> Outcome<Option<(Arc<ClientConfig>, ServerName<'static>)>> {
    match arguments.url.scheme() {
        "http" => return Ok(None),
        "https" => {}
        other => return Err(format!("--url is http or https, not {other}").into()),
    }
    let config = match &arguments.ca_cert {
        Some(file) => dial::trusting(file, rustls::DEFAULT_VERSIONS)?,
        None if arguments.insecure => trust::anybody()?,
        None => return Err("whom to trust? --ca-cert FILE, or --insecure".into()),
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = match arguments.http {
        HttpVersion::One => vec![b"http/1.1".to_vec()],
        HttpVersion::Two => vec![b"h2".to_vec()],
    };
    let name = match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned())?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
    };
    Ok(Some((Arc::new(config), name)))
}
