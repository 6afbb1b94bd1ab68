//! Who gets in: over TLS only, under one of our names only, with the console's credentials only.

use std::sync::Arc;

use ipnet::IpNet;
use warp::host::Authority;

use super::Request;
use super::refusal::Refusal;
use crate::actors::management::Management;
use crate::domain::user::Password;
use crate::http::extract::basic_auth::BasicAuth;

/// The port that a host without one means: the console is reached over `https` alone.
const DEFAULT_PORT: u16 = 443;

/// The host that a request asks for, from its target or its `Host` header.
#[derive(Clone, Debug)]
pub(super) enum Host {
    /// A host name or address, and a port.
    Named(HostName),
    /// The request does not say.
    Absent,
    /// It cannot be read, or target and header differ.
    Malformed,
}

/// A host name in lower case, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName {
    name: String,
    port: u16,
}

/// What must hold before anything else is looked at.
#[derive(Clone)]
pub(super) struct Guard {
    hosts: Arc<[HostName]>,
    trusted_proxies: Arc<[IpNet]>,
}

impl HostName {
    /// `name` in any case; no port is that of `https`.
    pub(super) fn new(name: &str, port: Option<u16>) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            port: port.unwrap_or(DEFAULT_PORT),
        }
    }
}

impl From<Authority> for HostName {
    fn from(authority: Authority) -> Self {
        Self::new(authority.host(), authority.port_u16())
    }
}

impl From<Option<Authority>> for Host {
    fn from(authority: Option<Authority>) -> Self {
        authority.map_or(Self::Absent, |authority| Self::Named(authority.into()))
    }
}

impl Guard {
    /// A guard for these hosts, `host[:port]` each; none is any host. What is no host matches no
    /// request.
    pub(super) fn new(hosts: &[String], trusted_proxies: &Arc<[IpNet]>) -> Self {
        let read = |host: &String| {
            let parsed = host.parse::<Authority>().map(HostName::from);
            parsed.unwrap_or_else(|_no_host| HostName::new(host, None))
        };
        Self {
            hosts: hosts.iter().map(read).collect(),
            trusted_proxies: Arc::clone(trusted_proxies),
        }
    }

    /// The console user who sent the request.
    pub(super) async fn admit(
        &self,
        request: &Request,
        management: &Management,
    ) -> Result<String, Refusal> {
        self.check_transport(request)?;
        self.check_host(request)?;
        if !management.has_credentials() {
            return Err(Refusal::not_configured());
        }
        self.authenticate(request, management).await
    }

    // Missing, unreadable and wrong credentials get the same answer (RFC 7617 §2).
    async fn authenticate(
        &self,
        request: &Request,
        management: &Management,
    ) -> Result<String, Refusal> {
        let BasicAuth::Present(username, password) = BasicAuth::read(&request.headers) else {
            return Err(Refusal::unauthenticated());
        };
        let password = Password::new(password.as_str().to_owned());
        let network = request
            .connection
            .and_then(|own| own.network(&request.headers, &self.trusted_proxies));
        let is_known = management.authenticate(&username, password, network);
        if is_known.await? {
            Ok(username)
        } else {
            tracing::warn!("the console refused credentials");
            Err(Refusal::unauthenticated())
        }
    }

    fn check_transport(&self, request: &Request) -> Result<(), Refusal> {
        let is_secure = request.connection.is_some_and(|connection| {
            connection.is_secure(&request.headers, &self.trusted_proxies)
        });
        if is_secure {
            Ok(())
        } else {
            Err(Refusal::insecure())
        }
    }

    fn check_host(&self, request: &Request) -> Result<(), Refusal> {
        match &request.host {
            Host::Malformed => Err(Refusal::invalid("the host cannot be read")),
            _ if self.hosts.is_empty() => Ok(()),
            Host::Named(host) if self.hosts.contains(host) => Ok(()),
            Host::Named(_) | Host::Absent => Err(Refusal::misdirected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_compare_without_case_and_with_the_default_port() {
        let host = |text: &str| HostName::from(text.parse::<Authority>().unwrap());
        assert_eq!(host("Console.Example"), host("console.example:443"));
        assert_eq!(host("[::1]:5000"), host("[::1]:5000"));
        assert_ne!(host("console.example"), host("console.example:80"));
        assert_ne!(host("console.example"), host("console.example.org"));
    }
}
