//! Where a request came from, as the server below knows it.

use std::net::IpAddr;

use ipnet::IpNet;
use warp::http::HeaderMap;

/// The connection of a request; the server puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The peer; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// Whether we ended TLS ourselves.
    pub is_tls: bool,
}

impl Connection {
    /// Whether the request came over TLS all the way: to us, or to a proxy that we trust and that
    /// does not say otherwise.
    pub fn is_secure(&self, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> bool {
        if self.is_tls {
            return true;
        }
        let is_trusted = self
            .peer
            .is_none_or(|peer| trusted_proxies.iter().any(|net| net.contains(&peer)));
        let forwarded = headers
            .get("x-forwarded-proto")
            .map(|value| value.as_bytes() == b"https");
        is_trusted && forwarded.unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_secure_only_behind_a_trusted_proxy_that_ended_tls() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let from = |peer: &str| Connection {
            peer: peer.parse().ok(),
            is_tls: false,
        };
        let mut headers = HeaderMap::new();
        assert!(from("10.1.2.3").is_secure(&headers, &proxies));
        assert!(!from("192.0.2.1").is_secure(&headers, &proxies));
        headers.insert("x-forwarded-proto", "http".parse().unwrap());
        assert!(!from("10.1.2.3").is_secure(&headers, &proxies));
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert!(!from("192.0.2.1").is_secure(&headers, &proxies));
        assert!(
            Connection {
                peer: None,
                is_tls: true
            }
            .is_secure(&headers, &[])
        );
    }
}
