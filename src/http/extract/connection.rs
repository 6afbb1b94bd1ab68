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
        is_trusted && forwarded_scheme(headers).is_none_or(|scheme| scheme == "https")
    }
}

// The scheme by which the nearest proxy was called: the last of `Forwarded` (RFC 7239 §5.4) or of
// `X-Forwarded-Proto`. `None` if no proxy tells; whatever cannot be read is no `https`.
fn forwarded_scheme(headers: &HeaderMap) -> Option<String> {
    let last = |name: &str| {
        let value = headers.get_all(name).iter().next_back()?;
        let text = value.to_str().unwrap_or_default();
        Some(
            text.rsplit(',')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
        )
    };
    let Some(element) = last("forwarded") else {
        return last("x-forwarded-proto");
    };
    let mut pairs = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    let proto = pairs.find(|(name, _)| *name == "proto");
    proto.map_or_else(
        || last("x-forwarded-proto"),
        |(_, scheme)| Some(scheme.trim_matches('"').to_owned()),
    )
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
        headers.append("x-forwarded-proto", "https, http".parse().unwrap());
        assert!(!from("10.1.2.3").is_secure(&headers, &proxies));
        headers.insert("forwarded", "for=192.0.2.1;proto=https".parse().unwrap());
        assert!(from("10.1.2.3").is_secure(&headers, &proxies));
        headers.insert(
            "forwarded",
            "proto=https, for=1;proto=\"http\"".parse().unwrap(),
        );
        assert!(!from("10.1.2.3").is_secure(&headers, &proxies));
        assert!(
            Connection {
                peer: None,
                is_tls: true
            }
            .is_secure(&headers, &[])
        );
    }
}
